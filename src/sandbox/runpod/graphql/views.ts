import { rounded } from '../../vast/dice.ts';
import { burn, burnUsdPerHour } from '../billing.ts';
import { hasMachine, listPods, shownEnv, shownRuntime } from '../manage.ts';
import { minBidPerGpu, usdPerGpu } from '../market.ts';
import type { Pod } from '../pod.ts';
import { ownTemplates } from '../templates.ts';
import { listVolumes } from '../volumes.ts';
import { preciseTime } from '../words.ts';
import { creditUsd, freeGpus, type Template, type Volume, type World } from '../world.ts';

export type View = Readonly<Record<string, unknown>>;

/** As `Pod` of the schema. */
export function podView(world: World, pod: Pod): View {
  const { order, host, gpuCount } = pod;
  const isTold = hasMachine(world, pod);
  const volume =
    order.networkVolumeId === null ? undefined : world.volumes.get(order.networkVolumeId);
  return {
    id: pod.id,
    name: pod.name,
    desiredStatus: pod.desired,
    imageName: order.image,
    env: shownEnv(world, pod).map(([name, value]) => `${name}=${value}`),
    ports: order.ports.join(','),
    podType: pod.isBid ? 'INTERRUPTABLE' : 'RESERVED',
    gpuCount,
    vcpuCount: host.vcpuPerGpu * gpuCount,
    memoryInGb: host.ramGbPerGpu * gpuCount,
    containerDiskInGb: order.diskGb,
    volumeInGb: order.volumeGb,
    volumeMountPath: order.mountPath,
    volumeEncrypted: false,
    costPerHr: pod.usdPerHour,
    adjustedCostPerHr: pod.usdPerHour,
    costMultiplier: 1,
    createdAt: preciseTime(pod.createdAt),
    lastStartedAt: pod.startedAt === undefined ? null : preciseTime(pod.startedAt),
    lastStatusChange: pod.lastStatusChange,
    // What is true stands in the runtime.
    uptimeSeconds: 0,
    dockerArgs: order.args,
    machineId: isTold ? host.machineId : null,
    machineType: null,
    templateId: order.templateId,
    networkVolumeId: order.networkVolumeId,
    networkVolume: volume === undefined ? null : volumeView(volume),
    containerRegistryAuthId: order.registryId,
    locked: pod.locked,
    version: 0,
    consumerUserId: USER_ID,
    lowestBidPriceToResume: pod.isBid ? minBidPerGpu(host.gpu, host.cloud) : 0,
    gpus: Array.from({ length: gpuCount }, (_, index) => ({
      id: gpuId(pod, index),
      podId: pod.id,
    })),
    runtime: runtimeView(world, pod),
    machine: isTold ? machineView(world, pod) : null,
  };
}
export const USER_ID = 'user_2sandboxsandboxsandboxsandbox';
const gpuId = ({ id }: Pod, index: number): string =>
  `GPU-${id.slice(0, 8)}-6932-795b-a125-${index}`;

function runtimeView(world: World, pod: Pod): View | null {
  const runtime = shownRuntime(pod);
  if (runtime === null) return null;
  return {
    // Climbs on while a stopped pod still tells its old one.
    uptimeInSeconds: Math.floor(world.clock.nowSeconds() - runtime.sinceSeconds),
    container: { cpuPercent: 0, memoryPercent: 0 },
    gpus: Array.from({ length: pod.gpuCount }, (_, index) => ({
      id: gpuId(pod, index),
      gpuUtilPercent: 0,
      memoryUtilPercent: 0,
    })),
    ports: runtime.ports,
  };
}

function machineView(world: World, { host, podHostId, gpuCount }: Pod): View {
  return {
    podHostId,
    gpuDisplayName: host.gpu.displayName,
    gpuTypeId: host.gpu.id,
    location: host.country,
    dataCenterId: host.dataCenter?.id ?? null,
    secureCloud: host.cloud === 'SECURE',
    supportPublicIp: host.publicIp,
    costPerHr: usdPerGpu(host.gpu, host.cloud),
    currentPricePerGpu: usdPerGpu(host.gpu, host.cloud),
    diskMBps: host.diskMbPerSecond,
    gpuAvailable: freeGpus(world, host),
    maxDownloadSpeedMbps: host.downMbps,
    maxUploadSpeedMbps: host.upMbps,
    cpuCount: host.vcpuPerGpu * gpuCount,
    vcpuTotal: host.vcpuPerGpu * host.gpus,
    memoryTotal: host.ramGbPerGpu * host.gpus,
    minPodGpuCount: 1,
  };
}

export const volumeView = ({ id, name, sizeGb, dataCenter }: Volume): View => ({
  id,
  name,
  size: sizeGb,
  dataCenterId: dataCenter.id,
  dataCenter: { id: dataCenter.id, name: dataCenter.name },
});

/** Variables of a template are objects in both directions. */
export const templateView = (template: Template): View => ({
  id: template.id,
  name: template.name,
  imageName: template.image,
  dockerArgs: template.args,
  env: [...template.env].map(([key, value]) => ({ key, value })),
  ports: template.ports.join(','),
  containerDiskInGb: template.diskGb,
  volumeInGb: template.volumeGb,
  volumeMountPath: template.mountPath,
  startSsh: template.startSsh,
  startJupyter: template.startJupyter,
  startScript: '',
  readme: template.readme,
  category: template.category,
  isPublic: template.public,
  isRunpod: template.official,
  isServerless: template.serverless,
  containerRegistryAuthId: template.registryId,
  advancedStart: false,
  earned: 0,
  runtimeInMin: 0,
});

/** As `User` of the schema; lists are made when they are asked for. */
export function userView(world: World, route: string): View {
  return {
    id: USER_ID,
    authId: 'sandbox',
    email: 'sandbox@example.com',
    pubKey: world.pubKey,
    clientBalance: rounded(creditUsd(world), 6),
    currentSpendPerHr: rounded(burnUsdPerHour(world), 3),
    spendLimit: 80,
    underBalance: creditUsd(world) <= 0,
    minBalance: 0,
    notifyPodsStale: true,
    notifyPodsGeneral: true,
    notifyLowBalance: true,
    pods: () => listPods(world, route).map((pod) => podView(world, pod)),
    networkVolumes: () => listVolumes(world).map(volumeView),
    podTemplates: () => ownTemplates(world).map(templateView),
    containerRegistryCreds: () => [...world.registries.values()],
    secrets: () => [...world.secrets.values()],
    spendDetails: () => {
      const { gpu, disk, volumes } = burn(world);
      return {
        localStoragePerHour: disk,
        networkStoragePerHour: volumes,
        gpuComputePerHour: gpu,
      };
    },
  };
}
