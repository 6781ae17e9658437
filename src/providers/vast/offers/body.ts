import type { OfferQuery } from '../../../core/offer.ts';
import {
  bothFilters,
  type Conditions,
  type FieldConditions,
  type Scalar,
  type VastFilter,
} from './filter.ts';
import { vastGpuNames } from './gpu-names.ts';
import { leastReportedMb } from './vram.ts';

/** One more than anybody has seen; where the cloud gives fewer at a time, the search goes on by price (search.ts). */
export const MAX_ROWS = 3000;
/** `limit` of find_offer at most. */
const MOST_SHOWN = 50;
/** A price is rounded here and there: never shut out an offer at the very limit. What is above it falls out at home. */
const PRICE_SLACK = 1e-4;

export interface SearchPlan {
  /** Everything asked for, in the words of Vast.ai. */
  readonly asked: FieldConditions;
  /** So many offers that fit make a further look needless. */
  readonly enough: number;
  /** The column that rows are ordered and paged by. */
  readonly priceField: 'dph_total' | 'min_bid';
  readonly diskGb: number;
}

/**
 * What to ask for: the wishes of `query`, the conditions of its `vastQuery` and the defaults of the official tool (verified,
 * rentable, not rented by us, not external) where `vastQuery` says nothing of them. `undefined`: no offer can be so.
 */
export function planSearch(query: OfferQuery, filter: VastFilter): SearchPlan | undefined {
  const defaults = Object.entries({
    verified: true,
    rentable: true,
    rented: false,
    external: false,
  })
    .filter(([field]) => !filter.lifted.has(field) && !filter.conditions.has(field))
    .map(([field, value]): [string, Conditions] => [field, { eq: value }]);
  const priceField = query.interruptible ? 'min_bid' : 'dph_total';
  const names = vastGpuNames(query.gpu);
  const countries = countriesOf(query.regions);
  const asked = bothFilters(
    new Map<string, Conditions>([
      ...defaults,
      ...wish('num_gpus', 'eq', query.gpuCount === 0 ? undefined : query.gpuCount),
      ...wish('gpu_name', 'in', names),
      ...wish('gpu_ram', 'gte', query.minVramGb > 0 ? leastReportedMb(query.minVramGb) : undefined),
      ...wish('disk_space', 'gte', query.diskGb),
      ...wish(priceField, 'lte', withSlack(query.maxUsdPerHour)),
      ...wish('reliability', 'gte', query.minReliability > 0 ? query.minReliability : undefined),
      ...wish('cuda_max_good', 'gte', query.minCuda),
      ...wish('inet_down', 'gte', query.minDownloadMbps),
      ...wish('cpu_cores_effective', 'gte', query.minVcpu),
      // The whole machine's: a share of it is never more.
      ...wish('cpu_ram', 'gte', query.minRamGb === undefined ? undefined : query.minRamGb * 1000),
      ...wish('geolocation', 'in', countries),
    ]),
    filter.conditions,
  );
  if (asked === undefined) return undefined;
  // A wish that is left for others to filter by, and a look at the whole market, want all there is.
  const isSure =
    query.gpuCount > 0 &&
    (query.gpu.length === 0 || names !== undefined) &&
    (query.regions.length === 0 || countries !== undefined);
  const enough = isSure ? MOST_SHOWN : Infinity;
  return { asked, enough, priceField, diskGb: query.diskGb };
}

/** The body of `POST /api/v0/bundles/` for a plan, cheapest first; `more` are further conditions, for the next page. `withCuda` asks for the CUDA version too. */
export function searchBody(
  { asked, priceField, diskGb }: SearchPlan,
  more: FieldConditions = new Map(),
  { withCuda = false }: { readonly withCuda?: boolean } = {},
): Readonly<Record<string, unknown>> {
  const conditions = bothFilters(asked, more) ?? asked;
  return {
    ...Object.fromEntries(
      [...conditions]
        .filter(([field]) => isAnswered(field, conditions, priceField, withCuda))
        .map(([field, asks]) => [field === 'id' ? 'ask_contract_id' : field, inWords(field, asks)]),
    ),
    order: [[priceField, 'asc']],
    type: priceField === 'min_bid' ? 'bid' : 'on-demand',
    limit: MAX_ROWS,
    allocated_storage: diskGb,
  };
}

/**
 * Conditions that are only looked at here: a filter on CUDA without one on the compute capability has been seen to lose GPUs, and
 * what `dph_total` means in a search for bids nobody says.
 */
function isAnswered(
  field: string,
  all: FieldConditions,
  priceField: string,
  withCuda: boolean,
): boolean {
  if (field === 'cuda_max_good') return withCuda || all.has('compute_cap');
  return field !== 'dph_total' || priceField === 'dph_total';
}

/** Countries are written in capitals. */
function inWords(field: string, asks: Conditions): Conditions {
  if (field !== 'geolocation') return asks;
  return Object.fromEntries(
    Object.entries(asks).map(([operator, value]) => [
      operator,
      typeof value === 'string' ? value.toUpperCase() : capitals(value),
    ]),
  );
}
function capitals(value: Conditions['in']): Conditions['in'] {
  return Array.isArray(value)
    ? value.map((item: Scalar) => (typeof item === 'string' ? item.toUpperCase() : item))
    : value;
}

function wish(
  field: string,
  operator: keyof Conditions,
  value: Scalar | readonly Scalar[] | undefined,
): readonly [string, Conditions][] {
  return value === undefined ? [] : [[field, { [operator]: value }]];
}

function withSlack(usd: number | undefined): number | undefined {
  return usd === undefined ? undefined : usd + PRICE_SLACK;
}

/** Only two-letter codes can be asked for; any other word is looked for in the answer. */
function countriesOf(regions: readonly string[]): readonly string[] | undefined {
  const codes = regions.map((region) => region.trim().toUpperCase());
  return codes.length > 0 && codes.every((code) => /^[A-Z]{2}$/.test(code)) ? codes : undefined;
}
