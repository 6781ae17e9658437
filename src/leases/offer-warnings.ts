import type { ProviderName } from '../core/ids.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import { hours, SPARE_TIME } from './cost-notes.ts';
import { gpusMeantBy, namesakesOf } from './gpu-catalog.ts';
import { blemishOf } from './hosts.ts';
import { usd } from './money.ts';
import { type HostBook, hostOf } from './offer-rank.ts';
import { imageFor, troubleWith } from './workloads.ts';

/** A floor that a search has unless the caller lowers it (OF-02). */
const USUAL_RELIABILITY = 0.9;
/** From here on sending results home is money, US dollars per GB. */
const DEAR_EGRESS_USD = 0.02;
const SHOWN_NAMES = 6;
const SHOWN_PLACES = 20;

/** What is dangerous about an offer, in our own words; what its cloud says comes first (OF-02, OF-16, OF-18 to OF-20). */
export function warningsOf(
  offer: Offer,
  query: OfferQuery,
  book: HostBook,
  now: Date,
): readonly string[] {
  const { hoursLeft, reliability, egressUsdPerGb = 0 } = offer;
  const { expectedHours } = query;
  const blemish = blemishOf(hostOf(offer, book), now);
  const image = offer.rehearsal === true ? undefined : imageFor(undefined, [offer]);
  const trouble = image === undefined ? undefined : troubleWith(image, offer);
  return [
    ...(offer.warnings ?? []),
    ...(expectedHours !== undefined &&
    hoursLeft !== undefined &&
    hoursLeft < expectedHours * SPARE_TIME
      ? [`its owner ends every rental in ${hours(hoursLeft)}; ${hours(expectedHours)} are expected`]
      : []),
    ...(reliability !== undefined && reliability < USUAL_RELIABILITY
      ? [`reliability is below ${USUAL_RELIABILITY * 100} %`]
      : []),
    ...(egressUsdPerGb >= DEAR_EGRESS_USD
      ? [`sending data out costs ${usd(egressUsdPerGb)} a GB on top`]
      : []),
    ...(trouble === undefined ? [] : [`even the usual image will not do: ${trouble}`]),
    ...(blemish === undefined ? [] : [blemish]),
  ];
}

/** One pod of this alone is more than the person allows for all: renting it is refused. */
export function overLimit(
  { usdPerHour }: Offer,
  maxUsdPerHour: number | undefined,
): readonly string[] {
  return maxUsdPerHour === undefined || usdPerHour <= maxUsdPerHour
    ? []
    : [
        `cannot be rented: it costs more than GPU_LEASE_MAX_USD_PER_HOUR, ${usd(maxUsdPerHour)}, which only the user can raise`,
      ];
}

/** What a person should know about a search as a whole (OF-02, OF-07, OF-15). */
export function notesOf(
  query: OfferQuery,
  {
    found,
    blocked,
    sold = [],
    neverInterruptible = [],
  }: {
    readonly found: boolean;
    readonly blocked: readonly Offer[];
    /** What would be there with other filters. */
    readonly sold?: readonly Offer[];
    /** Clouds that were asked and sell nothing by bids, ever. */
    readonly neverInterruptible?: readonly ProviderName[];
  },
): readonly string[] {
  const left = blocked.slice(0, SHOWN_NAMES).map(({ offerId }) => offerId);
  return [
    ...query.gpu.flatMap((wish) => gpuNotes(wish, query, found)),
    ...(query.minReliability < USUAL_RELIABILITY
      ? [
          `minReliability is lowered to ${query.minReliability}: such machines fail and vanish more often.`,
        ]
      : []),
    ...(found ? [] : regionNotes(query, sold)),
    ...(query.interruptible
      ? neverInterruptible.map((name) => `${name} has no interruptible machines.`)
      : []),
    ...vastNotes(query, found),
    ...(blocked.length > 0
      ? [
          `Left out because the machine failed for us in the last 24 hours: ${left.join(', ')}${blocked.length > left.length ? ` and ${blocked.length - left.length} more` : ''}. Name one as offerId to take it all the same.`,
        ]
      : []),
  ];
}

/** Clouds name their places each in its own way; what was asked for is compared word by word. */
function regionNotes({ regions }: OfferQuery, sold: readonly Offer[]): readonly string[] {
  if (regions.length === 0) return [];
  const places = [...new Set(sold.map(({ region }) => plain(region)))].sort();
  const shown = places.slice(0, SHOWN_PLACES).join(', ');
  const more = places.length > SHOWN_PLACES ? ` and ${places.length - SHOWN_PLACES} more` : '';
  return [
    `regions are words of a place as its cloud writes it, most often a two-letter country code like "US" or "DE".${shown === '' ? '' : ` On sale now: ${shown}${more}.`}`,
  ];
}

/** What of Vast's own language does not do what it seems to. */
function vastNotes({ vastQuery = '', gpuCount }: OfferQuery, found: boolean): readonly string[] {
  return [
    ...(/\bnum_gpus\b/.test(vastQuery)
      ? [`num_gpus of vastQuery holds beside gpuCount ${gpuCount}: set gpuCount to the same.`]
      : []),
    ...(!found && /(?:^|\s)id\s*(?:==?|eq\b|in\b)/.test(vastQuery)
      ? [
          'id of vastQuery is the number of an offer on sale now, and every other filter holds beside it; numbers change. To take one that was found before, give create_pod its offerId.',
        ]
      : []),
  ];
}

function gpuNotes(wish: string, { minVramGb }: OfferQuery, found: boolean): readonly string[] {
  const kinds = gpusMeantBy(wish).filter((kind) => vramOf(kind) >= minVramGb);
  if (kinds.length > 1)
    return [
      `"${plain(wish)}" is ${kinds.slice(0, SHOWN_NAMES).join(', ')}: all are searched. Say which to narrow it.`,
    ];
  const namesakes = found ? [] : namesakesOf(wish);
  return namesakes.length === 0
    ? []
    : [
        `Not searched, though they share the number: ${namesakes.slice(0, SHOWN_NAMES).join(', ')}.`,
      ];
}

function vramOf(kind: string): number {
  return Number(/(\d+) GB$/.exec(kind)?.[1] ?? 0);
}

/** A wish as it may be repeated in a sentence of ours. */
export function plain(wish: string): string {
  return wish.replace(/[^A-Za-z0-9 ._-]/g, '').slice(0, 40);
}
