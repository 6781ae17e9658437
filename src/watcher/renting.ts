import { providerOf } from '../core/ids.ts';
import type { Pods } from '../core/pods.ts';
import type { Watcher } from '../core/watcher.ts';

/** Pods, with a watcher that lives before money is asked for: whoever dies right after leaves somebody who knows. */
export function withWatcher<P extends Pick<Pods, 'create' | 'update'>>(
  pods: P,
  watcher: Pick<Watcher, 'ensure'>,
): P {
  return {
    ...pods,
    async create(request, options) {
      const beforeRent = async (): Promise<void> => {
        await options.beforeRent?.();
        await watcher.ensure({ isRenting: true });
      };
      return pods.create(request, { ...options, beforeRent });
    },
    async update(podId, request, options) {
      const isCharged = providerOf(podId) !== 'local' && providerOf(podId) !== 'ssh';
      if (isCharged && (request.adopt === true || request.action === 'start'))
        await watcher.ensure({ isRenting: true });
      return pods.update(podId, request, options);
    },
  };
}
