import { createHash } from 'node:crypto';
import type { Clock } from '../core/call.ts';
import type { SshTarget } from '../core/machine.ts';
import type { Store } from '../core/store.ts';

/** An SSH server and where its key is filed: a pod under its id, a machine on the way to it under a name below that. */
export type KeyOwner = Pick<SshTarget, 'hostKey' | 'knownHostKeys' | 'revokedHostKeys'> & {
  readonly podId: string;
  readonly fileUnder: string;
};

export interface HostKeys {
  /** Base64 of the only keys we accept from this machine; undefined before the first contact. */
  expected(owner: KeyOwner): Promise<readonly string[] | undefined>;
  /** Whether `key` (the raw public key blob) is the machine we know. The first one seen is filed, with a line in the log. */
  accept(owner: KeyOwner, key: Buffer): Promise<boolean>;
}

/**
 * The provider's word counts most, then the person's known_hosts, then what we saw first. A key that the person's own
 * known_hosts lists replaces our record, so that a machine which the person accepted anew is the known one here too.
 */
export function createHostKeys({
  store,
  clock,
}: {
  readonly store: Store;
  readonly clock: Clock;
}): HostKeys {
  const toldBy = ({ hostKey, knownHostKeys }: KeyOwner): readonly string[] | undefined =>
    hostKey !== undefined ? [hostKey] : knownHostKeys?.length === 0 ? undefined : knownHostKeys;

  return {
    async expected(owner) {
      const told = toldBy(owner);
      if (told !== undefined) return told;
      const filed = await store.hostKeys.get(owner.fileUnder);
      return filed === undefined ? undefined : [filed.key];
    },
    async accept(owner, blob) {
      const key = blob.toString('base64');
      if (owner.revokedHostKeys?.includes(key) === true) return false;
      const told = toldBy(owner);
      if (told?.includes(key) === false) return false;
      const { podId, fileUnder } = owner;
      const filed = await store.hostKeys.get(fileUnder);
      if (filed !== undefined && (told === undefined || filed.key === key))
        return filed.key === key;
      const at = clock.now().toISOString();
      return store.transaction(async (tx) => {
        // Another process may have met the machine first: its word counts.
        const first = await tx.hostKeys.get(fileUnder);
        if (first !== undefined && told === undefined) return first.key === key;
        const place = fileUnder === podId ? {} : { fileUnder };
        await tx.hostKeys.put(fileUnder, { podId, key, firstSeenAt: at, ...place });
        const print = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
        await tx.log.append({
          at,
          kind: told === undefined ? 'host_key_trusted' : 'host_key_known',
          podId,
          text:
            told === undefined
              ? `Trusted on first use: SHA256:${print}`
              : `Known before the first use: SHA256:${print}`,
        });
        return true;
      });
    },
  };
}
