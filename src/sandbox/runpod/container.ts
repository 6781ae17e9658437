import type { MachineSpec } from '../machines.ts';
import { type Aim, openDoor } from '../vast/door.ts';
import { bill } from './billing.ts';
import { say } from './logs.ts';
import { machineIdOf } from './machine-id.ts';
import type { Pod, PortRow } from './pod.ts';
import { hasSshd, keysIn, setupOf } from './start-command.ts';
import { sizeOf, type World } from './world.ts';

/** A smaller one of the same kind of card. */
const OTHER_GPU = { name: 'NVIDIA GeForce RTX 3060', vramMib: 12_288 };
const LOOPBACK = '127.0.0.1';
const FIRST_SYMMETRIC = 70_000;

function gpuOf({ host, faults, gpuCount }: Pod): MachineSpec['gpu'] {
  const wrong = faults.get('wrong-gpu');
  const fewer = faults.get('fewer-gpus');
  return {
    name: wrong === undefined ? host.gpu.id : String(wrong.value ?? OTHER_GPU.name),
    vramMib: wrong === undefined ? host.gpu.vramMib : OTHER_GPU.vramMib,
    count: fewer === undefined ? gpuCount : Math.max(0, sizeOf(fewer, gpuCount - 1)),
    driver: host.driver,
    cuda: host.cuda,
    computeCapability: host.gpu.computeCapability,
  };
}

/** Variables of the container's first process. */
function environment(world: World, pod: Pod): Record<string, string> {
  const { id, order, host, gpuCount, runtime } = pod;
  const env: Record<string, string> = {};
  for (const [name, value] of order.env)
    env[name] = value.replaceAll(
      /\{\{ *RUNPOD_SECRET_([\w.\-/]+) *\}\}/g,
      (_, secret: string) =>
        [...world.secrets.values()].find((one) => one.name === secret)?.value ?? '',
    );
  const open = [...(runtime?.ports ?? [])].filter(({ isIpPublic }) => isIpPublic);
  for (const { privatePort, publicPort } of open)
    env[`RUNPOD_TCP_PORT_${privatePort}`] = String(publicPort);
  return {
    ...env,
    RUNPOD_POD_ID: id,
    RUNPOD_API_KEY: pod.apiKey,
    RUNPOD_POD_HOSTNAME: pod.podHostId,
    RUNPOD_PUBLIC_IP: LOOPBACK,
    RUNPOD_GPU_COUNT: String(gpuCount),
    RUNPOD_GPU_NAME: host.gpu.id.replaceAll(' ', '+'),
    RUNPOD_CPU_COUNT: String(host.vcpuPerGpu * gpuCount),
    RUNPOD_MEM_GB: String(host.ramGbPerGpu * gpuCount),
    CUDA_VERSION: host.cuda,
    ...(host.dataCenter === null ? {} : { RUNPOD_DC_ID: host.dataCenter.id }),
    ...(order.networkVolumeId === null ? {} : { RUNPOD_VOLUME_ID: order.networkVolumeId }),
  };
}

const orderedKeys = ({ faults, order }: Pod): readonly string[] =>
  faults.has('ssh-refuses-key') ? [] : keysIn(order.env);

/** An order to the machine behind. What it cannot do is told by the pod, as a broken host would. */
function tell(world: World, pod: Pod, work: Promise<void>): void {
  work.catch(() => {
    pod.machineFailed = true;
    if (pod.endedAt !== undefined) return;
    say(world, pod, 'error starting container: the host cannot run it');
    pod.phase = 'ERROR';
    pod.runtime = null;
    bill(world, pod);
  });
}

/** Starts the container: on a machine of its own, or on the one that kept its volume. */
export function startMachine(world: World, pod: Pod): void {
  if (pod.endedAt !== undefined) return;
  if (pod.machineStarted) {
    tell(world, pod, world.machines.resume(machineIdOf(world, pod)));
    return;
  }
  pod.machineStarted = true;
  const setup = setupOf(pod.order);
  tell(
    world,
    pod,
    world.machines.start({
      id: machineIdOf(world, pod),
      label: pod.name,
      authorizedKeys: orderedKeys(pod),
      env: environment(world, pod),
      ...(setup === undefined ? {} : { setup }),
      gpu: gpuOf(pod),
      refusesKeys: pod.faults.has('ssh-refuses-key'),
    }),
  );
}

/** Stops the container. Only a volume survives that: without one, the next start finds an empty machine. */
export function stopMachine(world: World, pod: Pod): void {
  if (!pod.machineStarted) return;
  const { volumeGb, networkVolumeId } = pod.order;
  if (volumeGb > 0 || networkVolumeId !== null)
    tell(world, pod, world.machines.stop(machineIdOf(world, pod)));
  else removeMachine(world, pod);
}
export function restartMachine(world: World, pod: Pod): void {
  if (pod.machineStarted) tell(world, pod, world.machines.restart(machineIdOf(world, pod)));
}
/** Removes the container with all its data. */
export function removeMachine(world: World, pod: Pod): void {
  if (!pod.machineStarted) return;
  pod.machineStarted = false;
  tell(world, pod, world.machines.destroy(machineIdOf(world, pod)));
  pod.machineRun += 1;
  pod.containerLines = 0;
}

/** Where a visitor of the SSH port gets to now. */
async function aim(world: World, pod: Pod): Promise<Aim> {
  if (pod.faults.has('ssh-mute')) return 'mute';
  const { containerAt, desired } = pod;
  if (desired !== 'RUNNING' || containerAt === undefined || pod.faults.has('no-sshd'))
    return 'shut';
  if (world.options.sshdNeedsStart && !hasSshd(pod.order)) return 'shut';
  const late = pod.faults.get('ssh-late');
  const seconds = late === undefined ? world.options.sshSeconds : sizeOf(late, 120);
  if (world.clock.nowSeconds() < containerAt + seconds) return 'shut';
  const { status, host, port } = await world.machines.look(machineIdOf(world, pod));
  if (status !== 'running' || host === undefined || port === undefined) return 'shut';
  return { host, port };
}

export const hasPublicIp = ({ host, order }: Pod): boolean =>
  host.cloud === 'SECURE' || (host.publicIp && order.supportPublicIp !== false);

/** Opens the ports of this start anew and answers them as they are told: those for HTTP are never public. */
export async function openPorts(world: World, pod: Pod): Promise<readonly PortRow[]> {
  closePorts(pod);
  const isPublic = hasPublicIp(pod) && !pod.faults.has('private-only');
  const rows: PortRow[] = [];
  for (const text of pod.order.ports) {
    const [inner = '', type = 'tcp'] = text.split('/');
    const wanted = Number(inner);
    if (type !== 'tcp' || !isPublic) {
      rows.push({
        ip: '100.65.0.101',
        isIpPublic: false,
        privatePort: wanted,
        publicPort: 60_000 + world.dice.integer(1, 5_000),
        type,
      });
      continue;
    }
    const isSsh = wanted === 22;
    const door = await openDoor(
      isSsh ? async () => aim(world, pod) : async (): Promise<Aim> => Promise.resolve('shut'),
    );
    if (isSsh && pod.faults.has('ssh-nowhere')) door.wallUp();
    pod.doors.set(text, door);
    const privatePort = wanted >= FIRST_SYMMETRIC ? door.port : wanted;
    rows.push({ ip: LOOPBACK, isIpPublic: true, privatePort, publicPort: door.port, type });
  }
  return rows;
}
export function closePorts({ doors }: Pod): void {
  for (const door of doors.values()) door.wallUp();
  doors.clear();
}
