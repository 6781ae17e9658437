import { type CallOptions, type Clock, systemClock } from '../core/call.ts';
import { ConfigError, InputError, isAppError, RemoteError } from '../core/errors.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Machines, SshEndpoint, SshIdentity } from '../core/machine.ts';
import type { Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { type AccountBook, createAccountBook } from './account-book.ts';
import { untilAborted } from './deps.ts';
import { createLedger } from './ledger.ts';
import { createLooks, type Looks } from './looks.ts';
import { recall } from './recall.ts';
import { chosenWay } from './way-in.ts';

const FRESH_SECONDS = 5;

export interface ManagedMachinesDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly identity: SshIdentity;
  readonly clock?: Clock;
  /** Shared with whoever else looks at the pods. Default: its own. */
  readonly looks?: Looks | undefined;
  readonly accounts?: AccountBook | undefined;
}

const STOPPED = 'This pod is stopped.';
const START_IT = { hint: 'Start it with update_pod action "start", then call again.' };

/**
 * Where the pods of our leases are reached now. A look holds for a few seconds; when the provider does not answer, the
 * last known place goes on being used, since the pod may well be fine.
 */
export function createManagedMachines({
  store,
  providers,
  identity,
  clock = systemClock,
  looks = createLooks({ providers, clock }),
  accounts = createAccountBook({ providers, clock }),
}: ManagedMachinesDeps): Machines {
  const ledger = createLedger({ store, clock });
  const known = new Map<string, { readonly endpoint: SshEndpoint; readonly at: number }>();

  async function lookUp(podId: PodId, lease: Lease, { signal }: CallOptions) {
    if (!providers.has(providerOf(podId)))
      throw new ConfigError('config_missing', `${providerOf(podId)} is not configured.`);
    recall(lease, providers);
    const maxAge = Math.max(FRESH_SECONDS, looks.paceSeconds(providerOf(podId)));
    const pod = await untilAborted(looks.find(podId, maxAge), signal);
    // Under the same number another account may have a machine of somebody else.
    if (pod?.label !== lease.label) await accounts.refuseStrange(lease);
    const endpoint = pod === undefined ? undefined : chosenWay(lease, pod);
    if (pod === undefined || endpoint === undefined)
      throw new RemoteError(
        'pod_not_ready',
        'The provider does not say yet how to reach this pod.',
      );
    if (pod.status === 'stopped') throw new RemoteError('pod_not_ready', STOPPED, START_IT);
    return endpoint;
  }

  return {
    async endpoint(podId, options) {
      const lease = await ledger.find(podId);
      if (lease === undefined)
        throw new InputError('not_found', 'This server does not manage a pod of that id.');
      if (lease.state === 'closed') throw new RemoteError('pod_gone', 'This pod is gone.');
      if (lease.podId === undefined)
        throw new RemoteError('pod_not_ready', 'The provider has not named this pod yet.');
      if (lease.stoppedAt !== undefined) throw new RemoteError('pod_not_ready', STOPPED, START_IT);
      const now = clock.now().getTime();
      const last = known.get(lease.leaseId);
      // A clock that was set back makes no place fresh.
      const isSameWay = last?.endpoint.route === (lease.endpoint?.route ?? last?.endpoint.route);
      if (last !== undefined && isSameWay && Math.abs(now - last.at) < FRESH_SECONDS * 1000)
        return last.endpoint;
      try {
        const found = await lookUp(lease.podId, lease, options);
        const endpoint = { ...found, keyPath: found.keyPath ?? identity.keyPath };
        known.set(lease.leaseId, { endpoint, at: now });
        return endpoint;
      } catch (failure) {
        options.signal.throwIfAborted();
        const isDown =
          !isAppError(failure) || failure.retryable || failure.code === 'provider_contract';
        if (last !== undefined && isDown && !(failure instanceof RemoteError)) return last.endpoint;
        throw failure;
      }
    },
  };
}
