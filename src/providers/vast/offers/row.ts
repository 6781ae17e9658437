import { z } from 'zod';

const id = z.int().positive();
const num = z.number().nullish();
const text = z.string().nullish();
const bool = z.boolean().nullish();

/** Without these there is no offer. */
const NEEDED = {
  id: id.nullish(),
  ask_contract_id: id.nullish(),
  num_gpus: z.int().nonnegative(),
  gpu_name: text,
  gpu_ram: num,
  gpu_frac: num,
  cpu_cores: num,
  cpu_cores_effective: num,
  cpu_ram: num,
  disk_space: z.number(),
  dph_base: num,
  dph_total: num,
  storage_cost: num,
  min_bid: num,
};
const USEFUL = {
  machine_id: id.nullish(),
  gpu_arch: text,
  compute_cap: num,
  cuda_max_good: num,
  cpu_arch: text,
  inet_up: num,
  inet_down: num,
  inet_up_cost: num,
  inet_down_cost: num,
  reliability: num,
  reliability2: num,
  verification: text,
  rentable: bool,
  external: bool,
  geolocation: text,
  direct_port_count: num,
  end_date: num,
  duration: num,
};
/** The columns of an offer that we use; a row has about eighty more. */
const rowSchema = z.object({ ...NEEDED, ...USEFUL });
/** Of a row with a column of another kind than we know, that column is not told. Slower, so only a second look. */
const tolerantSchema = z.object({
  ...NEEDED,
  machine_id: USEFUL.machine_id.catch(undefined),
  gpu_arch: USEFUL.gpu_arch.catch(undefined),
  compute_cap: USEFUL.compute_cap.catch(undefined),
  cuda_max_good: USEFUL.cuda_max_good.catch(undefined),
  cpu_arch: USEFUL.cpu_arch.catch(undefined),
  inet_up: num.catch(undefined),
  inet_down: num.catch(undefined),
  inet_up_cost: num.catch(undefined),
  inet_down_cost: num.catch(undefined),
  reliability: num.catch(undefined),
  reliability2: num.catch(undefined),
  verification: text.catch(undefined),
  rentable: bool.catch(undefined),
  external: bool.catch(undefined),
  geolocation: text.catch(undefined),
  direct_port_count: num.catch(undefined),
  end_date: num.catch(undefined),
  duration: num.catch(undefined),
});
export type VastRow = z.output<typeof rowSchema>;
export type RawRow = Readonly<Record<string, unknown>>;

/** One row of a search; `undefined`: not one that we can read. */
export function readRow(row: unknown): VastRow | undefined {
  return rowSchema.safeParse(row).data ?? tolerantSchema.safeParse(row).data;
}

export function isRawRow(row: unknown): row is RawRow {
  return typeof row === 'object' && row !== null && !Array.isArray(row);
}
