import { createRandom } from '../random.ts';
import { createDice, type Dice, rounded } from './dice.ts';
import { GPU_MODELS, type GpuModel } from './gpu-models.ts';

/** A physical machine of a host. Its offers share its GPUs. */
export interface Machine {
  readonly machineId: number;
  readonly hostId: number;
  readonly gpu: GpuModel;
  readonly gpus: number;
  readonly datacenter: boolean;
  readonly verification: 'verified' | 'unverified' | 'deverified';
  readonly reliability: number;
  readonly geolocation: string | null;
  readonly cpuName: string;
  readonly cpuArch: 'amd64' | 'arm64';
  /** `null`: the host does not tell. */
  readonly cpuCores: number | null;
  readonly cpuThreads: number;
  readonly cpuGhz: number;
  readonly ramMb: number;
  readonly diskGb: number;
  readonly diskMbPerSecond: number;
  readonly diskName: string;
  readonly downMbps: number;
  readonly upMbps: number;
  readonly downUsdPerGb: number;
  readonly upUsdPerGb: number;
  readonly storageUsdPerGbMonth: number;
  /** Storage of a stopped instance costs this much times the rate of a running one. */
  readonly stoppedStorageFactor: number;
  readonly directPorts: number;
  readonly staticIp: boolean;
  readonly publicIp: string;
  readonly driver: string;
  readonly cuda: number;
  readonly osVersion: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly external: boolean;
  /** GB of a local volume that can be rented; `null`: none. */
  readonly volumeGb: number | null;
  readonly volumeAskId: number | null;
}

/** One thing that can be rented once. */
export interface Ask {
  readonly id: number;
  readonly machine: Machine;
  readonly count: number;
  /** Dollars per hour for all its GPUs, without storage. */
  usdPerHour: number;
  minBidUsdPerHour: number;
}

const PLACES: readonly [string, ...string[]] = [
  'Texas, US',
  'California, US',
  'Washington, US',
  'Virginia, US',
  'Quebec, CA',
  'Sweden, SE',
  'Norway, NO',
  'Germany, DE',
  'Czechia, CZ',
  'Poland, PL',
  'United Kingdom, GB',
  'France, FR',
  'Spain, ES',
  'Bulgaria, BG',
  'Iceland, IS',
  'Japan, JP',
  'Taiwan, TW',
  'South Korea, KR',
  'Vietnam, VN',
  'India, IN',
  'Australia, AU',
  'Brazil, BR',
  ', US',
  ', CN',
];
const CPUS: readonly [readonly [string, number, number], ...(readonly [string, number, number])[]] =
  [
    ['AMD EPYC 7K62 48-Core Processor', 96, 3.3],
    ['AMD EPYC 7763 64-Core Processor', 128, 2.45],
    ['AMD EPYC 9354 32-Core Processor', 64, 3.25],
    ['AMD Ryzen 9 7950X 16-Core Processor', 32, 4.5],
    ['AMD Ryzen Threadripper PRO 3975WX 32-Cores', 64, 3.5],
    ['Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz', 80, 2.1],
    ['Xeon® E5-2680 v4', 56, 2.4],
    ['Core™ i9-13900K', 32, 5.4],
  ];
const DRIVERS: readonly [readonly [string, number], ...(readonly [string, number])[]] = [
  ['535.183.01', 12.2],
  ['550.127.05', 12.4],
  ['560.35.03', 12.6],
  ['570.124.04', 12.8],
  ['575.57.08', 12.9],
  ['580.65.06', 13],
];
const DISKS: readonly [string, ...string[]] = [
  'FIKWOT FN955 4TB',
  'Samsung SSD 980 PRO 2TB',
  'KINGSTON SNV2S2000G',
  'MTFDKCC3T8TGP-1BK1JABYY',
  'WD_BLACK SN850X 4000GB',
];

function weighted(dice: Dice): GpuModel {
  const total = GPU_MODELS.reduce((sum, one) => sum + one.weight, 0);
  let left = dice.next() * total;
  for (const one of GPU_MODELS) {
    left -= one.weight;
    if (left < 0) return one;
  }
  return GPU_MODELS[0];
}

function drawMachine(dice: Dice, machineId: number, nowSeconds: number): Machine {
  const gpu = weighted(dice);
  const datacenter = dice.chance(gpu.datacenter ? 0.8 : 0.15);
  const [cpuName, threads, ghz] = dice.pick(CPUS);
  const [driver, cuda] = dice.pick(
    gpu.computeCap >= 1000 ? [DRIVERS[3] ?? DRIVERS[0], ...DRIVERS.slice(4)] : DRIVERS,
  );
  const gpus = dice.pick(gpu.counts);
  const arm = gpu.name.startsWith('GH200');
  const verification = dice.chance(0.78)
    ? 'verified'
    : dice.chance(0.8)
      ? 'unverified'
      : 'deverified';
  const flaky = dice.chance(0.12);
  const volume = dice.chance(0.45);
  return {
    machineId,
    hostId: 50_000 + dice.integer(1, 9_000),
    gpu,
    gpus,
    datacenter,
    verification,
    reliability: rounded(flaky ? dice.between(0.6, 0.95) : dice.between(0.965, 0.9999), 7),
    geolocation: dice.chance(0.04) ? null : dice.pick(PLACES),
    cpuName: arm ? 'Neoverse-V2' : cpuName,
    cpuArch: arm ? 'arm64' : 'amd64',
    cpuCores: dice.chance(0.05) ? null : arm ? 72 : threads,
    cpuThreads: arm ? 72 : threads,
    cpuGhz: ghz,
    ramMb: dice.integer(28, 64) * 1_007 * gpus * (datacenter ? 3 : 1),
    diskGb: rounded(dice.chance(0.07) ? dice.between(12, 60) : dice.between(90, 3_600), 1),
    diskMbPerSecond: rounded(dice.between(450, 7_200), 1),
    diskName: dice.pick(DISKS),
    downMbps: rounded(
      dice.chance(0.12) ? dice.between(25, 120) : dice.between(250, datacenter ? 8_500 : 2_400),
      1,
    ),
    upMbps: rounded(dice.between(18, datacenter ? 7_000 : 1_100), 1),
    downUsdPerGb: dice.chance(0.2) ? 0 : rounded(dice.between(0.0008, 0.02), 6),
    upUsdPerGb: dice.chance(0.2) ? 0 : rounded(dice.between(0.0008, 0.03), 6),
    storageUsdPerGbMonth: rounded(dice.between(0.08, 0.34), 6),
    stoppedStorageFactor: dice.chance(0.3) ? rounded(dice.between(1.1, 2), 2) : 1,
    directPorts: dice.chance(0.15) ? 0 : dice.integer(1, 250),
    staticIp: dice.chance(0.7),
    publicIp: `203.0.113.${dice.integer(1, 254)}`,
    driver,
    cuda,
    osVersion: dice.chance(0.7) ? '22.04' : '24.04',
    startSeconds: nowSeconds - dice.integer(1, 300) * 86_400,
    endSeconds:
      nowSeconds +
      (dice.chance(0.1) ? dice.between(2 * 3_600, 2 * 86_400) : dice.between(4, 400) * 86_400),
    external: dice.chance(0.03),
    volumeGb: volume ? dice.integer(40, 1_200) : null,
    volumeAskId: volume ? 300_000 + machineId : null,
  };
}

/** The sizes a machine of `gpus` is offered in: all of it, and its halves. */
function sizes(gpus: number): readonly number[] {
  return gpus <= 1 ? [1] : [...sizes(Math.floor(gpus / 2)), gpus];
}

/**
 * `count` offers. The same seed gives the same machines, prices and ids; only dates move with `nowSeconds`.
 */
export function drawMarket(seed: number, count: number, nowSeconds: number): Ask[] {
  const dice = createDice(createRandom(seed));
  const asks: Ask[] = [];
  let machineId = 20_000 + dice.integer(0, 4_000);
  let askId = 26_000_000 + dice.integer(0, 400_000);
  while (asks.length < count) {
    machineId += dice.integer(1, 90);
    const machine = drawMachine(dice, machineId, nowSeconds);
    const trust = machine.verification === 'verified' ? 1 : 0.82;
    const each = machine.gpu.usdPerHour * trust * dice.between(0.72, 1.6);
    const bidShare = dice.between(0.3, 0.75);
    for (const size of sizes(machine.gpus)) {
      if (asks.length >= count) break;
      askId += dice.integer(1, 700);
      const usdPerHour = rounded(each * size * dice.between(0.97, 1.03), 7);
      asks.push({
        id: askId,
        machine,
        count: size,
        usdPerHour,
        minBidUsdPerHour: Math.max(0.001, rounded(usdPerHour * bidShare, 4)),
      });
    }
  }
  return asks;
}
