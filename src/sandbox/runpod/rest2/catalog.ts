import type { FakeAnswer } from '../../http.ts';
import { DATA_CENTERS, type DataCenter, dataCenter } from '../data-centers.ts';
import { GPU_TYPES, type GpuType, gpuType } from '../gpu-types.ts';
import { ANYWHERE, type Wish } from '../place.ts';
import { Refusal } from '../refusal.ts';
import { type Call, paramOf } from '../router.ts';
import { CUDA_VERSIONS, gpusIn, placesOf, stockOf } from '../stock.ts';
import { ok, oneOf, queryOf, someOf, wholeOf } from './answers.ts';
import type { View } from './views.ts';

const CUDA = /^\d+\.\d+$/;

interface GpuAsk {
  readonly wish: Wish;
  readonly withStock: boolean;
}
/** What is asked about availability: nothing of it without `include`, and that not without `product`. */
function gpuAsk(call: Call): GpuAsk {
  const withStock = oneOf(call, 'include', ['AVAILABILITY']) !== undefined;
  const product = oneOf(call, 'product', ['POD', 'CLUSTER', 'SERVERLESS']);
  const count = wholeOf(call, 'count', { min: 1, max: 64 });
  const cloud = oneOf(call, 'cloud', ['SECURE', 'COMMUNITY']);
  const countryCodes = someOf(call, 'countryCodes', /^[A-Z]{2}$/);
  const allowedCudas = someOf(call, 'cudaVersions', CUDA);
  const [minCuda] = someOf(call, 'minCudaVersion', CUDA);
  const isFiltered =
    [product, count, cloud, minCuda].some((one) => one !== undefined) ||
    countryCodes.length + allowedCudas.length > 0;
  if (isFiltered && !withStock)
    throw new Refusal('invalid', 'availability filters require include=AVAILABILITY');
  if (withStock && product === undefined)
    throw new Refusal('invalid', 'include=AVAILABILITY requires product');
  if (allowedCudas.length > 0 && minCuda !== undefined)
    throw new Refusal('invalid', 'cudaVersions and minCudaVersion are mutually exclusive');
  const wish: Wish = {
    ...ANYWHERE,
    count: count ?? 1,
    clouds: cloud === undefined ? ANYWHERE.clouds : [cloud],
    countryCodes,
    allowedCudas,
    minCuda: Number(minCuda ?? 0),
  };
  return { wish, withStock };
}

function gpuView({ world }: Call, gpu: GpuType, { wish, withStock }: GpuAsk): View {
  const { secureUsd, communityUsd, maxCount } = gpu;
  const wanted = { ...wish, gpuTypeIds: [gpu.id] };
  const stock = withStock ? stockOf(world, wanted) : undefined;
  return {
    id: gpu.id,
    name: gpu.displayName,
    pool: gpu.pool,
    manufacturer: gpu.manufacturer.toUpperCase(),
    memory: gpu.memoryGb,
    secure: secureUsd !== null,
    community: communityUsd !== null,
    price: { secure: secureUsd ?? 0, community: communityUsd ?? 0 },
    maxCount: {
      secure: secureUsd === null ? 0 : maxCount,
      community: communityUsd === null ? 0 : maxCount,
    },
    ...(stock === undefined
      ? {}
      : {
          availability: stock.level,
          dataCenters: placesOf(world, wanted).map(({ id, name, level }) => ({
            id,
            name,
            availability: level,
          })),
          cudaVersions: CUDA_VERSIONS.map((version) => ({
            version,
            available: stock.open.some(({ cuda }) => cuda === version),
          })),
        }),
  };
}
/** `GET /catalog/gpus`. */
export function gpus(call: Call): FakeAnswer {
  const ask = gpuAsk(call);
  return ok({ gpus: GPU_TYPES.map((gpu) => gpuView(call, gpu, ask)) });
}
/** `GET /catalog/gpus/{id}`. */
export function oneGpu(call: Call): FakeAnswer {
  const ask = gpuAsk(call);
  const gpu = gpuType(paramOf(call));
  if (gpu === undefined) throw new Refusal('not-found', 'gpu type not found');
  return ok(gpuView(call, gpu, ask));
}

function centerView({ world }: Call, center: DataCenter, include: readonly string[]): View {
  const wish = { ...ANYWHERE, count: 1, dataCenterIds: [center.id] };
  return {
    id: center.id,
    name: center.name,
    region: center.region,
    globalNetwork: center.globalNetwork,
    networkVolumeTypes: center.storage ? ['STANDARD'] : [],
    compliance: center.compliance,
    ...(include.includes('GPU_AVAILABILITY')
      ? {
          gpuAvailability: gpusIn(world, wish).map(({ id, name, level }) => ({
            id,
            name,
            availability: level,
          })),
        }
      : {}),
    ...(include.includes('CPU_AVAILABILITY') ? { cpuAvailability: [] } : {}),
  };
}
const includeOf = (call: Call): readonly string[] =>
  someOf(call, 'include', /^(?:GPU|CPU)_AVAILABILITY$/);

/** `GET /catalog/datacenters`. */
export function dataCenters(call: Call): FakeAnswer {
  const include = includeOf(call);
  const regions = someOf(call, 'regions', /^[A-Z_]+$/);
  const types = someOf(call, 'networkVolumeTypes', /^(?:STANDARD|HIGH_PERFORMANCE)$/);
  const compliance = someOf(call, 'compliance', /^[A-Z0-9_]+$/);
  const network = queryOf(call, 'globalNetwork');
  const found = DATA_CENTERS.filter(
    (center) =>
      center.listed &&
      (regions.length === 0 || regions.includes(center.region)) &&
      types.every((type) => type === 'STANDARD' && center.storage) &&
      compliance.every((one) => center.compliance.includes(one)) &&
      (network === undefined || String(center.globalNetwork) === network),
  );
  return ok({ dataCenters: found.map((center) => centerView(call, center, include)) });
}
/** `GET /catalog/datacenters/{id}`. */
export function oneDataCenter(call: Call): FakeAnswer {
  const include = includeOf(call);
  const center = dataCenter(paramOf(call));
  if (center === undefined) throw new Refusal('not-found', 'data center not found');
  return ok(centerView(call, center, include));
}

const CPUS: readonly View[] = ['cpu3c', 'cpu3g', 'cpu5c', 'cpu5g'].map((id) => ({
  id,
  name: id.endsWith('c') ? 'Compute-Optimized' : 'General Purpose',
  group: id.slice(0, 4),
  vcpu: { min: 2, max: 32 },
  ramGbPerVcpu: id.endsWith('c') ? 2 : 4,
  price: { securePerVcpu: 0.03, serverlessPerVcpu: 0.04 },
}));
/** `GET /catalog/cpus`. There is a price list and never any stock. */
export const cpus = (): FakeAnswer => ok({ cpus: CPUS });
/** `GET /catalog/cpus/{id}`. */
export function oneCpu(call: Call): FakeAnswer {
  const cpu = CPUS.find((one) => one['id'] === paramOf(call));
  if (cpu === undefined) throw new Refusal('not-found', 'cpu type not found');
  return ok(cpu);
}
