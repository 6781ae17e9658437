/** What a GPU type is in the catalogue. Prices are dollars an hour for one; `null`: not in that cloud. */
export interface GpuType {
  readonly id: string;
  readonly displayName: string;
  readonly manufacturer: 'Nvidia' | 'AMD';
  readonly memoryGb: number;
  /** As its driver reports it, MiB. */
  readonly vramMib: number;
  readonly computeCapability: string;
  readonly secureUsd: number | null;
  readonly communityUsd: number | null;
  readonly maxCount: number;
  readonly pool: string | null;
  /** How often it is there, relative to the others. */
  readonly weight: number;
}

type Row = readonly [
  id: string,
  displayName: string,
  memoryGb: number,
  computeCapability: string,
  secureUsd: number | null,
  communityUsd: number | null,
  maxCount: number,
  weight: number,
  pool?: string,
];
const ROWS: readonly Row[] = [
  ['NVIDIA GeForce RTX 4090', 'RTX 4090', 24, '8.9', 0.69, 0.34, 8, 14, 'ADA_24'],
  ['NVIDIA GeForce RTX 3090', 'RTX 3090', 24, '8.6', 0.46, 0.22, 8, 8, 'AMPERE_24'],
  ['NVIDIA GeForce RTX 3090 Ti', 'RTX 3090 Ti', 24, '8.6', null, 0.27, 4, 2, 'AMPERE_24'],
  ['NVIDIA GeForce RTX 3080', 'RTX 3080', 10, '8.6', null, 0.17, 4, 2],
  ['NVIDIA GeForce RTX 3080 Ti', 'RTX 3080 Ti', 12, '8.6', null, 0.18, 4, 1],
  ['NVIDIA GeForce RTX 3070', 'RTX 3070', 8, '8.6', null, 0.13, 4, 1],
  ['NVIDIA GeForce RTX 4070 Ti', 'RTX 4070 Ti', 12, '8.9', null, 0.19, 2, 1],
  ['NVIDIA GeForce RTX 4080', 'RTX 4080', 16, '8.9', null, 0.27, 4, 2],
  ['NVIDIA GeForce RTX 4080 SUPER', 'RTX 4080 SUPER', 16, '8.9', null, 0.28, 4, 1],
  ['NVIDIA GeForce RTX 5080', 'RTX 5080', 16, '12.0', null, 0.39, 4, 1],
  ['NVIDIA GeForce RTX 5090', 'RTX 5090', 32, '12.0', 0.94, 0.69, 8, 8],
  ['NVIDIA A30', 'A30', 24, '8.0', null, 0.22, 4, 1, 'AMPERE_24'],
  ['NVIDIA A40', 'A40', 48, '8.6', 0.44, 0.35, 10, 8, 'AMPERE_48'],
  ['NVIDIA A100 80GB PCIe', 'A100 PCIe', 80, '8.0', 1.39, 1.19, 8, 6, 'AMPERE_80'],
  ['NVIDIA A100-SXM4-80GB', 'A100 SXM', 80, '8.0', 1.49, 1.39, 8, 6, 'AMPERE_80'],
  ['NVIDIA B200', 'B200', 180, '10.0', 5.99, null, 8, 2],
  ['NVIDIA B300 SXM6 AC', 'B300', 288, '10.3', 7.39, null, 8, 1],
  ['NVIDIA H100 PCIe', 'H100 PCIe', 80, '9.0', 2.39, 1.99, 8, 4, 'ADA_80_PRO'],
  ['NVIDIA H100 80GB HBM3', 'H100 SXM', 80, '9.0', 2.99, 2.69, 8, 8, 'ADA_80_PRO'],
  ['NVIDIA H100 NVL', 'H100 NVL', 94, '9.0', 2.79, 2.59, 8, 2, 'ADA_80_PRO'],
  ['NVIDIA H200', 'H200 SXM', 141, '9.0', 3.59, null, 8, 5, 'HOPPER_141'],
  ['NVIDIA H200 NVL', 'H200 NVL', 143, '9.0', 3.39, null, 8, 1],
  ['NVIDIA L4', 'L4', 24, '8.9', 0.43, 0.39, 8, 4, 'AMPERE_24'],
  ['NVIDIA L40', 'L40', 48, '8.9', 0.99, 0.69, 8, 3, 'ADA_48_PRO'],
  ['NVIDIA L40S', 'L40S', 48, '8.9', 0.86, 0.79, 8, 6, 'ADA_48_PRO'],
  ['NVIDIA RTX 2000 Ada Generation', 'RTX 2000 Ada', 16, '8.9', 0.24, null, 4, 2, 'AMPERE_16'],
  ['NVIDIA RTX 4000 Ada Generation', 'RTX 4000 Ada', 20, '8.9', 0.26, 0.2, 4, 3],
  ['NVIDIA RTX 5000 Ada Generation', 'RTX 5000 Ada', 32, '8.9', null, 0.49, 4, 1],
  ['NVIDIA RTX 6000 Ada Generation', 'RTX 6000 Ada', 48, '8.9', 0.77, 0.74, 8, 5, 'ADA_48_PRO'],
  ['NVIDIA RTX A2000', 'RTX A2000', 6, '8.6', null, 0.12, 4, 1],
  ['NVIDIA RTX A4000', 'RTX A4000', 16, '8.6', 0.25, 0.17, 8, 4, 'AMPERE_16'],
  ['NVIDIA RTX A4500', 'RTX A4500', 20, '8.6', 0.25, 0.19, 4, 2, 'AMPERE_16'],
  ['NVIDIA RTX A5000', 'RTX A5000', 24, '8.6', 0.27, 0.16, 8, 5, 'AMPERE_24'],
  ['NVIDIA RTX A6000', 'RTX A6000', 48, '8.6', 0.49, 0.33, 8, 6, 'AMPERE_48'],
  ['NVIDIA RTX PRO 6000 Blackwell Server Edition', 'RTX PRO 6000', 96, '12.0', 1.84, 1.79, 8, 3],
  [
    'NVIDIA RTX PRO 6000 Blackwell Workstation Edition',
    'RTX PRO 6000 WK',
    96,
    '12.0',
    2.09,
    1.69,
    8,
    2,
  ],
  ['AMD Instinct MI300X OAM', 'MI300X', 192, '9.4', 2.49, null, 8, 1],
  ['Tesla V100-SXM2-32GB', 'V100 SXM2 32GB', 32, '7.0', null, 0.19, 8, 1],
];

export const GPU_TYPES: readonly GpuType[] = ROWS.map(
  ([
    id,
    displayName,
    memoryGb,
    computeCapability,
    secureUsd,
    communityUsd,
    maxCount,
    weight,
    pool,
  ]) => ({
    id,
    displayName,
    manufacturer: id.startsWith('AMD') ? 'AMD' : 'Nvidia',
    memoryGb,
    vramMib: memoryGb * 1_024 - 12,
    computeCapability,
    secureUsd,
    communityUsd,
    maxCount,
    pool: pool ?? null,
    weight,
  }),
);

export const gpuType = (id: string): GpuType | undefined =>
  GPU_TYPES.find((type) => type.id === id);
