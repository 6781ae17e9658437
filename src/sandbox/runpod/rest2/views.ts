import { hasMachine, shownEnv, shownRuntime } from '../manage.ts';
import type { Pod } from '../pod.ts';
import { timestamp } from '../words.ts';
import type { Template, Volume, World } from '../world.ts';

export type View = Readonly<Record<string, unknown>>;

const GATEWAY = 'ssh.runpod.io';
const ACTIONS: Readonly<Record<Pod['phase'], readonly string[]>> = {
  PROVISIONING: ['stop', 'terminate'],
  STARTING: ['stop', 'terminate'],
  RUNNING: ['stop', 'restart', 'terminate'],
  EXITED: ['start', 'terminate'],
  ERROR: ['start', 'terminate'],
};
export const actionsOf = ({ phase }: Pod): readonly string[] => ACTIONS[phase];

/** As `Pod` of the description. */
export function podView(world: World, pod: Pod): View {
  const { order, host, gpuCount } = pod;
  const runtime = shownRuntime(pod);
  return {
    id: pod.id,
    name: pod.name,
    image: order.image,
    args: order.args,
    disk: order.diskGb,
    ports: order.ports,
    env: Object.fromEntries(shownEnv(world, pod)),
    registry: order.registryId,
    status: pod.phase,
    actions: actionsOf(pod),
    mounts: mountsOf(pod),
    gpu: {
      id: host.gpu.id,
      count: gpuCount,
      vcpuCount: host.vcpuPerGpu * gpuCount,
      memory: host.ramGbPerGpu * gpuCount,
    },
    cloud: host.cloud,
    dataCenterId: host.dataCenter?.id ?? null,
    cudaVersion: host.cuda,
    ssh: sshOf(world, pod),
    // The template is looked up once and no link is kept.
    template: null,
    cost: pod.desired === 'EXITED' ? 0 : pod.usdPerHour,
    locked: pod.locked,
    globalNetworking: {
      enabled: order.globalNetworking,
      ...(order.globalNetworking ? { internalDns: `${pod.id}.runpod.internal` } : {}),
    },
    runtime:
      runtime === null
        ? null
        : {
            uptime: Math.max(0, Math.floor(world.clock.nowSeconds() - runtime.sinceSeconds)),
            gpus: Array.from({ length: gpuCount }, () => ({ util: 0, memoryUtil: 0 })),
            cpu: { util: 0 },
            memory: { util: 0 },
            ports: (runtime.ports ?? []).map(({ privatePort, publicPort, type, ip }) => ({
              private: privatePort,
              public: publicPort,
              type,
              ip,
            })),
          },
    createdAt: timestamp(pod.createdAt),
    startedAt: pod.containerAt === undefined ? null : timestamp(pod.containerAt),
  };
}

function mountsOf({ order }: Pod): View {
  const { volumeGb, mountPath, networkVolumeId } = order;
  if (networkVolumeId !== null)
    return { network: [{ volumeId: networkVolumeId, path: mountPath }] };
  // Smaller ones can only be made elsewhere, and are told as the least that there is here.
  return volumeGb > 0 ? { persistent: { size: Math.max(10, volumeGb), path: mountPath } } : {};
}

/** `direct` is there while the pod runs and its port 22 leads somewhere; the gateway only carries a terminal. */
function sshOf(world: World, pod: Pod): View {
  const username = pod.podHostId;
  const port = pod.phase === 'RUNNING' ? pod.runtime?.ports : undefined;
  const row = port?.find((one) => one.privatePort === 22 && one.isIpPublic && one.type === 'tcp');
  return {
    proxy: hasMachine(world, pod)
      ? { host: GATEWAY, port: 22, username, command: `ssh ${username}@${GATEWAY}` }
      : null,
    direct:
      row === undefined
        ? null
        : {
            host: row.ip,
            port: row.publicPort,
            username: 'root',
            command: `ssh root@${row.ip} -p ${row.publicPort}`,
          },
  };
}

export const volumeView = ({ id, name, sizeGb, dataCenter, type }: Volume): View => ({
  id,
  name,
  size: sizeGb,
  dataCenter: dataCenter.id,
  type,
});

export const templateView = (template: Template): View => ({
  id: template.id,
  name: template.name,
  image: template.image,
  args: template.args,
  disk: template.diskGb,
  mounts:
    template.volumeGb > 0
      ? { persistent: { size: Math.max(10, template.volumeGb), path: template.mountPath } }
      : {},
  ports: template.ports,
  env: Object.fromEntries(template.env),
  registry: template.registryId,
  serverless: template.serverless,
  public: template.public,
  category: template.category,
  startSsh: template.startSsh,
  startJupyter: template.startJupyter,
  allowedCudaVersions: template.allowedCudaVersions,
});
