import { DATA_CENTERS } from './data-centers.ts';
import { GPU_TYPES, type GpuType } from './gpu-types.ts';
import { type Cloud, type Host, minBidPerGpu, usdPerGpu } from './market.ts';
import { fits, type Wish } from './place.ts';
import { freeGpus, type World } from './world.ts';

export type Level = 'NONE' | 'LOW' | 'MEDIUM' | 'HIGH';

/** What could be rented of one GPU type. */
export interface Stock {
  readonly hosts: readonly Host[];
  /** Those that have enough free GPUs. */
  readonly open: readonly Host[];
  readonly level: Level;
}

export function stockOf(world: World, wish: Wish): Stock {
  const hosts = world.hosts.filter((host) => fits(host, wish));
  const count = wish.count ?? 1;
  const open = hosts.filter((host) => freeGpus(world, host) >= count);
  const free = open.reduce((sum, host) => sum + Math.floor(freeGpus(world, host) / count), 0);
  return { hosts, open, level: levelOf(free) };
}
const levelOf = (free: number): Level =>
  free === 0 ? 'NONE' : free <= 4 ? 'LOW' : free <= 16 ? 'MEDIUM' : 'HIGH';

/** GraphQL has words of its own. */
export const stockStatus = (level: Level): string | null =>
  level === 'NONE' ? null : `${level.slice(0, 1)}${level.slice(1).toLowerCase()}`;

export interface Lowest {
  readonly usd: number | null;
  readonly bidUsd: number | null;
}
/** The lowest price for one GPU among these hosts. */
export function lowestOf(hosts: readonly Host[]): Lowest {
  const least = (priceOf: (gpu: GpuType, cloud: Cloud) => number): number | null =>
    hosts.length === 0 ? null : Math.min(...hosts.map(({ gpu, cloud }) => priceOf(gpu, cloud)));
  return { usd: least(usdPerGpu), bidUsd: least(minBidPerGpu) };
}

/** Driver versions that are there, old ones first. */
export const CUDA_VERSIONS: readonly string[] = ['12.4', '12.6', '12.8', '12.9', '13.0'];

export interface PlaceStock {
  readonly id: string;
  readonly name: string;
  readonly level: Level;
}
/** One GPU type in every data center that has it at all. */
export function placesOf(world: World, wish: Wish): readonly PlaceStock[] {
  return DATA_CENTERS.filter(({ listed }) => listed).flatMap(({ id, name }) => {
    const { hosts, level } = stockOf(world, { ...wish, dataCenterIds: [id] });
    return hosts.length === 0 ? [] : [{ id, name, level }];
  });
}
/** Every GPU type that a data center has at all. */
export function gpusIn(
  world: World,
  wish: Wish,
): readonly (PlaceStock & { readonly gpu: GpuType })[] {
  return GPU_TYPES.flatMap((gpu) => {
    const { hosts, level } = stockOf(world, { ...wish, gpuTypeIds: [gpu.id] });
    return hosts.length === 0 ? [] : [{ id: gpu.id, name: gpu.displayName, level, gpu }];
  });
}
