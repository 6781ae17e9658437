import type { FakeAnswer } from '../http.ts';
import { answer, failure, type Json, success } from './answers.ts';
import { type Call, idOf, living } from './call.ts';
import { conditionsOf, isOperator, passes, sortRows } from './filters.ts';
import { isObject, numberOf, parseJson } from './foreign.ts';
import { instanceRow, listedRow } from './instance-row.ts';
import { isHeld, strikes, subjectOf } from './world.ts';

const PAGE = 25;
const SMALL_PAGE = 5;
/** Computed when a row is told: the database cannot filter or sort by them. */
const COMPUTED = new Set([
  'dph_total',
  'num_gpus',
  'duration',
  'search',
  'instance',
  'ports',
  'volume_info',
]);

/** `GET /instances/{id}/`: 200 and `null` for what is not there. */
export function showInstance(call: Call): FakeAnswer {
  const id = idOf(call);
  if (!Number.isInteger(id)) return failure(400, 'invalid_args', 'invalid instance_id');
  const instance = living(call.world, id);
  if (instance === undefined) return answer({ instances: null });
  if (strikes(call.world, 'null-once', subjectOf(instance.ask, call.route)) !== undefined)
    return answer({ instances: null });
  return answer({ instances: instanceRow(call.world, instance) });
}

/** `GET /api/v0/instances/`: the list of old. */
export const listIsGone = (): FakeAnswer =>
  failure(
    410,
    'deprecated_endpoint',
    '/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.',
  );

const badQuery = (column: string): FakeAnswer =>
  failure(400, 'invalid_request', `Error in query parameters: ${column} is not a valid search key`);

/** A cursor: where the last page ended. */
const tokenFor = (id: unknown): string =>
  Buffer.from(JSON.stringify({ values: { id } })).toString('base64');
function idOfToken(token: string): number | undefined {
  const value = parseJson(Buffer.from(token, 'base64').toString('utf8'));
  return isObject(value) && isObject(value['values']) ? numberOf(value['values']['id']) : undefined;
}

function visible(call: Call): Json[] {
  const { world } = call;
  const now = world.clock.nowSeconds();
  return [...world.instances.values()]
    .filter((one) => one.endedAt === undefined && one.visibleAt <= now)
    .filter((one) => strikes(world, 'reads-nothing', subjectOf(one.ask, call.route)) === undefined)
    .map((one) => listedRow(world, one));
}

/** `GET /api/v1/instances/`. */
export function listInstances(call: Call): FakeAnswer {
  const { query } = call.request;
  const every = visible(call);
  const columns = new Set(Object.keys(every[0] ?? SAMPLE_COLUMNS));
  const filters = parseJson(query.get('select_filters') ?? '{}');
  if (!isObject(filters)) return badQuery('select_filters');
  for (const [column, tests] of Object.entries(filters)) {
    if (COMPUTED.has(column) || !columns.has(column)) return badQuery(column);
    const bad = isObject(tests) ? Object.keys(tests).find((name) => !isOperator(name)) : column;
    if (bad !== undefined) return badQuery(bad);
  }
  const parsed = conditionsOf(filters);
  if ('badOperator' in parsed) return badQuery(parsed.badOperator);
  const rows = every.filter((row) =>
    parsed.conditions.every(({ column, operator, wanted }) =>
      passes(row[column], operator, wanted),
    ),
  );
  const order = parseJson(query.get('order_by') ?? '[]');
  const wishes = (Array.isArray(order) ? order : []).filter(isObject);
  const unknown = wishes.find(
    ({ col }) => typeof col !== 'string' || !columns.has(col) || COMPUTED.has(col),
  );
  if (unknown !== undefined) return badQuery(String(unknown['col']));
  const sorted = sortRows(rows, [
    ...wishes.map(({ col, dir }) => ({ column: String(col), descending: dir === 'desc' })),
    { column: 'id', descending: false },
  ]);
  return page(call, sorted);
}

function page(call: Call, rows: readonly Json[]): FakeAnswer {
  const { query } = call.request;
  const asked = numberOf(query.get('limit')) ?? PAGE;
  const limit = asked <= 0 ? SMALL_PAGE : Math.min(PAGE, asked);
  const token = query.get('after_token');
  let from = 0;
  if (token !== null && token !== '') {
    const id = idOfToken(token);
    if (id === undefined) return failure(400, 'invalid_token', 'Invalid pagination token');
    const at = rows.findIndex((row) => row['id'] === id);
    // The row it stood on may be gone: go on behind its id.
    from = at >= 0 ? at + 1 : rows.filter((row) => Number(row['id']) <= id).length;
  }
  const shown = rows.slice(from, from + limit);
  const labels: Record<string, number> = {};
  for (const { label } of rows) {
    const name = typeof label === 'string' ? label : '';
    labels[name] = (labels[name] ?? 0) + 1;
  }
  const isLast = from + shown.length >= rows.length;
  return success({
    instances_found: shown.length,
    total_instances: rows.length,
    label_counts: labels,
    next_token: isLast ? null : tokenFor(shown.at(-1)?.['id']),
    instances: shown.map((row) => selected(row, query.get('select_cols'))),
  });
}

function selected(row: Json, wish: string | null): Json {
  const columns = parseJson(wish ?? '["*"]');
  if (!Array.isArray(columns) || columns.includes('*')) return row;
  return Object.fromEntries(
    columns.map((column: unknown) => [String(column), row[String(column)] ?? null]),
  );
}

/** `GET /instances/filters/`: what there is to filter by. */
export function listFilters(call: Call): FakeAnswer {
  const seen = new Map<string, Json>();
  for (const { actual_status, verification, gpu_name } of visible(call)) {
    const entry = { actual_status, verification, gpu_name };
    seen.set(JSON.stringify(entry), entry);
  }
  return answer({ filters: [...seen.values()] });
}

/** `GET /instances/count/` and `GET /api/v1/counts/`. */
export function countInstances({ world }: Call): FakeAnswer {
  const all = [...world.instances.values()].filter(({ endedAt }) => endedAt === undefined);
  const running = all.filter((one) => isHeld(one) && one.actual === 'running').length;
  return success({ count: all.length, instances: all.length, running });
}

/** `GET /api/v1/instances/lite/`. */
export function listLite(call: Call): FakeAnswer {
  const instances = visible(call).map(({ id, label, actual_status, intended_status }) => ({
    id,
    label,
    actual_status,
    intended_status,
  }));
  return success({ instances_found: instances.length, instances });
}

/** The stored columns, for a question that comes while there is no row to ask. */
const SAMPLE_COLUMNS: Json = Object.fromEntries(
  'id actual_status intended_status cur_state next_state label gpu_name verification image_uuid machine_id host_id start_date end_date geolocation disk_space template_id template_hash_id reliability2 is_bid dph_base'
    .split(' ')
    .map((name) => [name, null]),
);
