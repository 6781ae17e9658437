import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import { newQuoteId, type PodId, type QuoteId } from '../core/ids.ts';
import type { Quote } from '../core/lease.ts';
import type { Ask, Pods } from '../core/pods.ts';
import type { Store } from '../core/store.ts';
import { crossedBy } from './cautions.ts';
import type { Limits } from './limits.ts';
import { minutesAfter } from './money.ts';
import { keepQuote, QUOTE_MINUTES, validQuote } from './quotes.ts';
import type { Consent } from './spend-more.ts';
import { checkStatedChange } from './stated.ts';

/** A change, and whether losing work by it was agreed to. */
export type Change = Parameters<Pods['update']>[1] & {
  readonly discardUnfetched?: boolean | undefined;
};
/** Rounding, not money. */
const SLACK_USD = 0.005;

/** Keeps what nobody could be asked as a quote: five minutes, once, for this very change of this very pod. */
export async function quoteChange(
  podId: PodId,
  change: Omit<Change, 'quoteId'>,
  { lease, what, maxUsd, discards }: Consent,
  {
    store,
    clock,
    limits,
  }: { readonly store: Store; readonly clock: Clock; readonly limits: Limits },
): Promise<Quote> {
  const now = clock.now();
  const crossed = discards === true ? [] : await crossedBy(lease, { store, clock, limits });
  const asked = Object.entries(change).filter(([, value]) => value !== undefined);
  const quote: Quote = {
    quoteId: newQuoteId(),
    terms: lease.terms,
    usdPerHour: lease.usdPerHour,
    maxUsd,
    offers: [lease.offer],
    notes: [what, ...crossed],
    createdAt: now.toISOString(),
    expiresAt: minutesAfter(now, QUOTE_MINUTES),
    change: {
      podId,
      ...Object.fromEntries(asked),
      ...(discards === true ? { discardUnfetched: true } : {}),
    },
  };
  await keepQuote(store, quote, clock);
  return quote;
}

/**
 * The change that was agreed to, and who may be asked about it: nobody but the quote, up to its price. Its time counts from when
 * it was made. The quote is used up. Throws `quote_invalid`, also where `stated` is not what it says.
 */
export async function takeChange(
  podId: PodId,
  quoteId: QuoteId,
  stated: Omit<Change, 'quoteId'>,
  { store, clock }: { readonly store: Store; readonly clock: Clock },
): Promise<{ readonly change: Omit<Change, 'quoteId'>; readonly ask: Ask }> {
  return store.transaction(async (tx) => {
    const quote = await validQuote(tx.quotes, quoteId, clock);
    const { maxUsd, createdAt } = quote;
    if (quote.change?.podId !== podId)
      throw new PolicyError('quote_invalid', 'This quote is not for a change of this pod.', {
        hint: 'Call update_pod without quoteId for a fresh quote and show it to the user.',
      });
    checkStatedChange(stated, quote.change);
    const now = clock.now();
    await tx.quotes.put(quoteId, { ...quote, usedAt: now.toISOString(), approvedBy: 'quote' });
    const minutes = Math.max(0, now.getTime() - Date.parse(createdAt)) / 60_000;
    const { change } = quote;
    const { ttlMinutes } = change;
    return {
      change: {
        ...change,
        ...(ttlMinutes === undefined ? {} : { ttlMinutes: Math.max(1, ttlMinutes - minutes) }),
      },
      ask: async (question) =>
        Promise.resolve(
          (question.maxUsd ?? Infinity) <= maxUsd + SLACK_USD ? 'accepted' : 'unavailable',
        ),
    };
  });
}
