import { type Clock, systemClock } from '../core/call.ts';
import { ConfigError, InputError, isAppError, RemoteError } from '../core/errors.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Machines, SshEndpoint, SshIdentity } from '../core/machine.ts';
import type { Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { createLedger } from './ledger.ts';

const FRESH_SECONDS = 5;

export interface ManagedMachinesDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly identity: SshIdentity;
  readonly clock?: Clock;
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
}: ManagedMachinesDeps): Machines {
  const ledger = createLedger({ store, clock });
  const known = new Map<string, { readonly endpoint: SshEndpoint; readonly at: number }>();

  async function lookUp(podId: PodId, options: Parameters<Machines['endpoint']>[1]) {
    const provider = providers.get(providerOf(podId));
    if (provider === undefined)
      throw new ConfigError('config_missing', `${providerOf(podId)} is not configured.`);
    const pod = await provider.getPod(podId, options);
    if (pod?.endpoint === undefined)
      throw new RemoteError(
        'pod_not_ready',
        'The provider does not say yet how to reach this pod.',
      );
    if (pod.status === 'stopped') throw new RemoteError('pod_not_ready', STOPPED, START_IT);
    return pod.endpoint;
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
      if (last !== undefined && Math.abs(now - last.at) < FRESH_SECONDS * 1000)
        return last.endpoint;
      try {
        const found = await lookUp(lease.podId, options);
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
