import { isAppError } from '../core/errors.ts';
import { hostIdOf } from '../core/host.ts';
import type { Attempt, Lease, Quote } from '../core/lease.ts';
import type { Secrets, SshIdentity } from '../core/machine.ts';
import type { Offer } from '../core/offer.ts';
import { type AccountBook, isSameAccount } from './account-book.ts';
import { limitOf } from './deps.ts';
import type { Looks } from './looks.ts';
import { usd } from './money.ts';
import { type OrderDeps, type Ordered, orderPod } from './order.ts';
import { freshOffer, priceOf } from './quotes.ts';
import { type Approval, intend, leaseFor, ordersIn, type Rent } from './rent.ts';
import { isStillWanted } from './succession.ts';
import { ensureKey, suppliesFor } from './supplies.ts';

const PREPARE_LIMIT_SECONDS = 60;
/** Less time than this before the deadline is not worth a machine. */
const LEAST_SECONDS = 60;

export interface RentNextDeps extends OrderDeps, Rent {
  readonly identity: SshIdentity;
  readonly secrets: Secrets;
  readonly accounts: AccountBook;
  readonly looks: Looks;
  /** Leases whose pod this process is creating now. */
  readonly creating: Set<string>;
}

export type Rented =
  | { readonly kind: 'created'; readonly lease: Lease; readonly attempts: readonly Attempt[] }
  /** A machine may exist; nothing more is rented. */
  | { readonly kind: 'unknown'; readonly ordered: Extract<Ordered, { kind: 'unknown' }> }
  /** Somebody else has replaced it, or it may not be replaced any more. */
  | { readonly kind: 'taken'; readonly lease: Lease; readonly attempts: readonly Attempt[] }
  /** No candidate is left, or the terms forbid another. */
  | { readonly kind: 'over'; readonly attempts: readonly Attempt[]; readonly why: string };

export interface Start {
  readonly quote: Quote;
  readonly approvedBy: Approval;
  /** What was tried before. */
  readonly attempts: readonly Attempt[];
  /** The closed lease whose place is taken. Absent: the first of its quote. */
  readonly before?: Lease | undefined;
  /** Offers as they were sold a moment ago. Absent: they are asked for. */
  readonly fresh?: readonly Offer[] | undefined;
}

/**
 * Rents the first candidate of the quote that can be had: in its order, never dearer than agreed, at most `maxAttempts` orders
 * in all, each failed one gone before the next. Throws, with nothing rented, what forbids the very first order.
 */
export async function rentNext(start: Start, deps: RentNextDeps): Promise<Rented> {
  const last: Last = { before: start.before };
  try {
    return await rentAfter(last, start, deps);
  } catch (failure) {
    // Of a pod that failed another server may make up for it; nobody does for an order that was refused.
    if (last.before !== undefined && last.before.podId === undefined)
      await deps.ledger.settleForGood(last.before);
    throw failure;
  }
}

/** The closed lease whose place is taken next. */
interface Last {
  before: Lease | undefined;
}

async function rentAfter(last: Last, start: Start, deps: RentNextDeps): Promise<Rented> {
  const { quote, approvedBy } = start;
  const { ledger, store, providers, clock } = deps;
  const attempts = [...start.attempts];
  const skip = (offer: Offer, reason: string): void => {
    attempts.push({ offerId: offer.offerId, reason, cleanup: 'nothing_created' });
  };
  const over = async (why: string): Promise<Rented> => {
    if (last.before !== undefined) await ledger.settleForGood(last.before);
    return { kind: 'over', attempts, why };
  };
  for (const candidate of quote.offers) {
    const { before } = last;
    if (attempts.some(({ offerId }) => offerId === candidate.offerId)) continue;
    if (ordersIn(attempts) >= quote.terms.maxAttempts) return over('maxAttempts is reached.');
    if (isOnFailedMachine(candidate, attempts, quote)) {
      skip(candidate, 'Another candidate on the same machine failed a moment ago.');
      continue;
    }
    const offer = await soldNow(candidate, start, deps);
    if (offer === undefined) {
      if (start.fresh === undefined) skip(candidate, 'offer_gone: it is not sold any more.');
      continue;
    }
    const dearer = dearerThanAgreed(candidate, offer, quote);
    if (dearer !== undefined) {
      skip(candidate, dearer);
      continue;
    }
    const options = { signal: limitOf(PREPARE_LIMIT_SECONDS) };
    const supplies = await suppliesFor(quote.terms, deps, options);
    await ensureKey(providers.get(offer.provider), supplies.sshPublicKey, options);
    const account = await deps.accounts.of(offer.provider);
    if (isOtherAccount(before, account))
      return over('This server is pointed at another account by now.');
    const lease = {
      ...leaseFor(offer, quote, approvedBy, attempts, deps, before),
      ...(account === undefined ? {} : { account }),
    };
    const secondsLeft = (Date.parse(lease.deadlineAt) - clock.now().getTime()) / 1000;
    if (before !== undefined && secondsLeft < LEAST_SECONDS)
      return over('The deadline or the budget leaves no time.');
    // A computer that slept, or a cloud that was slow: by now the lists say that nothing follows.
    if (before !== undefined && !isStillWanted(before, clock.now()))
      return over('It took so long that nobody waits for it any more.');
    deps.creating.add(lease.leaseId);
    let ordered: Ordered;
    try {
      if (!(await intend(lease, quote, before, deps)))
        return { kind: 'taken', lease: await ledger.newest(before ?? lease), attempts };
      ordered = await orderPod(lease, supplies, deps);
    } finally {
      deps.creating.delete(lease.leaseId);
      deps.accounts.forget(lease.provider);
      deps.looks.forgetVolumes(lease.provider);
    }
    if (ordered.kind === 'created') return { kind: 'created', lease: ordered.lease, attempts };
    if (ordered.kind === 'unknown') return { kind: 'unknown', ordered };
    const refused = (await store.leases.get(lease.leaseId)) ?? lease;
    last.before = refused;
    attempts.push({
      offerId: offer.offerId,
      reason: ordered.reason,
      cleanup: ordered.cleanup,
      stage: refused.stage,
      ...(refused.podId === undefined ? {} : { podId: refused.podId }),
    });
  }
  return over('No other candidate was agreed to.');
}

/** What was agreed to was the money of one account. */
function isOtherAccount(before: Lease | undefined, present: string | undefined): boolean {
  const { account } = before ?? {};
  return account !== undefined && present !== undefined && !isSameAccount(account, present);
}

/** A machine whose pod came to be and failed is not tried again under another offer (OF-15). */
function isOnFailedMachine(
  candidate: Offer,
  attempts: readonly Attempt[],
  { offers }: Quote,
): boolean {
  const hostId = hostIdOf(candidate);
  return (
    hostId !== undefined &&
    attempts.some(
      ({ offerId, cleanup }) =>
        cleanup !== 'nothing_created' &&
        offers.some((offer) => offer.offerId === offerId && hostIdOf(offer) === hostId),
    )
  );
}

async function soldNow(
  { offerId }: Offer,
  { fresh, quote }: Start,
  { providers }: RentNextDeps,
): Promise<Offer | undefined> {
  if (fresh !== undefined) return fresh.find((offer) => offer.offerId === offerId);
  const signal = limitOf(PREPARE_LIMIT_SECONDS);
  try {
    return await freshOffer(providers, offerId, quote.terms, { signal });
  } catch (failure) {
    // A cloud that does not tell the price is not rented from.
    if (isAppError(failure) || signal.aborted) return undefined;
    throw failure;
  }
}

function dearerThanAgreed(quoted: Offer, offer: Offer, { terms }: Quote): string | undefined {
  const agreed = priceOf(quoted, terms);
  const price = priceOf(offer, terms);
  return price > agreed + 0.000_001
    ? `price_changed: the price rose from ${usd(agreed)} to ${usd(price)} an hour.`
    : undefined;
}
