import type { CallOptions } from '../../core/call.ts';
import { InputError, isAppError, ProviderError } from '../../core/errors.ts';
import type { PodId } from '../../core/ids.ts';
import type { PodBids, PodPower } from '../../core/provider.ts';
import type { VastApi } from './api.ts';
import { isRefusal, refusalOf, vastFailure } from './failure.ts';
import { numberOf } from './ids.ts';
import type { RecentOrders } from './recent.ts';

export interface PowerDeps {
  readonly api: VastApi;
  readonly recent: Pick<RecentOrders, 'remember'>;
}

/** The number behind a pod id. Throws `not_found` for an id that Vast.ai never gives. */
export function contractOf(podId: PodId): number {
  const contract = numberOf(podId);
  if (contract === undefined)
    throw new InputError('not_found', `No Vast.ai pod has the id ${podId}.`);
  return contract;
}

/** Stop frees the GPU and keeps the disk, charged; restart keeps both. */
export function createPower({ api, recent }: PowerDeps): PodPower {
  /** A refused start stays queued, and would bill when the GPU is free: it is taken back before anybody is told. */
  async function takeBack(contract: number, podId: PodId, cause: unknown): Promise<never> {
    try {
      // Not the caller's signal: whoever gives up now would leave the start queued.
      await api.setState(contract, 'stopped', { signal: AbortSignal.timeout(60_000) });
    } catch (failure) {
      throw new ProviderError(
        'outcome_unknown',
        `The start of ${podId} was refused, but is queued and could not be taken back: it may start, and be charged, later.`,
        { cause: failure, hint: `Call update_pod with action "stop" for ${podId}, or destroy it.` },
      );
    }
    recent.remember(contract, 'stop');
    throw new ProviderError(
      'no_capacity',
      'The GPU of this pod is rented by somebody else now. The queued start was taken back; the disk is still charged.',
      { cause, hint: 'Try again later, or destroy the pod and rent another offer.' },
    );
  }

  async function startPod(podId: PodId, options: CallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const contract = contractOf(podId);
    const answer = await api.start(contract, options);
    if (answer.status < 300 && !isRefusal(answer.body)) {
      recent.remember(contract, 'start');
      return;
    }
    const failure = vastFailure(answer, 'The start', true);
    if (refusalOf(answer) === 'unavailable') await takeBack(contract, podId, failure);
    throw failure;
  }

  return {
    async stopPod(podId, options) {
      options.signal.throwIfAborted();
      const contract = contractOf(podId);
      await api.setState(contract, 'stopped', options);
      recent.remember(contract, 'stop');
    },
    startPod,
    async restartPod(podId, options) {
      options.signal.throwIfAborted();
      const contract = contractOf(podId);
      await api.reboot(contract, options);
      recent.remember(contract, 'start');
    },
  };
}

/** The bid of an interruptible pod, for the whole machine. */
export function createBids(api: VastApi): PodBids {
  return {
    async changeBid(podId, usdPerHour, options) {
      options.signal.throwIfAborted();
      const contract = contractOf(podId);
      const row = await api.show(contract, options);
      if (row === undefined) throw new InputError('not_found', `${podId} is gone.`);
      if (row.is_bid === false)
        throw new InputError('unsupported', 'This pod is on demand: it has no bid to change.', {
          hint: 'Rent an interruptible offer to bid.',
        });
      const gpus = Math.max(1, row.num_gpus ?? 1);
      const least = Math.max(0.001, row.min_bid ?? 0);
      if (usdPerHour < least || usdPerHour > 32 * gpus)
        throw new InputError(
          'invalid_input',
          `A bid for this pod must be between $${least.toFixed(4)} and $${(32 * gpus).toFixed(2)} an hour.`,
        );
      await api.bid(contract, usdPerHour, options);
      if (gpus > 1) await correctUnit(contract, usdPerHour, gpus, options);
    },
  };

  /** Vast.ai's own words differ on whether the bid is per machine or per GPU: what the contract says afterwards decides. */
  async function correctUnit(
    contract: number,
    usdPerHour: number,
    gpus: number,
    options: CallOptions,
  ): Promise<void> {
    const after = await api.show(contract, options).catch((failure: unknown) => {
      options.signal.throwIfAborted();
      if (isAppError(failure)) return undefined;
      throw failure;
    });
    const isPerGpu = Math.abs((after?.dph_base ?? 0) / (usdPerHour * gpus) - 1) < 0.02;
    if (isPerGpu) await api.bid(contract, usdPerHour / gpus, options);
  }
}
