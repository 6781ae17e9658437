import type { Cloud } from './offer-id.ts';
import type { GraphqlCatalog } from './wire.ts';
import type { RestDataCenters, RestGpus } from './wire-rest.ts';

export type Stock = 'high' | 'medium' | 'low' | 'none';

/** What one cloud of RunPod asks for one kind of GPU. */
export interface CloudRow {
  readonly stock: Stock;
  readonly usdPerGpu: number;
  readonly leastBidPerGpu?: number | undefined;
  /** The least a pod gets; absent: not told. */
  readonly vcpu?: number | undefined;
  readonly ramGb?: number | undefined;
  /** Numbers of GPUs that one machine can give now; absent: not told. */
  readonly counts?: readonly number[] | undefined;
  readonly mostGpus: number;
  /** The newest CUDA that a free machine takes. */
  readonly cuda?: number | undefined;
}
export interface GpuRow {
  readonly id: string;
  readonly name: string;
  readonly vramGb: number;
  readonly clouds: Readonly<Partial<Record<Cloud, CloudRow>>>;
}
export interface DataCenterRow {
  readonly id: string;
  readonly place: string;
  /** Whether network volumes can be there; absent: not told. */
  readonly hasStorage?: boolean | undefined;
  /** Whether it takes new pods. */
  readonly isCreatable: boolean;
  readonly stock: ReadonlyMap<string, Stock>;
}
export interface Catalog {
  readonly gpus: readonly GpuRow[];
  readonly dataCenters: readonly DataCenterRow[];
}

/** A type that RunPod lists and nobody can rent. */
const SENTINEL = 'unknown';
const MOST_GPUS = 8;

export function catalogOfGraphql({ gpuTypes, dataCenters }: GraphqlCatalog): Catalog {
  return {
    gpus: gpuTypes.flatMap((gpu): GpuRow[] => {
      if (gpu.id === SENTINEL || gpu.memoryInGb == null) return [];
      const secure =
        gpu.secureCloud === false
          ? undefined
          : cloudOf(gpu.secureLowest, gpu.maxGpuCountSecureCloud);
      const community =
        gpu.communityCloud === false
          ? undefined
          : cloudOf(gpu.communityLowest, gpu.maxGpuCountCommunityCloud);
      return [
        {
          id: gpu.id,
          name: gpu.displayName ?? gpu.id,
          vramGb: gpu.memoryInGb,
          clouds: {
            ...(secure === undefined ? {} : { secure }),
            ...(community === undefined ? {} : { community }),
          },
        },
      ];
    }),
    dataCenters: dataCenters.map((center) => ({
      id: center.id.toUpperCase(),
      place: center.location ?? center.name ?? '',
      hasStorage: center.storageSupport ?? undefined,
      isCreatable: center.listed !== false,
      stock: new Map(
        center.gpuAvailability.map(({ gpuTypeId, stockStatus, available }) => [
          gpuTypeId ?? '',
          available === false ? 'none' : stockOf(stockStatus),
        ]),
      ),
    })),
  };
}

type Lowest = GraphqlCatalog['gpuTypes'][number]['secureLowest'];

/** Without a price nothing can be rented; without a stock level the price alone says that something is there. */
function cloudOf(lowest: Lowest, most: number | null | undefined): CloudRow | undefined {
  const usdPerGpu = lowest?.uninterruptablePrice ?? 0;
  if (lowest == null || !(usdPerGpu > 0)) return undefined;
  const cudas = lowest.gpuTypeCudaVersions.flatMap(({ cudaVersion, availability }) =>
    availability === 'AVAILABLE' ? [Number(cudaVersion)] : [],
  );
  return {
    stock: stockOf(lowest.stockStatus),
    usdPerGpu,
    leastBidPerGpu: positive(lowest.minimumBidPrice),
    vcpu: positive(lowest.minVcpu),
    ramGb: positive(lowest.minMemory),
    counts: lowest.availableGpuCounts ?? undefined,
    mostGpus: positive(most) ?? MOST_GPUS,
    cuda: newest(cudas),
  };
}

/** REST v2 asks for one cloud at a time and tells neither bids nor processors. */
export function catalogOfRest(
  gpus: Readonly<Record<Cloud, RestGpus>>,
  centers: RestDataCenters,
): Catalog {
  const rows = new Map<string, GpuRow>();
  const stock = new Map<string, Map<string, Stock>>();
  for (const cloud of ['secure', 'community'] as const)
    for (const gpu of gpus[cloud]) {
      if (gpu.id === SENTINEL || gpu.memory == null) continue;
      const before = rows.get(gpu.id);
      const usdPerGpu = gpu.price?.[cloud] ?? 0;
      const isSold = gpu[cloud] !== false && usdPerGpu > 0;
      const versions = gpu.cudaVersions.flatMap(({ version, available }) =>
        available === true ? [Number(version)] : [],
      );
      const row: CloudRow = {
        stock: stockOf(gpu.availability),
        usdPerGpu,
        mostGpus: positive(gpu.maxCount?.[cloud]) ?? MOST_GPUS,
        cuda: newest(versions),
      };
      rows.set(gpu.id, {
        id: gpu.id,
        name: gpu.name ?? gpu.id,
        vramGb: gpu.memory,
        clouds: { ...before?.clouds, ...(isSold ? { [cloud]: row } : {}) },
      });
      if (cloud === 'secure')
        for (const { id, availability } of gpu.dataCenters) {
          const levels = stock.get(id) ?? new Map<string, Stock>();
          stock.set(id, levels.set(gpu.id, stockOf(availability)));
        }
    }
  return {
    gpus: [...rows.values()],
    dataCenters: centers.map(({ id, name, networkVolumeTypes }) => ({
      id: id.toUpperCase(),
      place: name ?? '',
      hasStorage: networkVolumeTypes == null ? undefined : networkVolumeTypes.length > 0,
      isCreatable: true,
      stock: stock.get(id) ?? new Map<string, Stock>(),
    })),
  };
}

/** "High", "HIGH", "None", "Out" or nothing: what is not known to be there is not. */
export function stockOf(level: string | null | undefined): Stock {
  const word = (level ?? '').toLowerCase();
  return word === 'high' || word === 'medium' || word === 'low' ? word : 'none';
}

function positive(value: number | null | undefined): number | undefined {
  return value != null && value > 0 ? value : undefined;
}
/** Of versions as decimals; 12.11 is not among those that exist. */
function newest(versions: readonly number[]): number | undefined {
  return positive(Math.max(0, ...versions.filter((version) => Number.isFinite(version))));
}
