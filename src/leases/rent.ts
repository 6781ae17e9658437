import type { Clock } from '../core/call.ts';
import { ConfigError } from '../core/errors.ts';
import { providerOf, randomToken } from '../core/ids.ts';
import type { Attempt, Lease, Quote } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { Collections, Store } from '../core/store.ts';
import { handleOf, without } from './ledger.ts';
import { checkLimits, type Limits } from './limits.ts';
import { bindingMinutes, minutesAfter, spentUsd } from './money.ts';
import { newVolumeOf } from './new-volume.ts';
import { priceOf, validQuote } from './quotes.ts';

export interface Rent {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly processId: string;
}
export type Approval = NonNullable<Quote['approvedBy']>;

/**
 * The lease that renting this offer under this quote would be. One that takes the place of `before` keeps its name and ends
 * no later than it; what `before` cost is taken from the budget. Nothing is written.
 */
export function leaseFor(
  offer: Offer,
  quote: Quote,
  approvedBy: Approval,
  attempts: readonly Attempt[],
  { clock, processId }: Pick<Rent, 'clock' | 'processId'>,
  before?: Lease,
): Lease {
  const { terms } = quote;
  const now = clock.now();
  const usdPerHour = priceOf(offer, terms);
  const token = randomToken();
  const newVolume = newVolumeOf(terms, `gl-${token}`);
  const budgetUsd =
    before?.budgetUsd === undefined
      ? terms.budgetUsd
      : Math.max(0.000_001, before.budgetUsd - spentUsd(before, now));
  const binding = {
    ttlMinutes: terms.ttlMinutes,
    ...(budgetUsd === undefined ? {} : { budgetUsd }),
  };
  const own = minutesAfter(now, bindingMinutes(binding, usdPerHour));
  const deadlineAt = before !== undefined && before.deadlineAt < own ? before.deadlineAt : own;
  const tried = [...attempts.map(({ offerId }) => offerId), offer.offerId];
  const replaces = before?.podId ?? before?.replaces;
  return {
    leaseId: `lea_${token}`,
    label: `gl-${token}`,
    provider: providerOf(offer.offerId),
    offer,
    terms,
    quoteId: quote.quoteId,
    approvedBy,
    state: 'intended',
    name: before?.name ?? terms.name ?? `pod-${token.slice(0, 6)}`,
    usdPerHour,
    createdAt: now.toISOString(),
    deadlineAt,
    ...(budgetUsd === undefined ? {} : { budgetUsd }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(ordersIn(attempts) + 1 < terms.maxAttempts &&
    quote.offers.some(({ offerId }) => !tried.includes(offerId))
      ? { mayReplace: true }
      : {}),
    ...(newVolume === undefined ? {} : { newVolume }),
    creator: processId,
    stages: [],
    stage: 'requested',
    attempts: [...attempts],
  };
}

/** How many of the attempts were orders; the others were passed over. */
export function ordersIn(attempts: readonly Attempt[]): number {
  return attempts.filter(({ stage }) => stage !== undefined).length;
}

/**
 * In one transaction: the limits hold over all leases of the machine, the quote is used up by its first lease, and the
 * intent is on disk. A lease that takes the place of `before` is the only one that ever does: `false` where another came first,
 * or where `before` may not be replaced any more. Throws `budget_exceeded`, `quote_invalid`, `state_unreadable`; then, as with
 * `false`, nothing has changed.
 */
export async function intend(
  lease: Lease,
  quote: Quote,
  before: Lease | undefined,
  { store, clock, limits }: Rent,
): Promise<boolean> {
  return store.transaction(async (tx) => {
    const now = clock.now();
    if (before !== undefined) {
      const old = await tx.leases.get(before.leaseId);
      if (old?.state !== 'closed' || old.replacedBy !== undefined || old.mayReplace !== true)
        return false;
      await tx.leases.put(old.leaseId, {
        ...without(old, 'mayReplace'),
        replacedBy: handleOf(lease),
      });
    } else {
      const known = await tx.quotes.get(quote.quoteId);
      if (known !== undefined) await validQuote(tx.quotes, quote.quoteId, clock);
      const used = { ...quote, usedAt: now.toISOString(), approvedBy: approvalOf(lease) };
      await tx.quotes.put(quote.quoteId, used);
    }
    checkLimits(lease, await readableLeases(tx), limits, now);
    await tx.leases.put(lease.leaseId, lease);
    await tx.log.append({
      at: now.toISOString(),
      kind: 'intended',
      podId: `${lease.provider}:${lease.label}`,
      text: `Allowed by ${lease.approvedBy}, at most $${lease.usdPerHour} an hour until ${lease.deadlineAt}.`,
    });
    return true;
  });
}

function approvalOf({ approvedBy }: Lease): Approval {
  return approvedBy === 'adopted' ? 'form' : approvedBy;
}

/** All leases; a lease that cannot be read may cost money nobody counts, so nothing more is spent. */
export async function readableLeases(tx: Collections): Promise<readonly Lease[]> {
  const unreadable = (await tx.leases.unreadable?.()) ?? [];
  if (unreadable.length > 0)
    throw new ConfigError(
      'state_unreadable',
      `${unreadable.length} leases cannot be read, so the limits cannot be checked.`,
    );
  return tx.leases.list();
}
