import { createHash } from 'node:crypto';
import type { Clock } from '../core/call.ts';
import type { SshEndpoint } from '../core/machine.ts';
import type { Store } from '../core/store.ts';

export interface HostKeys {
  /** Base64 of the only key we accept from this machine; undefined before the first contact. */
  expected(endpoint: SshEndpoint): Promise<string | undefined>;
  /** Whether `key` (the raw public key blob) is the machine we know. The first one seen is filed, with a line in the log. */
  accept(endpoint: SshEndpoint, key: Buffer): Promise<boolean>;
}

export function createHostKeys({
  store,
  clock,
}: {
  readonly store: Store;
  readonly clock: Clock;
}): HostKeys {
  const expected: HostKeys['expected'] = async ({ hostKey, podId }) =>
    hostKey ?? (await store.hostKeys.get(podId))?.key;
  return {
    expected,
    async accept(endpoint, blob) {
      const key = blob.toString('base64');
      const known = await expected(endpoint);
      if (known !== undefined) return known === key;
      const { podId } = endpoint;
      const at = clock.now().toISOString();
      return store.transaction(async (tx) => {
        // Another process may have met the machine first: its word counts.
        const first = await tx.hostKeys.get(podId);
        if (first !== undefined) return first.key === key;
        await tx.hostKeys.put(podId, { podId, key, firstSeenAt: at });
        const print = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
        await tx.log.append({
          at,
          kind: 'host_key_trusted',
          podId,
          text: `Trusted on first use: SHA256:${print}`,
        });
        return true;
      });
    },
  };
}
