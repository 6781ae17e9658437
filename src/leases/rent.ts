import type { Clock } from '../core/call.ts';
import { ConfigError } from '../core/errors.ts';
import { providerOf, randomToken } from '../core/ids.ts';
import type { Attempt, Lease, Quote } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { Collections, Store } from '../core/store.ts';
import { checkLimits, type Limits } from './limits.ts';
import { bindingMinutes, minutesAfter } from './money.ts';
import { priceOf, validQuote } from './quotes.ts';

export interface Rent {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly processId: string;
}
export type Approval = NonNullable<Quote['approvedBy']>;

/** The lease that renting this offer under this quote would be. Nothing is written. */
export function leaseFor(
  offer: Offer,
  quote: Quote,
  approvedBy: Approval,
  attempts: readonly Attempt[],
  { clock, processId }: Pick<Rent, 'clock' | 'processId'>,
): Lease {
  const { terms } = quote;
  const now = clock.now();
  const usdPerHour = priceOf(offer, terms);
  const token = randomToken();
  return {
    leaseId: `lea_${token}`,
    label: `gl-${token}`,
    provider: providerOf(offer.offerId),
    offer,
    terms,
    quoteId: quote.quoteId,
    approvedBy,
    state: 'intended',
    name: terms.name ?? `pod-${token.slice(0, 6)}`,
    usdPerHour,
    createdAt: now.toISOString(),
    deadlineAt: minutesAfter(now, bindingMinutes(terms, usdPerHour)),
    ...(terms.budgetUsd === undefined ? {} : { budgetUsd: terms.budgetUsd }),
    creator: processId,
    stages: [],
    stage: 'requested',
    attempts: [...attempts],
  };
}

/**
 * In one transaction: the limits hold over all leases of the machine, the quote is used up by its first lease, and the
 * intent is on disk. Throws `budget_exceeded`, `quote_invalid`, `state_unreadable`; then nothing has changed.
 */
export async function intend(
  lease: Lease,
  quote: Quote,
  isFirst: boolean,
  { store, clock, limits }: Rent,
): Promise<void> {
  await store.transaction(async (tx) => {
    const now = clock.now();
    if (isFirst) {
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
