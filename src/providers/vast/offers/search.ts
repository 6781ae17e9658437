import type { CallOptions, Clock } from '../../../core/call.ts';
import { ProviderError } from '../../../core/errors.ts';
import type { OfferId } from '../../../core/ids.ts';
import type { Offer, OfferQuery } from '../../../core/offer.ts';
import { askOf } from '../ids.ts';
import { MAX_ROWS, planSearch, type SearchPlan, searchBody } from './body.ts';
import { type FieldConditions, NO_FILTER } from './filter.ts';
import { parseVastQuery } from './query.ts';
import { isRawRow, type RawRow, readRow } from './row.ts';
import { keeperOf } from './row-match.ts';
import { type OfferTerms, toOffer } from './to-offer.ts';

/** What the search needs of a client: one `POST /api/v0/bundles/`, the rows under `offers` as they came. */
export interface VastSearch {
  search(
    body: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<readonly unknown[]>;
  /** With it, the end date of an offer counts too. */
  readonly clock?: Clock | undefined;
  /** Told how many rows of an answer were left out because they cannot be read or have a price that cannot be true. */
  readonly onSkipped?: ((rows: number) => void) | undefined;
}

/** Ten searches a minute are allowed; one find may make a second for relaxations. */
const MAX_PAGES = 4;
/** The smallest cap anybody has seen. */
const SMALLEST_CAP = 64;
const PRICE_STEP = 2e-6;

/**
 * Offers that keep every condition of `query` that Vast.ai knows and of its `vastQuery`, cheapest first. Where an answer may have
 * been cut (64 rows, or another round number), asks on from its highest price, until enough are found or four answers are in:
 * what is left out is always dearer than what is shown. Rows that cannot be read are left out. Throws `invalid_input` for a
 * `vastQuery` that cannot be read, `provider_contract` when no row of an answer can.
 */
export async function listVastOffers(
  port: VastSearch,
  query: OfferQuery,
  options: CallOptions,
): Promise<readonly Offer[]> {
  const filter = query.vastQuery === undefined ? NO_FILTER : parseVastQuery(query.vastQuery);
  const plan = planSearch(query, filter);
  if (plan === undefined) return [];
  const found = new Map<string, Offer>();
  const terms = termsOf(port, query);
  const keeps = keeperOf(plan.asked);
  /** The price of each row that was seen, by its id. */
  const seen = new Map<unknown, unknown>();
  let more: FieldConditions = new Map();
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const isLast = page === MAX_PAGES - 1;
    // Nothing found so far: the last time everything is asked of the cloud, even what it may filter too strictly by.
    const body =
      isLast && found.size === 0
        ? searchBody(plan, new Map(), { withCuda: true })
        : searchBody(plan, more);
    const rows = await port.search(body, options);
    const fresh = rows.filter((row) => !isRawRow(row) || !seen.has(idOf(row)));
    const offers = fresh.filter(isRawRow).flatMap((row) => {
      seen.set(idOf(row), row[plan.priceField]);
      const offer = toOffer(row, terms);
      return offer === undefined ? [] : [{ row, offer }];
    });
    if (rows.length > 0 && !rows.some((row) => readRow(row) !== undefined)) throw unreadable();
    if (fresh.length > offers.length) port.onSkipped?.(fresh.length - offers.length);
    for (const { row, offer } of offers) if (keeps(row, offer)) found.set(offer.offerId, offer);
    if (!mayBeCut(rows.length)) break;
    if (found.size === 0 && (isLast || fresh.length === 0)) throw unfiltered();
    if (fresh.length === 0 || found.size >= plan.enough) break;
    more = dearerThan(seen, plan);
    if (more.size === 0) break;
  }
  return [...found.values()].sort((a, b) => a.usdPerHour - b.usdPerHour);
}

/** One offer, priced afresh; `undefined`: gone, or no id of Vast.ai's. Verified or not, whoever owns it. */
export async function getVastOffer(
  port: VastSearch,
  offerId: OfferId,
  terms: Pick<OfferTerms, 'diskGb'>,
  options: CallOptions,
): Promise<Offer | undefined> {
  return (await getVastOffers(port, [offerId], terms, options))[0];
}

/**
 * As `getVastOffer`, several in one search a kind: ten a minute are all there are. Those that are gone are left out. Each is priced as
 * its id says: on demand, or as a bid.
 */
export async function getVastOffers(
  port: VastSearch,
  offerIds: readonly OfferId[],
  { diskGb }: Pick<OfferTerms, 'diskGb'>,
  options: CallOptions,
): Promise<readonly Offer[]> {
  const asks = offerIds.flatMap((offerId) => askOf(offerId) ?? []);
  const found: Offer[] = [];
  for (const interruptible of [false, true]) {
    const ids = asks.flatMap(({ ask, isBid }) => (isBid === interruptible ? [ask] : []));
    found.push(...(await offersOfKind(port, ids, { diskGb, interruptible }, options)));
  }
  return offerIds.flatMap((offerId) => found.find((offer) => offer.offerId === offerId) ?? []);
}

async function offersOfKind(
  port: VastSearch,
  ids: readonly number[],
  { diskGb, interruptible }: Pick<OfferTerms, 'diskGb' | 'interruptible'>,
  options: CallOptions,
): Promise<readonly Offer[]> {
  const [only, ...others] = ids;
  if (only === undefined) return [];
  const plan: SearchPlan = {
    // A filter on `id` finds nothing.
    asked: new Map([['ask_contract_id', others.length === 0 ? { eq: only } : { in: ids }]]),
    enough: ids.length,
    priceField: interruptible ? 'min_bid' : 'dph_total',
    diskGb,
  };
  const look = async (more: FieldConditions): Promise<readonly RawRow[]> =>
    (await port.search(searchBody(plan, more), options)).filter(isRawRow);
  const rows = [...(await look(new Map()))];
  // Nobody says whether a search without a word on verification means verified hosts only.
  if (!ids.every((id) => rows.some((row) => idOf(row) === id)))
    rows.push(...(await look(new Map([['verified', { eq: false }]]))));
  const terms = termsOf(port, { diskGb, interruptible });
  const sold = ids.flatMap((id) => {
    const row = rows.find((candidate) => idOf(candidate) === id);
    return row === undefined || row['rentable'] === false || row['rented'] === true ? [] : row;
  });
  const offers = sold.flatMap((row) => toOffer(row, terms) ?? []);
  if (sold.length > 0 && offers.length === 0) throw unreadable();
  return offers;
}

function termsOf(
  { clock }: VastSearch,
  { diskGb, interruptible }: Pick<OfferTerms, 'diskGb' | 'interruptible'>,
): OfferTerms {
  return {
    diskGb,
    interruptible,
    nowSeconds: clock === undefined ? undefined : clock.now().getTime() / 1000,
  };
}

function idOf(row: RawRow): unknown {
  return row['ask_contract_id'] ?? row['id'];
}

function unreadable(): ProviderError {
  return new ProviderError(
    'provider_contract',
    'Vast.ai answered with offers that this version cannot read.',
  );
}

/** Nobody says how many rows come at most. A full answer is one of a round number. */
function mayBeCut(rows: number): boolean {
  return rows >= SMALLEST_CAP && (rows >= MAX_ROWS || rows % 50 === 0 || rows % 64 === 0);
}

/** None of what we saw fits, there is more, and we may not ask again: that is not "none". */
function unfiltered(): ProviderError {
  return new ProviderError(
    'provider_contract',
    'Vast.ai showed a part of its offers only, and none of that part fits.',
    { hint: 'Narrow the search: name the GPU, or set maxUsdPerHour or minVramGb.' },
  );
}

/** From the highest price on, without the offers of that price that are known. Empty: the rows have no price to go on from. */
function dearerThan(
  seen: ReadonlyMap<unknown, unknown>,
  { priceField }: SearchPlan,
): FieldConditions {
  const prices = [...seen].flatMap(([id, price]) =>
    typeof price === 'number' && typeof id === 'number' ? [{ price, id }] : [],
  );
  const highest = prices.reduce((most, { price }) => Math.max(most, price), 0);
  if (highest <= 0) return new Map();
  const from = highest - PRICE_STEP;
  return new Map([
    [priceField, { gte: from }],
    [
      'ask_contract_id',
      { notin: prices.filter(({ price }) => price >= from - PRICE_STEP).map(({ id }) => id) },
    ],
  ]);
}
