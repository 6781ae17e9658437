import type { CallOptions, Clock } from '../core/call.ts';
import { hasPassed } from '../core/call.ts';
import { InputError, isAppError, PolicyError } from '../core/errors.ts';
import {
  newQuoteId,
  type OfferId,
  type ProviderName,
  providerOf,
  type QuoteId,
} from '../core/ids.ts';
import type { Quote, Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { Providers } from '../core/provider.ts';
import type { Collections, Store } from '../core/store.ts';
import { costNotes } from './cost-notes.ts';
import { bindingMinutes, minutesAfter, roundUsd, usd, usdFor } from './money.ts';
import { EVERYTHING } from './offer-filter.ts';
import { cannotRentOn } from './offer-sources.ts';
import { arrangedNotes } from './quote-notes.ts';

export const QUOTE_MINUTES = 5;
const DAY_MS = 86_400_000;

/** What this offer costs under these terms: the bid where one is made. Throws `invalid_input` for a bid out of place. */
export function priceOf(offer: Offer, { bidUsdPerHour }: Terms): number {
  if (offer.pricing === 'interruptible' && bidUsdPerHour === undefined)
    throw new InputError(
      'invalid_input',
      `An interruptible offer needs bidUsdPerHour.${leastBid(offer)}`,
    );
  if (offer.pricing === 'on_demand' && bidUsdPerHour !== undefined)
    throw new InputError('invalid_input', 'bidUsdPerHour goes with interruptible offers only.');
  // A bid is for the GPUs; the disk is charged beside it.
  return bidUsdPerHour === undefined
    ? offer.usdPerHour
    : bidUsdPerHour + (offer.diskUsdPerHour ?? 0);
}

function leastBid({ minBidUsdPerHour: least, gpuUsdPerHour: gpu }: Offer): string {
  const bid = least ?? gpu;
  return bid === undefined
    ? ''
    : ` The lowest bid now (minBidUsdPerHour) is $${bid.toFixed(4)} an hour.`;
}

/**
 * Binds offers, price, disk, deadline and budget for five minutes, with what the offers cost beside their price among the notes.
 * Throws `budget_exceeded` when the budget buys nothing.
 */
export function quoteFor(
  terms: Terms,
  offers: readonly Offer[],
  clock: Clock,
  notes: readonly string[] = [],
): Quote {
  const now = clock.now();
  checkTtl(terms.ttlMinutes);
  const usdPerHour = Math.max(...offers.map((offer) => priceOf(offer, terms)));
  const { expectedHours } = terms;
  const shown = arrangedNotes(
    [...notes, ...costNotes(terms, offers)],
    offers.map(({ offerId }) => offerId),
  );
  const most = offers.map((offer) => {
    const price = priceOf(offer, terms);
    return usdFor(bindingMinutes(terms, price), price);
  });
  if (bindingMinutes(terms, usdPerHour) < 1)
    throw new PolicyError(
      'budget_exceeded',
      'budgetUsd pays for less than a minute of this offer.',
      {
        hint: `It costs ${usd(usdPerHour)} an hour: ask the user for a budgetUsd that pays for the work.`,
      },
    );
  return {
    quoteId: newQuoteId(),
    terms: { ...terms, offerIds: offers.map(({ offerId }) => offerId) },
    usdPerHour: roundUsd(usdPerHour),
    maxUsd: roundUsd(Math.max(...most)),
    ...(expectedHours === undefined
      ? {}
      : { expectedUsd: Math.min(usdFor(expectedHours * 60, usdPerHour), Math.max(...most)) }),
    offers: [...offers],
    ...(shown.length === 0 ? {} : { notes: [...shown] }),
    createdAt: now.toISOString(),
    expiresAt: minutesAfter(now, QUOTE_MINUTES),
  };
}

/** Throws `invalid_input` for a time in which no pod could be of use. */
export function checkTtl(ttlMinutes: number | undefined): void {
  if (ttlMinutes !== undefined && !(ttlMinutes >= 1))
    throw new InputError('invalid_input', 'ttlMinutes must be at least 1.');
}

/** Keeps a quote until it is used; forgets unused ones of days before. */
export async function keepQuote(store: Store, quote: Quote, clock: Clock): Promise<void> {
  const dayAgo = new Date(clock.now().getTime() - DAY_MS).toISOString();
  await store.transaction(async (tx) => {
    for (const { quoteId, usedAt, expiresAt } of await tx.quotes.list())
      if (usedAt === undefined && expiresAt < dayAgo) await tx.quotes.delete(quoteId);
    await tx.quotes.put(quote.quoteId, quote);
  });
}

/** Throws `quote_invalid` unless the quote is known, fresh and unused. */
export async function validQuote(
  quotes: Collections['quotes'],
  quoteId: QuoteId,
  clock: Clock,
): Promise<Quote> {
  const quote = await quotes.get(quoteId);
  if (quote === undefined) throw new PolicyError('quote_invalid', 'There is no such quote.');
  if (quote.usedAt !== undefined)
    throw new PolicyError('quote_invalid', 'This quote has been used.');
  if (hasPassed(quote.expiresAt, clock))
    throw new PolicyError('quote_invalid', 'This quote has expired.');
  return quote;
}

/**
 * The offer as it is sold now, `undefined` when it is gone. Throws `unsupported` for a cloud that is not there and
 * what the provider throws.
 */
export async function freshOffer(
  providers: Providers,
  offerId: OfferId,
  terms: Terms,
  options: CallOptions,
): Promise<Offer | undefined> {
  const sold = await soldNow(providers, providerOf(offerId), [offerId], terms, options);
  return sold.find((offer) => offer.offerId === offerId);
}

/** Those of one cloud's offers that are still sold, with as few questions as the cloud allows. */
async function soldNow(
  providers: Providers,
  name: ProviderName,
  offerIds: readonly OfferId[],
  terms: Terms,
  options: CallOptions,
): Promise<readonly Offer[]> {
  const provider = providers.get(name);
  if (provider === undefined || name === 'ssh')
    throw new InputError('unsupported', cannotRentOn(name), {
      hint: 'Use an offerId that find_offer answers with; for a machine of the user use ssh_profile.',
    });
  const query = { diskGb: terms.diskGb, interruptible: terms.bidUsdPerHour !== undefined };
  const [only, ...others] = offerIds;
  if (provider.getOffers !== undefined && others.length > 0)
    return provider.getOffers(offerIds, query, options);
  const { getOffer } = provider;
  if (getOffer === undefined) return provider.listOffers({ ...EVERYTHING, ...query }, options);
  if (only !== undefined && others.length === 0)
    return [await getOffer(only, query, options)].filter((offer) => offer !== undefined);
  const looks = await Promise.allSettled(
    offerIds.map(async (offerId) => getOffer(offerId, query, options)),
  );
  const sold = looks.flatMap((look) => (look.status === 'fulfilled' ? (look.value ?? []) : []));
  const failure = looks.find((look) => look.status === 'rejected');
  if (sold.length === 0 && failure !== undefined) throw failure.reason;
  return sold;
}

/**
 * Those of the candidates that are still sold, in order, each once. When none is, throws `offer_gone`, or what the provider threw
 * for the first that could not be looked up.
 */
export async function freshOffers(
  providers: Providers,
  terms: Terms,
  options: CallOptions,
): Promise<readonly Offer[]> {
  const wanted = [...new Set(terms.offerIds)];
  const names = [...new Set(wanted.map(providerOf))];
  const looks = await Promise.all(
    names.map(async (name) =>
      soldNow(
        providers,
        name,
        wanted.filter((offerId) => providerOf(offerId) === name),
        terms,
        options,
      ).catch((failure: unknown) => {
        options.signal.throwIfAborted();
        if (isAppError(failure)) return failure;
        throw failure;
      }),
    ),
  );
  const sold = new Map(
    looks.flatMap((look) => (isAppError(look) ? [] : look)).map((offer) => [offer.offerId, offer]),
  );
  const offers = wanted.flatMap((offerId) => sold.get(offerId) ?? []);
  if (offers.length > 0) return offers;
  throw (
    looks.find(isAppError) ??
    new InputError(
      'offer_gone',
      `None of these offers is sold any more with a disk of ${terms.diskGb} GB.`,
      { hint: 'Call find_offer again with this diskGb and choose another offer.' },
    )
  );
}
