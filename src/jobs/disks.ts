import { providerOf } from '../core/ids.ts';
import type { Disks, Platforms } from '../core/platform.ts';
import type { Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { podEndOf } from './pod-end.ts';

/** Of a machine of the user by its platform, whose meter ends with a stop; of a pod of ours by its cloud and its lease. */
export function createDisks({
  platforms,
  providers,
  store,
}: {
  readonly platforms: Platforms;
  readonly providers: Providers;
  readonly store: Store;
}): Disks {
  return async (podId, options) => {
    const known = await platforms.of(podId, { ...options, mayLook: true });
    if (known !== undefined) return { paths: known.paths, plannedEnd: 'stop' };
    const paths = providers.get(providerOf(podId))?.facts.paths;
    const end = await podEndOf(store, podId);
    return paths === undefined || end === undefined
      ? undefined
      : { paths, plannedEnd: end.onExpiry };
  };
}
