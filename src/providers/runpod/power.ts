import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { PodId } from '../../core/ids.ts';
import type { PodBids, PodPower } from '../../core/provider.ts';
import { nameOf } from './ids.ts';
import type { PodOrders } from './orders.ts';
import type { PodApi } from './pod-api.ts';
import type { Recent } from './recent.ts';
import type { PodRow } from './rows.ts';

export interface PowerDeps {
  readonly api: Pick<PodApi, 'pod'>;
  readonly orders: PodOrders;
  readonly recent: Pick<Recent, 'remember'>;
}

/** A stop gives the GPU to others and wipes the container disk; the disk at /workspace is kept, charged, on the same machine. */
export function createPower({ api, orders, recent }: PowerDeps): PodPower {
  const lockedError = (): InputError =>
    new InputError('unsupported', 'This pod is locked in the RunPod console.', {
      hint: 'Ask the user to unlock it there, then call again.',
    });
  return {
    async stopPod(podId, options) {
      options.signal.throwIfAborted();
      const row = await rowOf(api, podId, options);
      if (row.isLocked) throw lockedError();
      if (row.status !== 'EXITED') await orders.stop(row.id, options);
      recent.remember(row.id, 'stop');
    },
    async startPod(podId, options) {
      options.signal.throwIfAborted();
      const row = await rowOf(api, podId, options);
      if (row.isSpot && row.status === 'EXITED') {
        const least = row.lowestBidUsd;
        throw new InputError(
          'unsupported',
          `An interruptible pod starts again with a bid${least === undefined ? '' : `: at least $${(least * row.gpuCount).toFixed(4)} an hour`}.`,
          { hint: 'Call update_pod with bidUsdPerHour.' },
        );
      }
      if (row.status === 'EXITED') {
        await orders.start(row, options);
        recent.remember(row.id, 'start');
      }
    },
    async restartPod(podId, options) {
      options.signal.throwIfAborted();
      const row = await rowOf(api, podId, options);
      if (row.isLocked) throw lockedError();
      await orders.restart(row.id, options);
      recent.remember(row.id, 'start');
    },
  };
}

/** The bid of an interruptible pod, for the whole pod; RunPod counts per GPU. It also starts a pod that was outbid. */
export function createBids({ api, orders, recent }: PowerDeps): PodBids {
  return {
    async changeBid(podId, usdPerHour, options) {
      options.signal.throwIfAborted();
      const row = await rowOf(api, podId, options);
      const perGpu = usdPerHour / Math.max(1, row.gpuCount);
      const least = row.lowestBidUsd ?? 0;
      if (row.isSpot && perGpu < least)
        throw new InputError(
          'invalid_input',
          `The lowest bid for this pod is now $${(least * row.gpuCount).toFixed(4)} an hour.`,
        );
      await orders.bid(row, perGpu, options);
      if (row.status === 'EXITED') recent.remember(row.id, 'start');
    },
  };
}

/** Throws `not_found` for what RunPod does not have. */
async function rowOf(
  api: Pick<PodApi, 'pod'>,
  podId: PodId,
  options: CallOptions,
): Promise<PodRow> {
  const name = nameOf(podId);
  const row = name === undefined ? undefined : await api.pod(name, options);
  if (row === undefined)
    throw new InputError('not_found', `The RunPod account has no pod ${podId}.`);
  return row;
}
