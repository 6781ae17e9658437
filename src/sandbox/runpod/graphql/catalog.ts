import { z } from 'zod';
import { DATA_CENTERS } from '../data-centers.ts';
import { GPU_TYPES, type GpuType, gpuType } from '../gpu-types.ts';
import { type Cloud, minBidPerGpu } from '../market.ts';
import { ANYWHERE, type Wish } from '../place.ts';
import { CUDA_VERSIONS, gpusIn, lowestOf, stockOf, stockStatus } from '../stock.ts';
import { freeGpus, type World } from '../world.ts';
import type { View } from './views.ts';

type Args = Readonly<Record<string, unknown>>;

const number = z.number().nullish();
const lowestSchema = z
  .object({
    gpuCount: number,
    secureCloud: z.boolean().nullish(),
    countryCode: z.string().nullish(),
    dataCenterId: z.string().nullish(),
    minDisk: number,
    minDownload: number,
    minUpload: number,
    minMemoryInGb: number,
    minVcpuCount: number,
    supportPublicIp: z.boolean().nullish(),
    totalDisk: number,
    cudaVersion: z.string().nullish(),
    allowedCudaVersions: z.array(z.string().nullable()).nullish(),
    globalNetwork: z.boolean().nullish(),
  })
  .nullish();

const clouds = (secure: boolean | null | undefined): readonly Cloud[] =>
  secure === true ? ['SECURE'] : secure === false ? ['COMMUNITY'] : ANYWHERE.clouds;

function wishOf(given: z.output<typeof lowestSchema>): Wish {
  const asked = given ?? {};
  return {
    ...ANYWHERE,
    count: asked.gpuCount ?? 1,
    clouds: clouds(asked.secureCloud),
    dataCenterIds: asked.dataCenterId ? [asked.dataCenterId] : [],
    countryCodes: asked.countryCode ? [asked.countryCode] : [],
    diskGb: asked.totalDisk ?? asked.minDisk ?? 0,
    minDownMbps: asked.minDownload ?? 0,
    minUpMbps: asked.minUpload ?? 0,
    minRamGb: asked.minMemoryInGb ?? 0,
    minVcpu: asked.minVcpuCount ?? 0,
    needsPublicIp: asked.supportPublicIp === true,
    minCuda: Number(asked.cudaVersion ?? 0),
    allowedCudas: (asked.allowedCudaVersions ?? []).filter((one) => one !== null),
    globalNetworking: asked.globalNetwork === true,
  };
}

function lowestPrice(world: World, gpu: GpuType, args: Args): View {
  const wish = { ...wishOf(lowestSchema.parse(args['input'])), gpuTypeIds: [gpu.id] };
  const { hosts, open, level } = stockOf(world, wish);
  const { usd, bidUsd } = lowestOf(open);
  const most = Math.max(0, ...open.map((host) => freeGpus(world, host)));
  const total = hosts.reduce((sum, host) => sum + host.gpus, 0);
  const free = hosts.reduce((sum, host) => sum + freeGpus(world, host), 0);
  return {
    gpuName: gpu.displayName,
    gpuTypeId: gpu.id,
    minimumBidPrice: bidUsd,
    uninterruptablePrice: usd,
    minMemory: least(open.map(({ ramGbPerGpu }) => ramGbPerGpu)),
    minVcpu: least(open.map(({ vcpuPerGpu }) => vcpuPerGpu)),
    rentalPercentage: total === 0 ? 0 : (total - free) / total,
    rentedCount: total - free,
    totalCount: total,
    stockStatus: stockStatus(level),
    minDownload: least(open.map(({ downMbps }) => downMbps)),
    minDisk: least(open.map(({ diskGb }) => diskGb)),
    minUpload: least(open.map(({ upMbps }) => upMbps)),
    countryCode: open[0]?.country ?? null,
    supportPublicIp: open.some(({ publicIp }) => publicIp),
    compliance: [],
    maxUnreservedGpuCount: most,
    availableGpuCounts: Array.from({ length: most }, (_, index) => index + 1),
    gpuTypeCudaVersions: CUDA_VERSIONS.map((cudaVersion) => ({
      cudaVersion,
      availability: open.some(({ cuda }) => cuda === cudaVersion) ? 'AVAILABLE' : 'UNAVAILABLE',
    })),
  };
}
const least = (numbers: readonly number[]): number | null =>
  numbers.length === 0 ? null : Math.min(...numbers);

function gpuView(world: World, gpu: GpuType): View {
  const { secureUsd, communityUsd, maxCount } = gpu;
  return {
    id: gpu.id,
    displayName: gpu.displayName,
    manufacturer: gpu.manufacturer,
    memoryInGb: gpu.memoryGb,
    secureCloud: secureUsd !== null,
    communityCloud: communityUsd !== null,
    securePrice: secureUsd ?? 0,
    communityPrice: communityUsd ?? 0,
    secureSpotPrice: secureUsd === null ? 0 : minBidPerGpu(gpu, 'SECURE'),
    communitySpotPrice: communityUsd === null ? 0 : minBidPerGpu(gpu, 'COMMUNITY'),
    maxGpuCount: maxCount,
    maxGpuCountCommunityCloud: communityUsd === null ? 0 : maxCount,
    maxGpuCountSecureCloud: secureUsd === null ? 0 : maxCount,
    minPodGpuCount: 1,
    lowestPrice: (args: Args) => lowestPrice(world, gpu, args),
  };
}
/** Stands in the real list too: nobody can rent it. */
const UNKNOWN: View = {
  id: 'unknown',
  displayName: 'unknown',
  manufacturer: null,
  memoryInGb: 0,
  secureCloud: false,
  communityCloud: false,
  lowestPrice: null,
};

const filterSchema = z
  .object({ id: z.string().nullish(), ids: z.array(z.string().nullable()).nullish() })
  .nullish();

export function gpuTypesView(world: World, args: Args): readonly View[] {
  const { id, ids } = filterSchema.parse(args['input']) ?? {};
  const wanted = [...(id ? [id] : []), ...(ids ?? [])];
  if (wanted.length === 0) return [...GPU_TYPES.map((gpu) => gpuView(world, gpu)), UNKNOWN];
  return wanted.flatMap((one) => {
    const gpu = gpuType(one ?? '');
    return gpu === undefined ? [] : [gpuView(world, gpu)];
  });
}

export function dataCentersView(world: World): readonly View[] {
  return DATA_CENTERS.map((center) => ({
    id: center.id,
    name: center.name,
    location: center.country,
    storageSupport: center.storage,
    listed: center.listed,
    compliance: center.compliance,
    gpuAvailability: (args: Args) => {
      const wish = { ...wishOf(lowestSchema.parse(args['input'])), dataCenterIds: [center.id] };
      return gpusIn(world, wish).map(({ gpu, level }) => ({
        id: `${gpu.id}-${center.id}`,
        available: level !== 'NONE',
        stockStatus: stockStatus(level),
        gpuTypeId: gpu.id,
        displayName: gpu.displayName,
        gpuTypeDisplayName: gpu.displayName,
      }));
    },
  }));
}

export const CPU_FLAVORS: readonly View[] = [
  'cpu3c',
  'cpu3g',
  'cpu3m',
  'cpu5c',
  'cpu5g',
  'cpu5m',
].map((id) => ({
  id,
  groupId: id.slice(0, 4),
  groupName: id.startsWith('cpu3') ? 'CPU3' : 'CPU5',
  displayName: { c: 'Compute-Optimized', g: 'General Purpose', m: 'Memory-Optimized' }[
    id.slice(-1)
  ],
  minVcpu: 2,
  maxVcpu: 32,
  vcpuBurstable: false,
  ramMultiplier: id.endsWith('c') ? 2 : id.endsWith('g') ? 4 : 8,
  diskLimitPerVcpu: 10,
}));
export const GPU_POOLS: readonly View[] = [
  ...new Set(GPU_TYPES.flatMap(({ pool }) => pool ?? [])),
].map((pool) => ({
  id: pool,
  gpuTypeIds: GPU_TYPES.filter((gpu) => gpu.pool === pool).map(({ id }) => id),
}));
