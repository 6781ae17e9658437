/** What one model looks like on the market. Names are spelled as the marketplace spells them. */
export interface GpuModel {
  readonly name: string;
  /** As the driver reports it, MB. */
  readonly vramMb: number;
  /** Times one hundred: 890 is 8.9. */
  readonly computeCap: number;
  readonly tflops: number;
  readonly memoryGbPerSecond: number;
  readonly maxPowerWatts: number;
  /** Dollars per hour for one, around which hosts ask. */
  readonly usdPerHour: number;
  /** How often it is offered, relative to the others. */
  readonly weight: number;
  /** How many a machine of this kind has. */
  readonly counts: readonly [number, ...number[]];
  /** Stands in data centres more often than not. */
  readonly datacenter: boolean;
}

const model = (
  name: string,
  [vramMb, computeCap, tflops, memoryGbPerSecond, maxPowerWatts]: readonly [
    number,
    number,
    number,
    number,
    number,
  ],
  usdPerHour: number,
  weight: number,
  counts: readonly [number, ...number[]],
  datacenter = false,
): GpuModel => ({
  name,
  vramMb,
  computeCap,
  tflops,
  memoryGbPerSecond,
  maxPowerWatts,
  usdPerHour,
  weight,
  counts,
  datacenter,
});

export const GPU_MODELS: readonly [GpuModel, ...GpuModel[]] = [
  model('RTX 4090', [24_564, 890, 82.6, 888.8, 450], 0.36, 20, [1, 2, 4, 8]),
  model('RTX 3090', [24_576, 860, 35.6, 822.3, 350], 0.19, 14, [1, 2, 4, 8]),
  model('RTX 5090', [32_607, 1200, 104.9, 1523.6, 575], 0.52, 10, [1, 2, 4, 8]),
  model('RTX 4080', [16_376, 890, 48.7, 631, 320], 0.22, 3, [1, 2]),
  model('RTX 4070 Ti', [12_282, 890, 40.1, 446, 285], 0.14, 3, [1, 2]),
  model('RTX 3080', [10_240, 860, 29.8, 640, 320], 0.12, 4, [1, 2, 4]),
  model('RTX 3060', [12_288, 860, 12.7, 331.6, 170], 0.07, 5, [1, 2, 4]),
  model('GTX 1080 Ti', [11_264, 610, 11.3, 399, 250], 0.07, 2, [1, 2]),
  model('RTX A4000', [16_376, 860, 19.2, 391, 140], 0.12, 4, [1, 2, 4]),
  model('RTX A5000', [24_564, 860, 27.8, 628.8, 230], 0.2, 5, [1, 2, 4]),
  model('RTX A6000', [49_140, 860, 38.7, 641, 300], 0.45, 6, [1, 2, 4, 8]),
  model('RTX 6000Ada', [49_140, 890, 91.1, 809, 300], 0.68, 4, [1, 2, 4]),
  model('L40S', [46_068, 890, 91.6, 692, 350], 0.62, 5, [1, 2, 4, 8], true),
  model('L4', [23_034, 890, 30.3, 250, 72], 0.3, 2, [1, 2, 4], true),
  model('A40', [46_068, 860, 37.4, 599, 300], 0.4, 3, [1, 2, 4], true),
  model('A100 PCIE', [40_960, 800, 19.5, 1290, 250], 0.65, 3, [1, 2, 4], true),
  model('A100 SXM4', [81_920, 800, 19.5, 1690, 400], 0.88, 6, [1, 2, 4, 8], true),
  model('H100 PCIE', [81_559, 900, 51.2, 1650, 350], 1.75, 3, [1, 2, 4], true),
  model('H100 SXM', [81_559, 900, 67, 2690, 700], 1.95, 6, [1, 2, 4, 8], true),
  model('H100 NVL', [95_830, 900, 60, 3150, 400], 1.9, 2, [1, 2], true),
  model('H200', [143_771, 900, 67, 3990, 700], 2.5, 3, [1, 2, 4, 8], true),
  model('B200', [183_359, 1000, 75, 6600, 1000], 3.6, 1, [1, 8], true),
  model('GH200 SXM', [97_871, 900, 67, 3300, 700], 1.6, 1, [1], true),
  model('Tesla T4', [15_360, 750, 8.1, 241, 70], 0.1, 3, [1, 2, 4], true),
  model('Tesla V100', [32_768, 700, 15.7, 760, 300], 0.21, 3, [1, 2, 4, 8], true),
  model('Q RTX 8000', [46_080, 750, 16.3, 557, 260], 0.28, 2, [1, 2, 4]),
];
