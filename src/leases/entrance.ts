import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { SshEndpoint, SshIdentity } from '../core/machine.ts';
import type { ProviderPod, Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { limitOf } from './deps.ts';
import { handleOf, type Ledger } from './ledger.ts';

const ATTACH_LIMIT_SECONDS = 30;
const PORTS_CHARS = 600;
const MAPPING_CHARS = 120;

/** What is written down, and done, about the way into a pod. */
export interface Entrance {
  /** Puts the way on record; another one than before is also a line in the log, with the raw port list (PR-16). */
  choose(lease: Lease, endpoint: SshEndpoint, pod: ProviderPod): Promise<void>;
  /** Adds our key to the pod that refused it, once, where the cloud can (RE-08). */
  attachKey(lease: Lease): Promise<Lease>;
}

export function createEntrance({
  ledger,
  providers,
  identity,
  remote,
  clock,
}: {
  readonly ledger: Ledger;
  readonly providers: Providers;
  readonly identity: SshIdentity;
  readonly remote: Remote;
  readonly clock: Clock;
}): Entrance {
  return {
    async choose(lease, { host, port, user, route }, { portMappings = [] }) {
      const before = lease.endpoint;
      const isSame =
        before?.host === host &&
        before.port === port &&
        before.user === user &&
        before.route === route;
      if (isSame) return;
      const known = await ledger.fresh(lease);
      const isNew = known.endpoint?.host !== host || known.endpoint.port !== port;
      await ledger.update(lease.leaseId, (one) => ({
        ...one,
        endpoint: { host, port, user, route },
      }));
      // What is open leads to the old address.
      if (before !== undefined) await remote.disconnect(handleOf(lease)).catch(() => undefined);
      if (!isNew) return;
      const place = quoteForeign(host, 100);
      const chosen = portMappings.find((line) => line.includes(`:${port}`));
      const ports =
        portMappings.length === 0
          ? 'not told'
          : quoteForeign(JSON.stringify(portMappings), PORTS_CHARS);
      const mapping =
        chosen === undefined ? '' : `, by the mapping ${quoteForeign(chosen, MAPPING_CHARS)}`;
      await ledger.note(
        'endpoint',
        lease,
        `${user}@${place}:${port}, route ${route}${mapping}. Ports as the cloud lists them: ${ports}`,
      );
    },
    async attachKey(lease) {
      const attach = providers.get(lease.provider)?.keys?.attachKey;
      const { podId } = lease;
      if (attach === undefined || podId === undefined || lease.keyAttachedAt !== undefined)
        return lease;
      const at = clock.now().toISOString();
      const mine = await ledger.update(lease.leaseId, (before) =>
        before.keyAttachedAt === undefined ? { ...before, keyAttachedAt: at } : undefined,
      );
      if (mine.keyAttachedAt !== at) return mine;
      const signal = limitOf(ATTACH_LIMIT_SECONDS);
      const said = await identity
        .publicKey({ signal })
        .then(async (key) => attach(podId, key, { signal }))
        .then(
          () => 'Our SSH key was added to the pod, which had refused it.',
          () => 'Our SSH key was refused, and adding it to the pod failed.',
        );
      await ledger.note('key', lease, said);
      return mine;
    },
  };
}
