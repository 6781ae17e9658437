import type { FakeAnswer } from '../http.ts';
import { answer, failure, type Json } from './answers.ts';
import type { Call } from './call.ts';
import { rounded } from './dice.ts';
import { type Condition, conditionsOf, passes, sortRows } from './filters.ts';
import { isObject, numberOf, objectOf, parseJson } from './foreign.ts';
import type { Ask } from './market.ts';
import { offerRow, type RowQuery } from './offer-row.ts';
import {
  freeVolumeGb,
  isRentable,
  occupancy,
  sizeOf,
  strikes,
  subjectOf,
  type World,
} from './world.ts';

const DEFAULT_STORAGE_GB = 8;
const ALIASES: Readonly<Record<string, string>> = {
  reliability2: 'reliability',
  dphtotal: 'dph_total',
  ubuntu_version: 'os_version',
  driver_version: 'driver_vers',
};
const BLACKWELL = 1000;

const typeOf = (body: Json): RowQuery['type'] => {
  const { type } = { type: body['type'] };
  if (type === 'bid' || type === 'interruptible') return 'bid';
  return type === 'reserved' ? 'reserved' : 'on-demand';
};

/** What a condition looks at; virtual columns are made from what the row says. */
function columnOf(row: Json, column: string, wanted: unknown): unknown {
  switch (column) {
    case 'id':
      // The real search answers nothing to a filter on it.
      return undefined;
    case 'geolocation': {
      const { geolocation } = { geolocation: row['geolocation'] };
      const isCode = [wanted].flat().every((one) => typeof one === 'string' && one.length === 2);
      return typeof geolocation === 'string' && isCode ? geolocation.slice(-2) : geolocation;
    }
    case 'datacenter':
      return row['hosting_type'] === 1;
    case 'verified':
      return row['verification'] === 'verified';
    default:
      return row[ALIASES[column] ?? column];
  }
}

/** Dotted driver versions are compared as numbers. */
function driverValue(wanted: unknown): unknown {
  if (typeof wanted !== 'string' || !/^\d+(?:\.\d+){1,2}$/.test(wanted)) return wanted;
  const [major = 0, minor = 0, patch = 0] = wanted.split('.').map(Number);
  return major * 1_000_000 + minor * 1_000 + patch;
}

function rowPasses(row: Json, { column, operator, wanted }: Condition): boolean {
  const known = ALIASES[column] ?? column;
  // Columns that the search does not know do not narrow it.
  const isVirtual = ['id', 'geolocation', 'datacenter', 'verified'].includes(column);
  if (!isVirtual && !Object.hasOwn(row, known)) return true;
  const value = known === 'driver_vers' ? driverValue(wanted) : wanted;
  return passes(columnOf(row, column, wanted), operator, value);
}

/** `[["dph_total","asc"]]`; words that name no column are passed over. */
function orderOf(body: Json): { column: string; descending: boolean }[] {
  const order: unknown = body['order'];
  if (!Array.isArray(order)) return [{ column: 'score', descending: true }];
  return order.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const column: unknown = entry[0];
    const direction: unknown = entry[1];
    if (typeof column !== 'string') return [];
    return [{ column: ALIASES[column] ?? column, descending: direction === 'desc' }];
  });
}

export interface Found {
  readonly ask: Ask;
  readonly row: Json;
}

/** Every offer that passes, in order, before the cap. */
export function findOffers(
  world: World,
  body: Json,
): { readonly found: readonly Found[] } | { readonly refused: FakeAnswer } {
  const parsed = conditionsOf(body);
  if ('badOperator' in parsed)
    return {
      refused: failure(
        400,
        'invalid_request',
        `${parsed.badOperator.slice(0, 64)} is not a valid search op`,
      ),
    };
  const { conditions } = parsed;
  const has = (column: string): boolean => conditions.some((one) => one.column === column);
  const wantsAllStates = has('rentable') || has('rented');
  const storageGb = Math.max(0, numberOf(body['allocated_storage']) ?? DEFAULT_STORAGE_GB);
  const nowSeconds = world.clock.nowSeconds();
  const type = typeOf(body);
  const drops = world.options.cudaFilterDropsGpus && has('cuda_max_good') && !has('compute_cap');
  const taken = occupancy(world);
  const found: Found[] = [];
  for (const ask of world.asks.values()) {
    const rentable = isRentable(taken, ask);
    if (!rentable && !wantsAllStates) continue;
    if (ask.machine.endSeconds <= nowSeconds) continue;
    if (drops && ask.machine.gpu.computeCap >= BLACKWELL) continue;
    if (world.options.verifiedByDefault && !has('verified'))
      if (ask.machine.verification !== 'verified') continue;
    const row = offerRow(ask, {
      storageGb,
      type: type === 'bid' && !world.options.bidRowsAtMinBid ? 'on-demand' : type,
      nowSeconds,
      rentable,
      usedDiskGb: taken.diskGb.get(ask.machine) ?? 0,
      volumeGb: freeVolumeGb(world, ask.machine),
    });
    if (Number(row['disk_space']) < storageGb) continue;
    if (conditions.every((condition) => rowPasses(row, condition))) found.push({ ask, row });
  }
  const rows = new Map(found.map((one) => [one.row, one]));
  const sorted = sortRows([...rows.keys()], orderOf(body)).flatMap((row) => rows.get(row) ?? []);
  return { found: sorted };
}

/** What an ask cost before somebody raised its price. */
const FIRST_PRICES = new WeakMap<
  Found['ask'],
  Pick<Found['ask'], 'usdPerHour' | 'minBidUsdPerHour'>
>();

/** After a search somebody may raise a price: the next look at the offer is dearer. */
function raisePrices(world: World, found: readonly Found[], route: string): void {
  for (const { ask } of found) {
    const fault = strikes(world, 'price-rise', subjectOf(ask, route));
    if (fault === undefined) continue;
    // Times the first price, however often it was searched since.
    const { usdPerHour, minBidUsdPerHour } = FIRST_PRICES.get(ask) ?? ask;
    FIRST_PRICES.set(ask, { usdPerHour, minBidUsdPerHour });
    const factor = sizeOf(fault, 1.5);
    ask.usdPerHour = rounded(usdPerHour * factor, 7);
    ask.minBidUsdPerHour = rounded(minBidUsdPerHour * factor, 4);
  }
}

function answerSearch(call: Call, body: Json): FakeAnswer {
  const { world } = call;
  const result = findOffers(world, body);
  if ('refused' in result) return result.refused;
  const limit = numberOf(body['limit']) ?? world.options.searchCap;
  const shown = result.found.slice(0, Math.max(1, Math.min(limit, world.options.searchCap)));
  raisePrices(world, shown, call.route);
  return answer({ offers: shown.map(({ row }) => row) });
}

/** `GET /bundles/`: the same object as JSON in `q`, as older clients send it. */
export const searchByQuery = (call: Call): FakeAnswer => {
  const query = parseJson(call.request.query.get('q') ?? '{}');
  return isObject(query)
    ? answerSearch(call, query)
    : failure(400, 'invalid_request', 'Invalid query, must be dict of conditions');
};

/** `POST /bundles/`: a flat object of filters. */
export const searchBundles = (call: Call): FakeAnswer =>
  call.request.rawBody !== '' && !isObject(call.request.body)
    ? failure(400, 'invalid_request', 'Invalid json body')
    : answerSearch(call, call.body);

/** `PUT /search/asks/`: the same below `q`. */
export const searchAsks = (call: Call): FakeAnswer =>
  answerSearch(call, objectOf(call.body['q'] ?? call.body));

/** `GET /gpu_names/unique/`. */
export const gpuNames = ({ world }: Call): FakeAnswer =>
  answer({
    gpu_names: [...new Set([...world.asks.values()].map(({ machine }) => machine.gpu.name))].sort(),
  });
