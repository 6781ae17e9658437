import { ConfigError, InputError, PolicyError, RemoteError } from '../core/errors.ts';
import type { Lease, Terms } from '../core/lease.ts';
import { atMostUsd } from '../core/usd.ts';
import { handleOf } from './ledger.ts';
import { checkLimits } from './limits.ts';
import { accrued, bindingMinutes, minutesAfter, reservedUsd, spentUsd, usd } from './money.ts';
import { priceOf } from './quotes.ts';
import { approve, othersOf } from './spend-more.ts';
import type { UpdateDeps, UpdateOptions } from './update.ts';

export type BidDeps = Pick<
  UpdateDeps,
  'store' | 'providers' | 'clock' | 'limits' | 'ledger' | 'looks'
>;

/**
 * Another bid for an interruptible pod. A higher one is agreed to and counted before the cloud hears of it, a lower one after;
 * a budget goes on binding through the deadline. Throws `unsupported`, `invalid_input`, `budget_exceeded` and what the cloud
 * throws; then the old bid counts.
 */
export async function changeBid(
  lease: Lease,
  bidUsdPerHour: number,
  { ask, signal }: UpdateOptions,
  { store, providers, clock, limits, ledger, looks }: BidDeps,
): Promise<Lease> {
  const bids = providers.get(lease.provider)?.bids;
  const { podId } = lease;
  if (bids === undefined)
    throw new InputError('unsupported', `Bids cannot be changed on ${lease.provider}.`);
  if (lease.offer.pricing !== 'interruptible')
    throw new InputError('invalid_input', 'This pod is rented at a fixed price: it has no bid.');
  if (!(bidUsdPerHour > 0)) throw new InputError('invalid_input', 'bidUsdPerHour must be above 0.');
  if (podId === undefined) throw new RemoteError('pod_not_ready', 'There is no pod yet.');

  const rebid = (before: Lease, bid: Terms['bidUsdPerHour']): Lease => {
    const now = clock.now();
    const terms = { ...before.terms, ...(bid === undefined ? {} : { bidUsdPerHour: bid }) };
    const usdPerHour = priceOf(before.offer, terms);
    const { budgetUsd } = before;
    const left = Math.max(0, Date.parse(before.deadlineAt) - now.getTime()) / 60_000;
    const budgetLeft =
      budgetUsd === undefined ? {} : { budgetUsd: Math.max(0, budgetUsd - spentUsd(before, now)) };
    const minutes = bindingMinutes({ ttlMinutes: left, ...budgetLeft }, usdPerHour);
    if (minutes < 1)
      throw new PolicyError('budget_exceeded', 'The budget leaves no time at this bid.', {
        hint: 'Bid less, or give a higher budgetUsd in a call of its own first.',
      });
    return {
      ...accrued(before, now),
      terms,
      usdPerHour,
      ...(minutes < left ? { deadlineAt: minutesAfter(now, minutes) } : {}),
    };
  };
  const order = async (): Promise<void> => {
    looks.forget(podId);
    await bids.changeBid(podId, bidUsdPerHour, { signal });
    looks.forget(podId);
  };

  const wanted = rebid(lease, bidUsdPerHour);
  if (wanted.usdPerHour <= lease.usdPerHour) {
    await order();
    return ledger.update(lease.leaseId, (before) => rebid(before, bidUsdPerHour));
  }
  const now = clock.now();
  const whole = spentUsd(wanted, now) + reservedUsd(wanted, now);
  checkLimits(wanted, await othersOf(lease, store), limits, now);
  if (whole > (limits.autoApproveUsd ?? -1)) {
    const what = `bid ${usd(bidUsdPerHour)} an hour until ${wanted.deadlineAt}, at most ${usd(atMostUsd(whole))} in all`;
    await approve({ lease: wanted, what, maxUsd: whole }, `Pod ${handleOf(lease)}: ${what}?`, ask);
  }
  const after = await store.transaction(async (tx) => {
    const before = (await tx.leases.get(lease.leaseId)) ?? lease;
    if (before.state !== 'open')
      throw new InputError('unsupported', 'This pod is being destroyed.');
    const next = rebid(before, bidUsdPerHour);
    checkLimits(next, await othersOf(lease, tx), limits, clock.now());
    await tx.leases.put(lease.leaseId, next);
    return next;
  });
  try {
    await order();
  } catch (failure) {
    // Without a clear refusal the new bid may count: so it does here.
    const isRefused =
      failure instanceof InputError ||
      failure instanceof PolicyError ||
      failure instanceof ConfigError;
    if (isRefused)
      await ledger.update(lease.leaseId, (before) => ({
        ...rebid(before, lease.terms.bidUsdPerHour),
        deadlineAt: lease.deadlineAt,
      }));
    throw failure;
  }
  return after;
}
