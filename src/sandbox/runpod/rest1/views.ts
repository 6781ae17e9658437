import { z } from 'zod';
import { hasMachine, shownEnv } from '../manage.ts';
import { usdPerGpu } from '../market.ts';
import type { Pod } from '../pod.ts';
import type { Call } from '../router.ts';
import { goTime, preciseTime } from '../words.ts';
import type { Template, Volume } from '../world.ts';

export type View = Readonly<Record<string, unknown>>;

const wordsSchema = z.object({
  entrypoint: z.array(z.string()).optional(),
  cmd: z.array(z.string()).optional(),
});
/** The words of the start command, which this API keeps apart. */
function wordsOf(args: string, name: 'entrypoint' | 'cmd'): readonly string[] {
  if (!args.startsWith('{')) return name === 'cmd' && args !== '' ? [args] : [];
  try {
    return wordsSchema.parse(JSON.parse(args))[name] ?? [];
  } catch {
    return [];
  }
}

const isWanted = ({ request }: Call, name: string): boolean => request.query.get(name) === 'true';

/** As `Pod` of the description, and the names that the vendor's own tool reads beside them. */
export function podView(call: Call, pod: Pod): View {
  const { world } = call;
  const { order, host, gpuCount, runtime } = pod;
  const open = (runtime?.ports ?? []).filter((port) => port.isIpPublic && port.type === 'tcp');
  const volume = world.volumes.get(order.networkVolumeId ?? '');
  const { gpu, cloud } = host;
  return {
    id: pod.id,
    name: pod.name,
    desiredStatus: pod.desired,
    image: order.image,
    imageName: order.image,
    costPerHr: pod.usdPerHour,
    adjustedCostPerHr: pod.usdPerHour,
    containerDiskInGb: order.diskGb,
    volumeInGb: order.volumeGb,
    volumeMountPath: order.mountPath,
    volumeEncrypted: false,
    vcpuCount: host.vcpuPerGpu * gpuCount,
    memoryInGb: host.ramGbPerGpu * gpuCount,
    gpu: {
      id: gpu.id,
      count: gpuCount,
      displayName: gpu.displayName,
      securePrice: gpu.secureUsd ?? 0,
      communityPrice: gpu.communityUsd ?? 0,
    },
    gpuCount,
    gpuTypeId: gpu.id,
    machineId: hasMachine(world, pod) ? host.machineId : '',
    ...(isWanted(call, 'includeMachine')
      ? {
          machine: {
            gpuTypeId: gpu.id,
            dataCenterId: host.dataCenter?.id ?? null,
            location: host.country,
            secureCloud: cloud === 'SECURE',
            costPerHr: usdPerGpu(gpu, cloud),
            supportPublicIp: host.publicIp,
            maxDownloadSpeedMbps: host.downMbps,
            maxUploadSpeedMbps: host.upMbps,
          },
        }
      : {}),
    networkVolume: volume === undefined ? null : volumeView(volume),
    ports: order.ports,
    portMappings:
      open.length === 0
        ? null
        : Object.fromEntries(open.map(({ privatePort, publicPort }) => [privatePort, publicPort])),
    publicIp: open[0]?.ip ?? '',
    env: Object.fromEntries(shownEnv(world, pod)),
    interruptible: pod.isBid,
    locked: pod.locked,
    createdAt: goTime(pod.createdAt),
    lastStartedAt: pod.startedAt === undefined ? null : preciseTime(pod.startedAt),
    lastStatusChange: pod.lastStatusChange,
    templateId: order.templateId,
    slsVersion: 0,
    dockerEntrypoint: wordsOf(order.args, 'entrypoint'),
    dockerStartCmd: wordsOf(order.args, 'cmd'),
    consumerUserId: 'user_2sandboxsandboxsandboxsandbox',
    ...(order.registryId === null ? {} : { containerRegistryAuthId: order.registryId }),
    savingsPlans: [],
  };
}

export const volumeView = ({ id, name, sizeGb, dataCenter }: Volume): View => ({
  id,
  name,
  size: sizeGb,
  dataCenterId: dataCenter.id,
});

export const templateView = (template: Template): View => ({
  id: template.id,
  name: template.name,
  imageName: template.image,
  category: template.category,
  containerDiskInGb: template.diskGb,
  volumeInGb: template.volumeGb,
  volumeMountPath: template.mountPath,
  ports: template.ports,
  env: Object.fromEntries(template.env),
  dockerEntrypoint: wordsOf(template.args, 'entrypoint'),
  dockerStartCmd: wordsOf(template.args, 'cmd'),
  isPublic: template.public,
  isServerless: template.serverless,
  isRunpod: template.official,
  readme: template.readme,
  earned: 0,
  runtimeInMin: 0,
  containerRegistryAuthId: template.registryId ?? '',
});
