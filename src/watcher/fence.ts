import type { Provider, Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import type { WatchLock } from './lock.ts';

/** The store, in which a watcher whose time is over changes no lease any more: its transactions throw `watch_lost`. */
export function fenceStore(store: Store, lock: Pick<WatchLock, 'assert'>): Store {
  return {
    ...store,
    transaction: async (work) =>
      store.transaction(async (tx) => {
        await lock.assert(tx);
        return work(tx);
      }),
  };
}

/** The clouds, to which such a watcher gives no order any more. Questions pass. */
export function fenceProviders(providers: Providers, lock: Pick<WatchLock, 'assert'>): Providers {
  return new Map([...providers].map(([name, provider]) => [name, fenced(provider, lock)]));
}

function fenced(provider: Provider, lock: Pick<WatchLock, 'assert'>): Provider {
  const { power, restartPod, volumes } = provider;
  return {
    ...provider,
    async createPod(request, options) {
      await lock.assert();
      return provider.createPod(request, options);
    },
    async terminatePod(podId, options) {
      await lock.assert();
      await provider.terminatePod(podId, options);
    },
    ...(power === undefined
      ? {}
      : {
          power: {
            async stopPod(podId, options) {
              await lock.assert();
              await power.stopPod(podId, options);
            },
            async startPod(podId, options) {
              await lock.assert();
              await power.startPod(podId, options);
            },
            async restartPod(podId, options) {
              await lock.assert();
              await power.restartPod(podId, options);
            },
          },
        }),
    ...(restartPod === undefined
      ? {}
      : {
          async restartPod(podId, options) {
            await lock.assert();
            await restartPod(podId, options);
          },
        }),
    ...(volumes === undefined
      ? {}
      : {
          volumes: {
            listVolumes: async (options) => volumes.listVolumes(options),
            async removeVolume(volumeId, options) {
              await lock.assert();
              await volumes.removeVolume(volumeId, options);
            },
          },
        }),
  };
}
