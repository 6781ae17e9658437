import type { Offer } from '../../../core/offer.ts';
import { offerIdOf } from '../ids.ts';
import { vastGpuName } from './gpu-names.ts';
import { readRow, type VastRow } from './row.ts';
import { nominalGb } from './vram.ts';

const HOURS_PER_MONTH = 720;
/** Nothing on the market costs that much: such a price is a mistake or a trap. */
const MAX_USD_PER_HOUR = 1000;

export interface OfferTerms {
  /** The disk that the price is for. The row must come from a search with `allocated_storage` of the same size. */
  readonly diskGb: number;
  readonly interruptible: boolean;
  /** Now, as seconds since the epoch: with it the end date counts too. */
  readonly nowSeconds?: number | undefined;
}

/**
 * One row of a search as an offer, priced whole: GPU and the disk asked for. `undefined` for a row that cannot be read, has no
 * disk, or has a price that cannot be true (none, zero, below zero, absurd). Pure.
 */
export function toOffer(row: unknown, terms: OfferTerms): Offer | undefined {
  const read = readRow(row);
  return read === undefined ? undefined : offerOf(read, terms);
}

type Draft = { -readonly [Name in keyof Offer]: Offer[Name] };

/** Filled column by column: two thousand rows come at a time. */
function offerOf(row: VastRow, terms: OfferTerms): Offer | undefined {
  const id = row.ask_contract_id ?? row.id;
  const price = priceOf(row, terms);
  const share = shareOf(row);
  const diskGb = Math.floor(row.disk_space);
  if (id == null || price === undefined || share === undefined || !(diskGb > 0)) return undefined;
  if (row.num_gpus > 0 && !row.gpu_name) return undefined;
  const country = countryOf(row.geolocation);
  const offer: Draft = {
    offerId: offerIdOf(id, terms.interruptible),
    provider: 'vast',
    gpuCount: row.num_gpus,
    vcpu: share.vcpu,
    ramGb: share.ramGb,
    diskGb,
    region: country ?? 'unknown',
    pricing: terms.interruptible ? 'interruptible' : 'on_demand',
    usdPerHour: price.total,
    gpuUsdPerHour: price.gpu,
    diskUsdPerHour: price.disk,
    usdPerHourStopped: price.disk,
  };
  addGpu(offer, row);
  addFacts(offer, row);
  if (terms.interruptible && row.min_bid != null) offer.minBidUsdPerHour = row.min_bid;
  const hoursLeft = hoursLeftOf(row, terms.nowSeconds);
  if (hoursLeft !== undefined) offer.hoursLeft = hoursLeft;
  const warnings = warningsOf(row, country, price.isDearer);
  if (warnings.length > 0) offer.warnings = warnings;
  return offer;
}

function addGpu(offer: Draft, row: VastRow): void {
  if (row.num_gpus === 0) return;
  offer.gpu = vastGpuName(row.gpu_name ?? '') || 'unnamed GPU';
  if (isAbove(row.gpu_ram)) offer.vramGb = nominalGb(row.gpu_ram);
  if (isAbove(row.cuda_max_good)) offer.cuda = row.cuda_max_good;
  if (isAbove(row.compute_cap) && row.compute_cap >= 100)
    offer.computeCapability = row.compute_cap / 100;
}

function addFacts(offer: Draft, row: VastRow): void {
  const reliability = row.reliability2 ?? row.reliability;
  if (isAmount(reliability) && reliability <= 1) offer.reliability = reliability;
  if (isAmount(row.inet_up_cost)) offer.egressUsdPerGb = row.inet_up_cost;
  if (isAmount(row.inet_down_cost)) offer.ingressUsdPerGb = row.inet_down_cost;
  if (isAmount(row.inet_down)) offer.downloadMbps = row.inet_down;
  if (isAmount(row.inet_up)) offer.uploadMbps = row.inet_up;
  if (row.machine_id != null) offer.machineId = String(row.machine_id);
  if (row.direct_port_count != null) offer.directSsh = row.direct_port_count >= 1;
}

interface Price {
  readonly total: number;
  readonly gpu: number;
  readonly disk: number;
  readonly isDearer: boolean;
}
/** The parts we know, unless the cloud itself says that the whole is dearer. */
function priceOf(row: VastRow, { diskGb, interruptible }: OfferTerms): Price | undefined {
  const gpu = interruptible ? row.min_bid : row.dph_base;
  if (gpu == null || gpu <= 0 || row.storage_cost == null || row.storage_cost < 0) return undefined;
  const disk = (diskGb * row.storage_cost) / HOURS_PER_MONTH;
  const parts = gpu + disk;
  const told = interruptible ? undefined : row.dph_total;
  const isDearer = told != null && told > parts * 1.01 + 0.001;
  const total = isDearer ? told : parts;
  // Less than a millionth of a dollar is no price either.
  if (total > MAX_USD_PER_HOUR || micros(total) === 0) return undefined;
  return { total: micros(total), gpu: micros(gpu), disk: micros(disk), isDearer };
}

/** `cpu_ram` and `cpu_cores` are the whole machine's; the share is that of the cores, else that of the GPUs. */
function shareOf(row: VastRow): { vcpu: number; ramGb: number } | undefined {
  const { cpu_cores: cores, cpu_cores_effective: own, cpu_ram: ramMb, gpu_frac: frac } = row;
  const gpuShare = frac != null && frac > 0 && frac <= 1 ? frac : 1;
  const vcpu = own ?? (cores == null ? null : cores * gpuShare);
  if (vcpu == null || vcpu <= 0 || ramMb == null || ramMb <= 0) return undefined;
  const share = own != null && cores != null && cores > 0 ? Math.min(1, own / cores) : gpuShare;
  return {
    vcpu: Math.max(0.1, tenths(vcpu)),
    ramGb: Math.max(0.1, tenths((ramMb * share) / 1024)),
  };
}

/** "Texas, US" -> "US". It may be ", US", or no country at all. */
export function countryOf(geolocation: string | null | undefined): string | undefined {
  return /(?:^|[,\s])([A-Z]{2})$/i.exec(geolocation?.trim() ?? '')?.[1]?.toUpperCase();
}

function hoursLeftOf({ duration, end_date: end }: VastRow, now?: number): number | undefined {
  const untilEnd = end == null || now === undefined ? Infinity : end - now;
  const seconds = Math.min(duration ?? Infinity, untilEnd);
  return seconds === Infinity ? undefined : tenths(Math.max(0, seconds) / 3600);
}

function warningsOf(row: VastRow, country: string | undefined, isDearer: boolean): string[] {
  const warnings: string[] = [];
  if (row.verification === 'deverified')
    warnings.push('Vast.ai withdrew its verification of this host.');
  else if (row.verification !== 'verified') warnings.push('Vast.ai has not verified this host.');
  if (row.rentable === false) warnings.push('It cannot be rented now.');
  if (row.external === true) warnings.push('It belongs to an external provider.');
  if (row.direct_port_count != null && row.direct_port_count < 1)
    warnings.push('No open ports: SSH goes through the proxy of Vast.ai, which is slower.');
  if (country === undefined) warnings.push('Its location is not known.');
  if (row.gpu_arch === 'amd') warnings.push('AMD GPU: images for CUDA do not work on it.');
  if (row.cpu_arch === 'arm64') warnings.push('ARM processor: images for x86 do not start on it.');
  if (isDearer) warnings.push('The total that Vast.ai names is above GPU and disk together.');
  return warnings;
}

function isAmount(value: number | null | undefined): value is number {
  return value != null && value >= 0;
}
function isAbove(value: number | null | undefined): value is number {
  return value != null && value > 0;
}
function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
function micros(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
