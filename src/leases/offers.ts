import type { CallOptions, Clock } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import type { Hosts } from '../core/host.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import type { Offers } from '../core/pods.ts';
import type { Providers } from '../core/provider.ts';
import { gpusMeantBy, nearestGpus } from './gpu-catalog.ts';
import { gpuMatcher, gpuNameOf } from './gpu-name.ts';
import { standingOf } from './hosts.ts';
import type { Limits } from './limits.ts';
import { roundUsd } from './money.ts';
import { appliedFilters, offerFilter, withDisk, withoutFilters } from './offer-filter.ts';
import { type HostBook, hostOf, ranked, whyOf } from './offer-rank.ts';
import { elsewhereWords, shortlist } from './offer-shortlist.ts';
import { createSources, type SourceAnswer } from './offer-sources.ts';
import { notesOf, overLimit, plain, warningsOf } from './offer-warnings.ts';

export interface OffersDeps {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly hosts: Hosts;
  /** Set by the person: what is dearer is marked. */
  readonly limits?: Pick<Limits, 'maxUsdPerHour'> | undefined;
}
/** Counts of what other filters would find may be so old. */
const WIDE_LOOK_SECONDS = 30;

/** On one machine a bid and a fixed price are two offers. */
const nameOf = ({ offerId, pricing }: Offer): string => `${pricing} ${offerId}`;

interface Relaxation {
  readonly drop: string;
  readonly wouldMatch: number;
}

/**
 * Asks every cloud at once. One that fails shows its error and hides nothing of the others. Throws `invalid_input`, with the
 * nearest names, for a GPU that nobody knows and nobody sells.
 */
export function createOffers({ providers, clock, hosts, limits }: OffersDeps): Offers {
  const sources = createSources({ providers, clock });
  /** The last wide look at each cloud: who tries one filter after the other does not use up the cloud's patience. */
  const looks = new Map<
    ProviderName,
    { readonly key: string; readonly at: number; readonly answer: SourceAnswer }
  >();
  const lookWide = async (
    name: ProviderName,
    everything: OfferQuery,
    options: CallOptions,
  ): Promise<SourceAnswer> => {
    const key = JSON.stringify(everything);
    const known = looks.get(name);
    const at = clock.now().getTime();
    if (known?.key === key && at - known.at < WIDE_LOOK_SECONDS * 1000) return known.answer;
    const answer = await sources.ask(name, everything, options);
    if (answer.reading.ok) looks.set(name, { key, at, answer });
    return answer;
  };

  /** What a search that found nothing would find without one of its filters: one wide look, and one more for a query of Vast's own. */
  const relaxed = async (
    names: readonly ProviderName[],
    query: OfferQuery,
    isEligible: (offer: Offer) => boolean,
    options: CallOptions,
  ): Promise<{
    readonly relaxations: readonly Relaxation[];
    readonly wide: readonly SourceAnswer[];
  }> => {
    const everything = withoutFilters(query);
    const hasVastQuery = query.vastQuery !== undefined && names.includes('vast');
    const [wide, plainVast, steady] = await Promise.all([
      // What sells nothing by bids may sell at a fixed price.
      Promise.all(names.map(async (name) => lookWide(name, everything, options))),
      hasVastQuery ? sources.ask('vast', { ...query, vastQuery: undefined }, options) : undefined,
      query.interruptible
        ? Promise.all(
            names.map(async (name) =>
              sources.ask(name, { ...query, interruptible: false }, options),
            ),
          )
        : [],
    ]);
    const filter = offerFilter(query);
    const counts = new Map<string, number>();
    const count = (drop: string): void => {
      counts.set(drop, (counts.get(drop) ?? 0) + 1);
    };
    for (const offer of wide.flatMap(({ offers }) => offers)) {
      const [only, ...more] = filter.failed(withDisk(offer, everything.diskGb, query.diskGb));
      if (only !== undefined && more.length === 0 && isEligible(offer)) count(only);
    }
    for (const offer of plainVast?.offers ?? [])
      if (isEligible(offer) && filter.passes(offer)) count('vastQuery');
    const fixed = offerFilter({ ...query, interruptible: false });
    const seen = new Set(wide.flatMap(({ offers }) => offers.map(nameOf)));
    for (const offer of steady.flatMap(({ offers }) => offers))
      if (!seen.has(nameOf(offer)) && isEligible(offer) && fixed.passes(offer))
        count('interruptible');
    const relaxations = [...counts].map(([drop, wouldMatch]) => ({ drop, wouldMatch }));
    return { relaxations: relaxations.sort((a, b) => b.wouldMatch - a.wouldMatch), wide };
  };

  return {
    async find({ providers: named, limit, ...query }, options) {
      checkWishes(query.gpu);
      const names = named.length > 0 ? [...new Set(named)] : [...providers.keys()];
      const mayRehearse = named.includes('local') || !hasCloud(providers);
      const isListed = ({ rehearsal }: Offer): boolean => rehearsal !== true || mayRehearse;
      const [book, ...answers] = await Promise.all([
        // What is not remembered must not hide what is sold.
        hosts.all().catch((): HostBook => new Map()),
        ...names.map(async (name) => sources.ask(name, query, options)),
      ]);
      const now = clock.now();
      const isBlocked = (offer: Offer): boolean =>
        book.size > 0 && standingOf(hostOf(offer, book), now) === 'blocked';
      const filter = offerFilter(query);
      const fitting = answers
        .flatMap(({ offers }) => offers)
        .filter((offer) => isListed(offer) && filter.passes(offer));
      const free = ranked(
        fitting.filter((offer) => !isBlocked(offer)),
        book,
        now,
      );
      const answered = answers.filter(({ reading }) => reading.ok).map(({ reading }) => reading);
      const { relaxations, wide } =
        free.length > 0
          ? { relaxations: [], wide: [] }
          : await relaxed(
              answered.map(({ provider }) => provider),
              query,
              (offer) => isListed(offer) && !isBlocked(offer),
              options,
            );
      if (free.length === 0 && answered.length === answers.length)
        checkKnown(query.gpu, [...answers, ...wide]);
      const cheapestUsd = Math.min(
        ...free.filter(({ rehearsal }) => rehearsal !== true).map(({ usdPerHour }) => usdPerHour),
      );
      const notes = notesOf(query, {
        found: free.length > 0,
        blocked: fitting.filter(isBlocked),
        sold: wide.flatMap(({ offers }) => offers),
        neverInterruptible: names.filter(
          (name) =>
            (free.length === 0 || named.includes(name)) &&
            providers.get(name)?.facts.hasNoInterruptible === true,
        ),
      });
      return {
        offers: shortlist(free, limit).map(({ offer, elsewhere }) => {
          const warnings = [
            ...warningsOf(offer, query, book, now),
            ...overLimit(offer, limits?.maxUsdPerHour),
          ];
          return {
            ...offer,
            usdPerHour: roundUsd(offer.usdPerHour),
            why: `${whyOf(offer, cheapestUsd, book, query)}${elsewhereWords(elsewhere)}`,
            ...(warnings.length === 0 ? {} : { warnings }),
          };
        }),
        applied: { ...appliedFilters(query), providers: names, limit },
        relaxations,
        providers: answers.map(({ reading }) => reading),
        ...(notes.length === 0 ? {} : { notes }),
        snapshotAt: now.toISOString(),
      };
    },
  };
}

export function hasCloud(providers: Providers): boolean {
  return [...providers.keys()].some((name) => name !== 'local' && name !== 'ssh');
}

/** Refuses, before anybody is asked, a wish that names no model: "RTX", "nvidia gpu". */
function checkWishes(wishes: readonly string[]): void {
  for (const wish of wishes) if (gpuNameOf(wish).model === '') noSuchGpu(wish);
}

/** Refuses a wish that nobody knows, after all clouds were asked: what is not in our list may be sold all the same. */
function checkKnown(wishes: readonly string[], answers: readonly SourceAnswer[]): void {
  for (const wish of wishes) {
    if (gpusMeantBy(wish).length > 0) continue;
    const matches = gpuMatcher([wish]);
    const isSold = answers.some(({ offers }) =>
      offers.some(({ gpu, vramGb }) => gpu !== undefined && matches(gpu, vramGb)),
    );
    if (!isSold) noSuchGpu(wish);
  }
}

function noSuchGpu(wish: string): never {
  throw new InputError('invalid_input', `No GPU is known, or sold now, as "${plain(wish)}".`, {
    hint: `Did you mean ${nearestGpus(wish).join(', ')}? Or leave gpu out and set minVramGb.`,
  });
}
