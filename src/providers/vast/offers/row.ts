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

function isVastRow(row: unknown): boolean {
  if (!isRawRow(row) || !isCount(row['num_gpus']) || !isNumber(row['disk_space'])) return false;
  for (const name of IDS) if (row[name] != null && !isId(row[name])) return false;
  for (const name of NUMBERS) if (row[name] != null && !isNumber(row[name])) return false;
  for (const name of TEXTS) if (row[name] != null && typeof row[name] !== 'string') return false;
  for (const name of FLAGS) if (row[name] != null && typeof row[name] !== 'boolean') return false;
  return true;
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
