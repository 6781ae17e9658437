import type { MachineSpec } from '../machines.ts';
import { bill, billTraffic } from './billing.ts';
import { type Aim, type Count, type Door, openDoor } from './door.ts';
import type { Instance } from './instance.ts';
import { portsOf } from './runtype.ts';
import { sizeOf, type World } from './world.ts';

export const machineIdOf = (world: World, { id, machineRun }: Instance): string =>
  `${world.options.machinePrefix}${id}${machineRun === 0 ? '' : `-${machineRun}`}`;

/** A smaller one of the same kind of card. */
const OTHER_GPU = { name: 'GeForce RTX 3060', vramMib: 12_288 };

function gpuOf({ ask, faults }: Instance): MachineSpec['gpu'] {
  const { gpu, driver, cuda } = ask.machine;
  const wrong = faults.get('wrong-gpu');
  const fewer = faults.get('fewer-gpus');
  return {
    name: wrong === undefined ? gpu.name : String(wrong.value ?? OTHER_GPU.name),
    vramMib: wrong === undefined ? gpu.vramMb : OTHER_GPU.vramMib,
    count: fewer === undefined ? ask.count : Math.max(0, sizeOf(fewer, ask.count - 1)),
    driver,
    cuda: cuda.toFixed(1),
    computeCapability: (gpu.computeCap / 100).toFixed(1),
  };
}

/** Variables of the container, as the boot script sees them. */
function environment(world: World, instance: Instance): Record<string, string> {
  const { id, apiKey, ask, keys, jupyterToken, mapped } = instance;
  const env: Record<string, string> = {};
  for (const [name, value] of world.secrets) env[name] = value;
  for (const [name, value] of instance.order.env)
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) env[name] = value;
  for (const [port, door] of mapped) {
    const [inner = '', protocol = 'tcp'] = port.split('/');
    env[`VAST_${protocol.toUpperCase()}_PORT_${inner}`] = String(door.port);
  }
  return {
    ...env,
    CONTAINER_ID: String(id),
    CONTAINER_API_KEY: apiKey,
    VAST_CONTAINERLABEL: `C.${id}`,
    PUBLIC_IPADDR: '127.0.0.1',
    SSH_PUBLIC_KEY: keys[0]?.publicKey ?? '',
    GPU_COUNT: String(ask.count),
    DATA_DIRECTORY: '/workspace',
    ...(instance.order.runtype.jupyter ? { JUPYTER_TOKEN: jupyterToken } : {}),
  };
}

const orderedKeys = (instance: Instance): readonly string[] =>
  instance.faults.has('ssh-refuses-key') ? [] : instance.keys.map(({ publicKey }) => publicKey);

/** An order to the machine behind. What it cannot do is told by the instance, as a host would. */
function tell(world: World, instance: Instance, work: Promise<void>): void {
  work.catch(() => {
    instance.machineFailed = true;
    if (instance.endedAt !== undefined || instance.actual !== 'running') return;
    instance.actual = 'exited';
    instance.statusMsg = MACHINE_FAILED;
    bill(world, instance);
  });
}
export const MACHINE_FAILED = 'Error response from daemon: the host cannot run the container';

/** Creates the container: a machine of its own from now on. */
export function startMachine(world: World, instance: Instance): void {
  if (instance.endedAt !== undefined) return;
  if (instance.machineStarted) {
    resumeMachine(world, instance);
    return;
  }
  instance.machineStarted = true;
  const { onstart, runtype } = instance.order;
  tell(
    world,
    instance,
    world.machines.start({
      id: machineIdOf(world, instance),
      label: instance.label ?? `C.${instance.id}`,
      authorizedKeys: orderedKeys(instance),
      env: environment(world, instance),
      ...(onstart === null || !runtype.ssh ? {} : { setup: onstart }),
      gpu: gpuOf(instance),
      refusesKeys: instance.faults.has('ssh-refuses-key'),
    }),
  );
}
export function stopMachine(world: World, instance: Instance): void {
  if (instance.machineStarted)
    tell(world, instance, world.machines.stop(machineIdOf(world, instance)));
}
export function resumeMachine(world: World, instance: Instance): void {
  if (!instance.machineStarted) startMachine(world, instance);
  else tell(world, instance, world.machines.resume(machineIdOf(world, instance)));
}
export function restartMachine(world: World, instance: Instance): void {
  if (instance.machineStarted)
    tell(world, instance, world.machines.restart(machineIdOf(world, instance)));
}
/** Removes the container with all its data. */
export function removeMachine(world: World, instance: Instance): void {
  if (!instance.machineStarted) return;
  instance.machineStarted = false;
  tell(world, instance, world.machines.destroy(machineIdOf(world, instance)));
  instance.machineRun += 1;
}
/** Lets the instance's present keys in, a few seconds from now. */
export function spreadKeys(world: World, instance: Instance): void {
  const cancel = world.clock.after(world.options.keySeconds, () => {
    instance.timers.delete(cancel);
    if (instance.machineStarted)
      tell(
        world,
        instance,
        world.machines.authorize(machineIdOf(world, instance), orderedKeys(instance)),
      );
  });
  instance.timers.add(cancel);
}

function sshSeconds(world: World, { faults }: Instance): number {
  const late = faults.get('ssh-late');
  return late === undefined ? world.options.sshSeconds : sizeOf(late, 120);
}

/** Where a visitor of the SSH port gets to now. */
async function aim(world: World, instance: Instance): Promise<Aim> {
  if (instance.faults.has('ssh-mute')) return 'mute';
  const { actual, runningAt } = instance;
  if ((actual !== 'running' && actual !== 'unknown') || runningAt === undefined) return 'shut';
  if (world.clock.nowSeconds() < runningAt + sshSeconds(world, instance)) return 'shut';
  const { status, host, port } = await world.machines.look(machineIdOf(world, instance));
  if (status !== 'running' || host === undefined || port === undefined) return 'shut';
  return { host, port };
}

/** Opens the addresses of an instance: the proxy's, and one for each port of the container. */
export async function openDoors(world: World, instance: Instance): Promise<void> {
  const { faults, order, ask, mapped } = instance;
  const { runtype } = order;
  const ssh = async (): Promise<Aim> => aim(world, instance);
  const nobody = async (): Promise<Aim> => Promise.resolve('shut');
  const count: Count = (outBytes, inBytes) => {
    billTraffic(world, instance, outBytes, inBytes);
  };
  const nowhere = faults.has('ssh-nowhere');
  if (runtype.ssh) {
    instance.proxy = await openDoor(ssh, count);
    if (nowhere || faults.has('proxy-dead')) instance.proxy.wallUp();
  }
  if (ask.machine.directPorts < 1) return;
  for (const port of portsOf(runtype, order.env).slice(0, ask.machine.directPorts)) {
    const isSsh = port === '22/tcp';
    const door = await openDoor(isSsh ? ssh : nobody, count);
    if (isSsh && (nowhere || faults.has('direct-dead') || faults.has('mapping-private')))
      door.wallUp();
    mapped.set(identityPort(port, door), door);
  }
}
/** From 70000 on, a port is a wish for one that is the same inside and outside. */
function identityPort(port: string, door: Door): string {
  const [inner = '', protocol = 'tcp'] = port.split('/');
  return Number(inner) >= 70_000 ? `${door.port}/${protocol}` : port;
}

export function closeDoors(instance: Instance): void {
  for (const door of [instance.proxy, ...instance.mapped.values()]) door?.wallUp();
  instance.mapped.clear();
}
