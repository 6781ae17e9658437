import type { CallOptions, Clock } from '../core/call.ts';
import { toAppError } from '../core/errors.ts';
import { PROVIDER_NAMES, type ProviderName } from '../core/ids.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import type { Offers, ProviderReading } from '../core/pods.ts';
import type { Provider, Providers } from '../core/provider.ts';
import { usd, usdFor } from './money.ts';
import { appliedFilters, failedFilters, withoutFilters } from './offer-filter.ts';

const PROVIDER_LIMIT_SECONDS = 30;

export interface OffersDeps {
  readonly providers: Providers;
  readonly clock: Clock;
}
interface Answer {
  readonly reading: ProviderReading;
  readonly offers: readonly Offer[];
}

/** Asks every cloud at once. One that fails shows its error and hides nothing of the others. */
export function createOffers({ providers, clock }: OffersDeps): Offers {
  const ask = async (
    name: ProviderName,
    query: OfferQuery,
    { signal }: CallOptions,
  ): Promise<Answer> => {
    const provider = providers.get(name);
    if (provider === undefined)
      return { reading: { provider: name, ok: false, error: notConfigured(name) }, offers: [] };
    try {
      return {
        reading: { provider: name, ok: true },
        offers: await boundedOffers(provider, query, signal),
      };
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message } = toAppError(thrown, signal);
      return { reading: { provider: name, ok: false, error: `${code}: ${message}` }, offers: [] };
    }
  };

  return {
    async find({ providers: named, limit, ...query }, options) {
      const names = named.length > 0 ? [...new Set(named)] : [...providers.keys()];
      const mayRehearse = named.includes('local') || !hasCloud(providers);
      const isListed = ({ rehearsal }: Offer): boolean => rehearsal !== true || mayRehearse;
      const answers = await Promise.all(names.map(async (name) => ask(name, query, options)));
      const offers = answers
        .flatMap((answer) => answer.offers)
        .filter((offer) => isListed(offer) && failedFilters(offer, query).length === 0)
        .sort(byOrder)
        .slice(0, limit);
      return {
        offers: offers.map((offer, rank) => ({ ...offer, why: whyOf(offer, rank, query) })),
        applied: { ...appliedFilters(query), providers: names, limit },
        relaxations:
          offers.length > 0
            ? []
            : countRelaxed(
                (
                  await Promise.all(
                    names.map(async (name) => ask(name, withoutFilters(query), options)),
                  )
                )
                  .flatMap((answer) => answer.offers)
                  .filter(isListed),
                query,
              ),
        providers: answers.map(({ reading }) => reading),
        snapshotAt: clock.now().toISOString(),
      };
    },
  };
}

async function boundedOffers(
  provider: Provider,
  query: OfferQuery,
  signal: AbortSignal,
): Promise<readonly Offer[]> {
  const limit = AbortSignal.timeout(PROVIDER_LIMIT_SECONDS * 1000);
  return provider.listOffers(query, { signal: AbortSignal.any([signal, limit]) });
}

export function hasCloud(providers: Providers): boolean {
  return [...providers.keys()].some((name) => name !== 'local' && name !== 'ssh');
}

/** A cloud that this version has no way to rent on. */
export function cannotRentOn(name: ProviderName): string {
  return `This version cannot rent on ${name}. What works: pods of this machine (local), and machines that the user already has (ssh_profile).`;
}

function notConfigured(name: ProviderName): string {
  return PROVIDER_NAMES.includes(name) && name !== 'local' && name !== 'ssh'
    ? `unsupported: ${cannotRentOn(name)}`
    : `config_missing: ${name} is not available here.`;
}

/** Real machines first, then by what they cost, then by a stable name (OF-03). */
function byOrder(a: Offer, b: Offer): number {
  return (
    Number(a.rehearsal === true) - Number(b.rehearsal === true) ||
    a.usdPerHour - b.usdPerHour ||
    (b.reliability ?? 0) - (a.reliability ?? 0) ||
    (a.offerId < b.offerId ? -1 : 1)
  );
}

/** How many offers each single filter shuts out on its own (OF-05). */
function countRelaxed(
  offers: readonly Offer[],
  query: OfferQuery,
): readonly { readonly drop: string; readonly wouldMatch: number }[] {
  const counts = new Map<string, number>();
  for (const offer of offers) {
    const [only, ...more] = failedFilters(offer, query);
    if (only !== undefined && more.length === 0) counts.set(only, (counts.get(only) ?? 0) + 1);
  }
  return [...counts]
    .map(([drop, wouldMatch]) => ({ drop, wouldMatch }))
    .sort((a, b) => b.wouldMatch - a.wouldMatch);
}

/** Our own words and the offer's numbers. */
function whyOf(offer: Offer, rank: number, { expectedHours }: OfferQuery): string {
  const parts = [
    offer.rehearsal === true
      ? 'rehearsal: no GPU, costs nothing'
      : rank === 0
        ? 'cheapest that fits'
        : `${usd(offer.usdPerHour)} an hour in all`,
    ...(offer.reliability === undefined
      ? []
      : [`reliability ${(offer.reliability * 100).toFixed(1)} %`]),
    ...(offer.pricing === 'interruptible' ? ['may be taken away at any time'] : []),
    ...(expectedHours === undefined || offer.usdPerHour === 0
      ? []
      : [`about ${usd(usdFor(expectedHours * 60, offer.usdPerHour))} for ${expectedHours} h`]),
  ];
  return parts.join(', ');
}
