import { randomOf } from '../random.ts';

export interface Region {
  readonly name: string;
  readonly description: string;
}
/** One type of machine. Prices are those that a reader saw in May 2026, cents an hour. */
export interface Kind {
  readonly name: string;
  readonly description: string;
  readonly gpuDescription: string;
  readonly centsPerHour: number;
  readonly specs: {
    readonly vcpus: number;
    readonly memory_gib: number;
    readonly storage_gib: number;
    readonly gpus: number;
  };
  readonly card?: Card | undefined;
}
/** What the driver of the machine says. */
export interface Card {
  readonly driverName: string;
  readonly vramMib: number;
  readonly computeCapability: string;
}

const CARDS = {
  a10: ['A10 (24 GB PCIe)', 'NVIDIA A10', 23_028, '8.6'],
  a6000: ['A6000 (48 GB)', 'NVIDIA RTX A6000', 49_140, '8.6'],
  rtx6000: ['RTX 6000 (24 GB)', 'Quadro RTX 6000', 24_576, '7.5'],
  a100: ['A100 (40 GB PCIe)', 'NVIDIA A100-PCIE-40GB', 40_960, '8.0'],
  a100_sxm4: ['A100 (40 GB SXM4)', 'NVIDIA A100-SXM4-40GB', 40_960, '8.0'],
  a100_80gb_sxm4: ['A100 (80 GB SXM4)', 'NVIDIA A100-SXM4-80GB', 81_920, '8.0'],
  gh200: ['GH200 (96 GB)', 'NVIDIA GH200 480GB', 97_871, '9.0'],
  h100_pcie: ['H100 (80 GB PCIe)', 'NVIDIA H100 PCIe', 81_559, '9.0'],
  h100_sxm5: ['H100 (80 GB SXM5)', 'NVIDIA H100 80GB HBM3', 81_559, '9.0'],
  b200_sxm6: ['B200 (180 GB SXM6)', 'NVIDIA B200', 183_359, '10.0'],
  v100: ['Tesla V100 (16 GB)', 'Tesla V100-SXM2-16GB', 16_384, '7.0'],
} as const satisfies Readonly<Record<string, readonly [string, string, number, string]>>;

type Row = readonly [
  card: keyof typeof CARDS,
  gpus: number,
  cents: number,
  vcpus: number,
  ram: number,
  disk: number,
];
const ROWS: readonly Row[] = [
  ['rtx6000', 1, 69, 14, 46, 512],
  ['a6000', 1, 109, 14, 100, 512],
  ['a10', 1, 129, 30, 200, 1400],
  ['a100', 1, 199, 30, 200, 512],
  ['a100_sxm4', 1, 199, 30, 200, 512],
  ['gh200', 1, 229, 64, 432, 4096],
  ['h100_pcie', 1, 329, 26, 200, 1024],
  ['h100_sxm5', 1, 429, 26, 225, 2816],
  ['b200_sxm6', 1, 699, 26, 360, 2816],
  ['a6000', 2, 218, 28, 200, 1024],
  ['a100', 2, 398, 60, 400, 1024],
  ['h100_sxm5', 2, 838, 52, 450, 5632],
  ['a6000', 4, 436, 56, 400, 1024],
  ['a100', 4, 796, 120, 800, 1024],
  ['h100_sxm5', 4, 1636, 104, 900, 11_264],
  ['v100', 8, 632, 92, 448, 5939],
  ['a100_sxm4', 8, 1592, 124, 1800, 6144],
  ['a100_80gb_sxm4', 8, 2232, 240, 1800, 20_480],
  ['h100_sxm5', 8, 3192, 208, 1800, 22_528],
  ['b200_sxm6', 8, 5352, 208, 2900, 22_528],
];
const CPU: Kind = {
  name: 'cpu_4x_general',
  description: '4x CPU General (16 GiB)',
  gpuDescription: 'N/A',
  centsPerHour: 20,
  specs: { vcpus: 4, memory_gib: 16, storage_gib: 512, gpus: 0 },
};

export const KINDS: readonly Kind[] = [
  CPU,
  ...ROWS.map(([model, gpus, centsPerHour, vcpus, ram, disk]): Kind => {
    const [prose, driverName, vramMib, computeCapability] = CARDS[model];
    return {
      name: `gpu_${gpus}x_${model}`,
      description: `${gpus}x ${prose}`,
      gpuDescription: prose,
      centsPerHour,
      specs: { vcpus, memory_gib: ram, storage_gib: disk, gpus },
      card: { driverName, vramMib, computeCapability },
    };
  }),
];

export const REGIONS: readonly Region[] = [
  { name: 'us-west-1', description: 'California, USA' },
  { name: 'us-west-3', description: 'Utah, USA' },
  { name: 'us-east-1', description: 'Virginia, USA' },
  { name: 'us-east-3', description: 'Washington DC, USA' },
  { name: 'us-south-1', description: 'Texas, USA' },
  { name: 'us-midwest-1', description: 'Illinois, USA' },
  { name: 'europe-central-1', description: 'Germany' },
  { name: 'asia-northeast-1', description: 'Osaka, Japan' },
  { name: 'me-west-1', description: 'Israel' },
];

const LISTED_SHARE = 0.3;

/** "gpu_1x_a10@us-west-1" of all that is free at first: it follows from the seed. One place always has each of the small ones. */
export function freeAtFirst(seed: number, most: number): ReadonlySet<string> {
  const places = KINDS.toSorted(
    (a, b) => Number(b.specs.gpus > 0) - Number(a.specs.gpus > 0),
  ).flatMap(({ name, specs }) =>
    REGIONS.map((region, at) => ({
      place: `${name}@${region.name}`,
      isSure: at === 0 && specs.gpus === 1,
      luck: randomOf(seed, name, region.name),
    })),
  );
  const free = places.filter(({ isSure, luck }) => isSure || luck < LISTED_SHARE);
  return new Set(free.slice(0, most).map(({ place }) => place));
}
