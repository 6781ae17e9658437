/* What can be searched for, as the official tool knows it, and the other columns of an offer. */

export type FieldKind = 'number' | 'text' | 'boolean' | 'flag' | 'version';
export interface VastField {
  readonly kind: FieldKind;
  /** The query says GB or days, the API MB or seconds. */
  readonly factor: number;
}

const NUMBERS = [
  'ask_contract_id',
  'bundle_id',
  'bw_nvlink',
  'cluster_id',
  'compute_cap',
  'cpu_cores',
  'cpu_cores_effective',
  'cpu_ghz',
  'cpu_ram',
  'cuda_max_good',
  'direct_port_count',
  'disk_bw',
  'disk_space',
  'dlperf',
  'dlperf_per_dphtotal',
  'dph_base',
  'dph_total',
  'duration',
  'flops_per_dphtotal',
  'gpu_frac',
  'gpu_lanes',
  'gpu_max_power',
  'gpu_max_temp',
  'gpu_mem_bw',
  'gpu_ram',
  'gpu_total_ram',
  'host_id',
  'id',
  'inet_down',
  'inet_down_cost',
  'inet_up',
  'inet_up_cost',
  'machine_id',
  'min_bid',
  'num_gpus',
  'pci_gen',
  'pcie_bw',
  'reliability',
  'score',
  'storage_cost',
  'total_flops',
] as const;
const TEXTS = [
  'cpu_arch',
  'cpu_name',
  'disk_name',
  'geolocation',
  'gpu_arch',
  'gpu_name',
  'mobo_name',
  'ubuntu_version',
  'verification',
] as const;
const BOOLEANS = [
  'datacenter',
  'external',
  'gpu_display_active',
  'rentable',
  'rented',
  'static_ip',
  'verified',
  'vms_enabled',
] as const;
const FACTORS: ReadonlyMap<string, number> = new Map([
  ['cpu_ram', 1000],
  ['gpu_ram', 1000],
  ['gpu_total_ram', 1000],
  ['duration', 86_400],
]);
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['dph', 'dph_total'],
  ['cuda_vers', 'cuda_max_good'],
  ['dlperf_usd', 'dlperf_per_dphtotal'],
  ['flops_usd', 'flops_per_dphtotal'],
  ['display_active', 'gpu_display_active'],
]);
/** Words that people meet elsewhere and that do not search. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['georegion', 'It is no field: list the countries, like geolocation in [DE,FR,NL].'],
  ['chunked', 'It is no field: leave it out.'],
  ['allocated_storage', 'Say diskGb instead: prices are for that disk.'],
  ['storage', 'Say diskGb instead: prices are for that disk.'],
  ['reliability2', 'Write reliability.'],
  ['driver_vers', 'Write driver_version.'],
  ['os_version', 'Write ubuntu_version.'],
  ['dphtotal', 'Write dph_total.'],
  ['price', 'Write dph_total (dollars an hour) or the parameter maxUsdPerHour.'],
  ['vram', 'Write gpu_ram (GB for each GPU).'],
  ['ram', 'Write cpu_ram (GB).'],
  ['gpu', 'Write gpu_name.'],
  ['gpus', 'Write num_gpus.'],
  ['cuda', 'Write cuda_max_good.'],
  ['cpus', 'Write cpu_cores_effective.'],
  ['disk', 'Write disk_space (GB).'],
  ['country', 'Write geolocation.'],
  ['region', 'Write geolocation.'],
  ['limit', 'Use the parameter limit of find_offer.'],
  ['order', 'Offers always come cheapest first.'],
  ['type', 'Use the parameter interruptible of find_offer.'],
]);

const of = (names: readonly string[], kind: FieldKind): [string, VastField][] =>
  names.map((name) => [name, { kind, factor: FACTORS.get(name) ?? 1 }]);

const FIELDS: ReadonlyMap<string, VastField> = new Map([
  ...of(NUMBERS, 'number'),
  ...of(TEXTS, 'text'),
  ...of(BOOLEANS, 'boolean'),
  ...of(['has_avx'], 'flag'),
  ...of(['driver_version'], 'version'),
]);

/** Every field that `vastQuery` knows, in alphabetical order; aliases are left out. */
export const VAST_QUERY_FIELDS: readonly string[] = [...FIELDS.keys()].sort();

/** The field behind a name or alias of the query language; `undefined`: there is none. */
export function fieldOf(
  name: string,
): { readonly name: string; readonly field: VastField } | undefined {
  const real = ALIASES.get(name) ?? name;
  const field = FIELDS.get(real);
  return field === undefined ? undefined : { name: real, field };
}

/** What to write instead of an unknown field. Our own words. */
export function adviceOn(name: string): string {
  const advice = ADVICE.get(name.toLowerCase());
  if (advice !== undefined) return advice;
  const nearest = [...VAST_QUERY_FIELDS, ...ALIASES.keys()]
    .map((known) => ({ known, distance: editDistance(name.toLowerCase(), known) }))
    .reduce((best, next) => (next.distance < best.distance ? next : best));
  return nearest.distance <= Math.max(1, name.length / 2)
    ? `The nearest field is ${nearest.known}.`
    : 'Often used: gpu_name, gpu_ram, num_gpus, dph_total, disk_space, reliability, geolocation.';
}

/** How many characters must be put in, taken out or changed. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[to.length] ?? 0;
}
