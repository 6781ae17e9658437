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
      const isCharged = request.terms.offerIds.some((offerId) => providerOf(offerId) !== 'local');
      // Without a quote most calls only make one; what is rented at once is seen in the next round.
      if (isCharged && request.quoteId !== undefined) await watcher.ensure({ isRenting: true });
      const outcome = await pods.create(request, options);
      if (isCharged && outcome.status !== 'needs_confirmation') await watcher.ensure();
      return outcome;
    },
    async update(podId, request, options) {
      const isCharged = providerOf(podId) !== 'local' && providerOf(podId) !== 'ssh';
      if (isCharged && (request.adopt === true || request.action === 'start'))
        await watcher.ensure({ isRenting: true });
      return pods.update(podId, request, options);
    },
  };
}
