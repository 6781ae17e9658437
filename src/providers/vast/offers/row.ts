import { z } from 'zod';

/** The columns of an offer that we use; a row has about eighty more. */
const IDS = ['id', 'ask_contract_id', 'machine_id'] as const;
const NUMBERS = [
  'gpu_ram',
  'gpu_frac',
  'compute_cap',
  'cuda_max_good',
  'cpu_cores',
  'cpu_cores_effective',
  'cpu_ram',
  'inet_up',
  'inet_down',
  'inet_up_cost',
  'inet_down_cost',
  'dph_base',
  'dph_total',
  'storage_cost',
  'min_bid',
  'reliability',
  'reliability2',
  'direct_port_count',
  'end_date',
  'duration',
] as const;
const TEXTS = ['gpu_name', 'gpu_arch', 'cpu_arch', 'verification', 'geolocation'] as const;
const FLAGS = ['rentable', 'external'] as const;

type Columns<Names extends readonly string[], Value> = Readonly<
  Partial<Record<Names[number], Value | null | undefined>>
>;
export type VastRow = Columns<typeof IDS, number> &
  Columns<typeof NUMBERS, number> &
  Columns<typeof TEXTS, string> &
  Columns<typeof FLAGS, boolean> & { readonly num_gpus: number; readonly disk_space: number };
/** Nothing that is counted here comes near. */
const LARGEST = 1e15;

export type RawRow = Readonly<Record<string, unknown>>;

/** Copies nothing: an object schema would make ten objects for each column of thousands of rows. */
const rowSchema = z.custom<VastRow>(isVastRow);

/** Every column by its name, since a loop over names takes five times as long. */
function isVastRow(row: unknown): boolean {
  if (!isRawRow(row) || !isCount(row['num_gpus']) || !isNumber(row['disk_space'])) return false;
  return (
    mayBeId(row['id']) &&
    mayBeId(row['ask_contract_id']) &&
    mayBeId(row['machine_id']) &&
    mayBeNumber(row['gpu_ram']) &&
    mayBeNumber(row['gpu_frac']) &&
    mayBeNumber(row['compute_cap']) &&
    mayBeNumber(row['cuda_max_good']) &&
    mayBeNumber(row['cpu_cores']) &&
    mayBeNumber(row['cpu_cores_effective']) &&
    mayBeNumber(row['cpu_ram']) &&
    mayBeNumber(row['inet_up']) &&
    mayBeNumber(row['inet_down']) &&
    mayBeNumber(row['inet_up_cost']) &&
    mayBeNumber(row['inet_down_cost']) &&
    mayBeNumber(row['dph_base']) &&
    mayBeNumber(row['dph_total']) &&
    mayBeNumber(row['storage_cost']) &&
    mayBeNumber(row['min_bid']) &&
    mayBeNumber(row['reliability']) &&
    mayBeNumber(row['reliability2']) &&
    mayBeNumber(row['direct_port_count']) &&
    mayBeNumber(row['end_date']) &&
    mayBeNumber(row['duration']) &&
    mayBe('string', row['gpu_name']) &&
    mayBe('string', row['gpu_arch']) &&
    mayBe('string', row['cpu_arch']) &&
    mayBe('string', row['verification']) &&
    mayBe('string', row['geolocation']) &&
    mayBe('boolean', row['rentable']) &&
    mayBe('boolean', row['external'])
  );
}

/** A column of another kind than we know is as good as none: what an offer cannot be without is checked when it is made. */
const tolerantSchema = z
  .custom<RawRow>(isRawRow)
  .transform((row): RawRow => {
    const bad = [
      ...IDS.filter((name) => !isId(row[name])),
      ...NUMBERS.filter((name) => !isNumber(row[name])),
      ...TEXTS.filter((name) => typeof row[name] !== 'string'),
      ...FLAGS.filter((name) => typeof row[name] !== 'boolean'),
    ];
    return { ...row, ...Object.fromEntries(bad.map((name) => [name, undefined])) };
  })
  .pipe(rowSchema);

/** One row of a search; `undefined`: not one that we can read. */
export function readRow(row: unknown): VastRow | undefined {
  return rowSchema.safeParse(row).data ?? tolerantSchema.safeParse(row).data;
}

export function isRawRow(row: unknown): row is RawRow {
  return typeof row === 'object' && row !== null && !Array.isArray(row);
}
function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) < LARGEST;
}
function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
function isId(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}
function mayBeId(value: unknown): boolean {
  return value == null || isId(value);
}
function mayBeNumber(value: unknown): boolean {
  return value == null || isNumber(value);
}
function mayBe(type: 'string' | 'boolean', value: unknown): boolean {
  return value == null || typeof value === type;
}
