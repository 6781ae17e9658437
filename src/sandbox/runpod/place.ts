import type { FaultSubject } from '../faults.ts';
import { type Cloud, type Host, usdPerGpu } from './market.ts';
import { NO_CAPACITY, NO_SPOT, Refusal, UNFIT, WRONG } from './refusal.ts';
import { freeGpus, strikes, type World } from './world.ts';

/** Where a pod is wanted. */
export interface Wish {
  /** In this order; what comes first is taken when it is there. */
  readonly gpuTypeIds: readonly string[];
  /** `undefined`: not said. */
  readonly count: number | undefined;
  readonly clouds: readonly Cloud[];
  /** Empty: anywhere. */
  readonly dataCenterIds: readonly string[];
  readonly countryCodes: readonly string[];
  /** Of the whole pod. */
  readonly minVcpu: number;
  readonly minRamGb: number;
  readonly minDownMbps: number;
  readonly minUpMbps: number;
  readonly minDiskMbPerSecond: number;
  readonly minCuda: number;
  readonly allowedCudas: readonly string[];
  readonly diskGb: number;
  readonly needsPublicIp: boolean;
  readonly globalNetworking: boolean;
  readonly networkVolumeId: string | null;
  readonly bidPerGpu: number | undefined;
}

export const ANYWHERE: Wish = {
  gpuTypeIds: [],
  count: undefined,
  clouds: ['SECURE', 'COMMUNITY'],
  dataCenterIds: [],
  countryCodes: [],
  minVcpu: 0,
  minRamGb: 0,
  minDownMbps: 0,
  minUpMbps: 0,
  minDiskMbPerSecond: 0,
  minCuda: 0,
  allowedCudas: [],
  diskGb: 0,
  needsPublicIp: false,
  globalNetworking: false,
  networkVolumeId: null,
  bidPerGpu: undefined,
};

/** Whether the host is of the wanted kind and in a wanted place, whoever has its GPUs now. */
export function fits(host: Host, wish: Wish): boolean {
  const count = wish.count ?? 1;
  const { gpuTypeIds, dataCenterIds, countryCodes, allowedCudas } = wish;
  return (
    (gpuTypeIds.length === 0 || gpuTypeIds.includes(host.gpu.id)) &&
    wish.clouds.includes(host.cloud) &&
    (dataCenterIds.length === 0 || dataCenterIds.includes(host.dataCenter?.id ?? '')) &&
    (countryCodes.length === 0 || countryCodes.includes(host.country)) &&
    host.vcpuPerGpu * count >= wish.minVcpu &&
    host.ramGbPerGpu * count >= wish.minRamGb &&
    host.downMbps >= wish.minDownMbps &&
    host.upMbps >= wish.minUpMbps &&
    host.diskMbPerSecond >= wish.minDiskMbPerSecond &&
    Number(host.cuda) >= wish.minCuda &&
    (allowedCudas.length === 0 || allowedCudas.includes(host.cuda)) &&
    host.diskGb >= wish.diskGb &&
    (host.publicIp || !wish.needsPublicIp) &&
    (!wish.globalNetworking || host.dataCenter?.globalNetwork === true)
  );
}

/** Hosts that can take the pod now: in the order of the GPU types, the cheapest cloud first. */
export function candidates(world: World, wish: Wish): readonly Host[] {
  const rank = ({ gpu, cloud }: Host): number =>
    wish.gpuTypeIds.indexOf(gpu.id) * 1_000 + usdPerGpu(gpu, cloud);
  return world.hosts
    .filter((host) => fits(host, wish) && freeGpus(world, host) >= (wish.count ?? 1))
    .sort((left, right) => rank(left) - rank(right));
}

/** A network volume binds its pod to the secure cloud and to its own data center. */
function boundTo(world: World, wish: Wish): Wish {
  if (wish.networkVolumeId === null) return wish;
  const volume = world.volumes.get(wish.networkVolumeId);
  if (volume === undefined || volume.deletedAt !== undefined) throw new Refusal('internal', WRONG);
  if (!wish.clouds.includes('SECURE')) throw new Refusal('internal', WRONG);
  const { id } = volume.dataCenter;
  if (wish.dataCenterIds.length > 0 && !wish.dataCenterIds.includes(id))
    throw new Refusal('no-capacity', NO_CAPACITY);
  return { ...wish, clouds: ['SECURE'], dataCenterIds: [id] };
}

/** The host that takes the pod. Throws `no-capacity`, `unfit`, or `internal` for a volume that cannot go there. */
export function place(world: World, given: Wish, route: string): Host {
  const wish = boundTo(world, given);
  const subject: FaultSubject = {
    offerId: wish.gpuTypeIds[0],
    route: [route, ...wish.clouds, ...wish.gpuTypeIds, ...wish.dataCenterIds].join(' '),
  };
  const nothing = new Refusal('no-capacity', wish.bidPerGpu === undefined ? NO_CAPACITY : NO_SPOT);
  if (strikes(world, 'no-capacity', subject) !== undefined) throw nothing;
  const [host] = candidates(world, wish);
  if (host === undefined) throw nothing;
  if (strikes(world, 'host-unfit', { ...subject, machineId: host.machineId }) !== undefined)
    throw new Refusal('unfit', UNFIT);
  return host;
}
