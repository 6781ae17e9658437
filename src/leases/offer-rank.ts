import { type Host, hostIdOf } from '../core/host.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import { hours } from './cost-notes.ts';
import { praiseOf, type Standing, standingOf } from './hosts.ts';
import { usd, usdFor } from './money.ts';

export type HostBook = ReadonlyMap<string, Host>;

/** A host that served us well may cost this much more and still come first; one that is in doubt must be cheaper. */
const TRUST: Readonly<Record<Standing, number>> = {
  proven: 1 / 1.1,
  unknown: 1,
  doubtful: 1.1,
  blocked: 1.1,
};

/**
 * Real machines first, then by the whole price (within 10 % a proven host comes first), then by reliability and a stable name
 * (OF-03). An offer appears once, and so does one shape at one price of one machine.
 */
export function ranked(offers: readonly Offer[], book: HostBook, now: Date): readonly Offer[] {
  const priced = offers.map((offer) => ({
    offer,
    weighed: offer.usdPerHour * (book.size === 0 ? 1 : TRUST[standingOf(hostOf(offer, book), now)]),
  }));
  priced.sort(
    (a, b) =>
      Number(a.offer.rehearsal === true) - Number(b.offer.rehearsal === true) ||
      a.weighed - b.weighed ||
      a.offer.usdPerHour - b.offer.usdPerHour ||
      (b.offer.reliability ?? 0) - (a.offer.reliability ?? 0) ||
      (a.offer.offerId < b.offer.offerId ? -1 : Number(a.offer.offerId > b.offer.offerId)),
  );
  const seen = new Set<string>();
  return priced.flatMap(({ offer }) => {
    const keys = keysOf(offer);
    const isKnown = keys.some((key) => seen.has(key));
    for (const key of keys) seen.add(key);
    return isKnown ? [] : [offer];
  });
}

export function hostOf(offer: Offer, book: HostBook): Host | undefined {
  const hostId = hostIdOf(offer);
  return hostId === undefined ? undefined : book.get(hostId);
}

function keysOf(offer: Offer): readonly string[] {
  const hostId = hostIdOf(offer);
  const { offerId, gpu = '', gpuCount, pricing, usdPerHour } = offer;
  return hostId === undefined
    ? [offerId]
    : [offerId, `${hostId} ${gpu} ${gpuCount} ${pricing} ${usdPerHour.toFixed(4)}`];
}

/** Our own words and the offer's numbers. `cheapestUsd`: an hour of the cheapest that fits. */
export function whyOf(
  offer: Offer,
  cheapestUsd: number,
  book: HostBook,
  { expectedHours }: OfferQuery,
): string {
  const { usdPerHour, reliability, pricing, rehearsal } = offer;
  const praise = praiseOf(hostOf(offer, book));
  const parts = [
    rehearsal === true
      ? 'rehearsal: no GPU, costs nothing'
      : usdPerHour <= cheapestUsd
        ? 'cheapest that fits'
        : `${usd(usdPerHour)} an hour in all`,
    ...(reliability === undefined ? [] : [`reliability ${(reliability * 100).toFixed(1)} %`]),
    ...(praise === undefined ? [] : [praise]),
    ...(pricing === 'interruptible' ? ['may be taken away at any time'] : []),
    ...(expectedHours === undefined || usdPerHour === 0
      ? []
      : [`about ${usd(usdFor(expectedHours * 60, usdPerHour))} for ${hours(expectedHours)}`]),
  ];
  return parts.join(', ');
}
