import { createRandom } from '../random.ts';
import { createDice, type Dice, rounded } from '../vast/dice.ts';
import { COMMUNITY_COUNTRIES, DATA_CENTERS, type DataCenter } from './data-centers.ts';
import { GPU_TYPES, type GpuType, gpuType } from './gpu-types.ts';

export type Cloud = 'SECURE' | 'COMMUNITY';

/** A physical machine with some GPUs that can be rented. */
export interface Host {
  readonly machineId: string;
  readonly gpu: GpuType;
  readonly cloud: Cloud;
  /** `null`: a community host. */
  readonly dataCenter: DataCenter | null;
  readonly country: string;
  /** How many there are. Mutable: tests script a sold-out market with it. */
  gpus: number;
  readonly vcpuPerGpu: number;
  readonly ramGbPerGpu: number;
  readonly diskGb: number;
  readonly downMbps: number;
  readonly upMbps: number;
  readonly diskMbPerSecond: number;
  readonly cuda: string;
  readonly driver: string;
  /** Whether its pods can have an address of their own. */
  readonly publicIp: boolean;
}

const CUDAS: readonly [readonly [string, string], ...(readonly [string, string])[]] = [
  ['12.4', '550.127.05'],
  ['12.6', '560.35.03'],
  ['12.8', '570.124.06'],
  ['12.9', '575.57.08'],
  ['13.0', '580.65.06'],
];
/** Always there, so that a rehearsal finds what people ask for first. */
const STAPLES: readonly (readonly [string, Cloud, string, number])[] = [
  ['NVIDIA GeForce RTX 4090', 'SECURE', 'US-KS-2', 8],
  ['NVIDIA GeForce RTX 4090', 'COMMUNITY', 'US', 4],
  ['NVIDIA GeForce RTX 4090', 'SECURE', 'EU-RO-1', 8],
  ['NVIDIA A40', 'SECURE', 'CA-MTL-1', 8],
  ['NVIDIA A100 80GB PCIe', 'SECURE', 'US-KS-2', 8],
  ['NVIDIA H100 80GB HBM3', 'SECURE', 'US-GA-2', 8],
  ['NVIDIA RTX A4000', 'COMMUNITY', 'DE', 2],
  ['NVIDIA L4', 'SECURE', 'US-TX-1', 8],
];

/** `count` hosts; the same seed, the same hosts. */
export function drawMarket(seed: number, count: number): Host[] {
  const dice = createDice(createRandom(seed));
  return Array.from({ length: count }, (_, index) => {
    const [gpuId = '', cloud, place, gpus] = STAPLES[index] ?? [];
    return drawHost(dice, { gpu: gpuType(gpuId), cloud, place, gpus });
  });
}

interface Staple {
  readonly gpu: GpuType | undefined;
  readonly cloud: Cloud | undefined;
  readonly place: string | undefined;
  readonly gpus: number | undefined;
}
function drawHost(dice: Dice, staple: Staple): Host {
  const gpu = staple.gpu ?? weighted(dice);
  const cloud = staple.cloud ?? drawCloud(dice, gpu);
  const center =
    cloud === 'SECURE'
      ? (DATA_CENTERS.find(({ id }) => id === staple.place) ?? dice.pick(PLACES))
      : null;
  const [cuda, driver] = dice.pick(Number(gpu.computeCapability) < 10 ? CUDAS : NEW_CUDAS);
  const gpus = staple.gpus ?? Math.min(gpu.maxCount, dice.pick([1, 2, 4, 8]));
  return {
    machineId: wordOf(dice, 12),
    gpu,
    cloud,
    dataCenter: center,
    country: center?.country ?? staple.place ?? dice.pick(COMMUNITY_COUNTRIES),
    gpus,
    vcpuPerGpu: dice.pick([6, 8, 12, 16, 24]),
    ramGbPerGpu: Math.max(23, Math.round(gpu.memoryGb * dice.between(1.1, 2.6))),
    diskGb: dice.integer(400, 6_000),
    downMbps: Math.round(dice.between(300, cloud === 'SECURE' ? 9_000 : 1_500)),
    upMbps: Math.round(dice.between(100, cloud === 'SECURE' ? 7_000 : 900)),
    diskMbPerSecond: rounded(dice.between(500, 6_500), 0),
    cuda,
    driver,
    publicIp: cloud === 'SECURE' || staple.gpu !== undefined || dice.chance(0.7),
  };
}
const [FIRST_PLACE, ...OTHER_PLACES] = DATA_CENTERS.filter(({ listed }) => listed);
if (FIRST_PLACE === undefined) throw new Error('There are no data centers.');
const PLACES: readonly [DataCenter, ...DataCenter[]] = [FIRST_PLACE, ...OTHER_PLACES];
const NEW_CUDAS: typeof CUDAS = [CUDAS[2] ?? CUDAS[0], ...CUDAS.slice(3)];

function drawCloud(dice: Dice, gpu: GpuType): Cloud {
  if (gpu.secureUsd === null) return 'COMMUNITY';
  return gpu.communityUsd === null || dice.chance(0.7) ? 'SECURE' : 'COMMUNITY';
}

function weighted(dice: Dice): GpuType {
  const total = GPU_TYPES.reduce((sum, { weight }) => sum + weight, 0);
  let left = dice.next() * total;
  const found = GPU_TYPES.find(({ weight }) => (left -= weight) < 0) ?? GPU_TYPES[0];
  if (found === undefined) throw new Error('There are no GPU types.');
  return found;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** Lower-case letters and digits, as the ids of this cloud. */
export function wordOf(dice: Dice, length: number): string {
  return Array.from({ length }, () => LETTERS[dice.integer(0, LETTERS.length - 1)] ?? 'a').join('');
}

/** Dollars an hour for one GPU, without storage. */
export function usdPerGpu(gpu: GpuType, cloud: Cloud): number {
  return (cloud === 'SECURE' ? gpu.secureUsd : gpu.communityUsd) ?? gpu.secureUsd ?? 0;
}
/** The least that is taken for an interruptible one. */
export const minBidPerGpu = (gpu: GpuType, cloud: Cloud): number =>
  rounded(usdPerGpu(gpu, cloud) * 0.55, 2);
