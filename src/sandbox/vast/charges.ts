import type { FakeAnswer } from '../http.ts';
import type { MeterSpan } from '../meter.ts';
import { failure, type Json, success } from './answers.ts';
import type { Call } from './call.ts';
import { rounded } from './dice.ts';
import { isObject, numberOf, parseJson, textsOf } from './foreign.ts';
import { volumeMeterId, type World } from './world.ts';

const PAGE = 100;
const MAX_PAGE = 500;

interface Entry {
  readonly id: number;
  readonly kind: 'instance' | 'volume';
  readonly meterId: string;
  readonly metadata: Json;
  readonly traffic: { readonly outUsd: number; readonly inUsd: number };
}

/** What one contract cost between two moments, by kind of charge. */
function chargesOf(
  { id, kind, meterId, metadata, traffic }: Entry,
  spans: readonly MeterSpan[],
  [from, to]: readonly [number, number],
): Json | undefined {
  const own = spans.filter((span) => span.id === meterId);
  const line = (type: string, amount: number, description: string): Json => ({
    start: Math.floor(from),
    end: Math.floor(to),
    type,
    source: null,
    description,
    amount: rounded(amount, 6),
    metadata: {},
    items: [],
  });
  const item = (type: 'gpu' | 'disk', rateOf: (span: MeterSpan) => number): Json[] => {
    let [amount, hours] = [0, 0];
    for (const span of own) {
      const seconds = Math.min(span.toSeconds ?? to, to) - Math.max(span.fromSeconds, from);
      if (seconds <= 0 || rateOf(span) <= 0) continue;
      amount += (rateOf(span) * seconds) / 3_600;
      hours += seconds / 3_600;
    }
    if (hours === 0) return [];
    return [
      line(type, amount, `${hours.toFixed(3)} hours at $${(amount / hours).toFixed(3)}/hour`),
    ];
  };
  const bytes = (type: 'bwu' | 'bwd', amount: number): Json[] =>
    amount > 0 ? [line(type, amount, 'bandwidth')] : [];
  const timed = [
    ...item('gpu', ({ gpuUsdPerHour }) => gpuUsdPerHour),
    ...item('disk', ({ diskUsdPerHour }) => diskUsdPerHour),
  ];
  if (timed.length === 0) return undefined;
  const items = [...timed, ...bytes('bwu', traffic.outUsd), ...bytes('bwd', traffic.inUsd)];
  const start = Math.max(from, Math.min(...own.map(({ fromSeconds }) => fromSeconds)));
  const end = Math.min(to, Math.max(...own.map(({ toSeconds }) => toSeconds ?? to)));
  return {
    start: Math.floor(start),
    end: Math.ceil(end),
    type: kind,
    source: `${kind}-${id}`,
    description: `${kind === 'instance' ? 'Instance' : 'Volume'} ${id} Charges`,
    amount: rounded(
      items.reduce((sum, one) => sum + (numberOf(one['amount']) ?? 0), 0),
      3,
    ),
    metadata,
    items,
  };
}

function entriesOf(world: World): readonly Entry[] {
  const instances = [...world.instances.values()].map(
    ({ id, meterId, label, traffic }): Entry => ({
      id,
      kind: 'instance',
      meterId,
      metadata: label === null ? {} : { label },
      traffic,
    }),
  );
  const volumes = [...world.volumes.keys()].map(
    (id): Entry => ({
      id,
      kind: 'volume',
      meterId: volumeMeterId(id),
      metadata: {},
      traffic: { outUsd: 0, inUsd: 0 },
    }),
  );
  return [...instances, ...volumes].sort((left, right) => left.id - right.id);
}

/** `GET /charges/`. */
export function listCharges({ world, request }: Call): FakeAnswer {
  const { query } = request;
  const filters = parseJson(query.get('select_filters') ?? '{}');
  const day = isObject(filters) && isObject(filters['day']) ? filters['day'] : {};
  const [from, to] = [numberOf(day['gte']), numberOf(day['lte'])];
  if (!isObject(filters) || from === undefined || to === undefined)
    return {
      status: 400,
      body: {
        success: false,
        msg: "Must provide both 'day' gte and lte filters for instance charges",
      },
    };
  const type = filters['type'];
  const kinds = isObject(type) ? textsOf(type['in']) : ['instance', 'volume'];
  const spans = world.meter.history();
  const until = Math.min(to, world.clock.nowSeconds());
  const all = entriesOf(world)
    .filter(({ kind }) => kinds.includes(kind))
    .flatMap((entry) => chargesOf(entry, spans, [from, until]) ?? []);
  if (query.get('latest_first') !== 'false') all.reverse();
  const offset = offsetOf(query.get('after_token'));
  if (offset === undefined) return failure(400, 'invalid_token', 'Invalid pagination token');
  const limit = Math.min(MAX_PAGE, Math.max(1, numberOf(query.get('limit')) ?? PAGE));
  const results = all.slice(offset, offset + limit);
  const next = offset + results.length;
  return success({
    count: results.length,
    total: all.length,
    next_token: next >= all.length ? null : tokenOf(next),
    results,
  });
}

const tokenOf = (offset: number): string =>
  Buffer.from(JSON.stringify({ values: { id: offset } })).toString('base64');
function offsetOf(token: string | null): number | undefined {
  if (token === null || token === '') return 0;
  const value = parseJson(Buffer.from(token, 'base64').toString('utf8'));
  return isObject(value) && isObject(value['values']) ? numberOf(value['values']['id']) : undefined;
}
