import type { MachineSpec } from '../machines.ts';
import { type Aim, openDoor } from '../vast/door.ts';
import type { Instance } from './instance.ts';
import { sizeOf, type World } from './world.ts';

const machineIdOf = (world: World, { id }: Instance): string =>
  `${world.options.machinePrefix}${id}`;

/** A smaller one of the same kind of card. */
const OTHER_GPU = { name: 'NVIDIA GeForce RTX 3060', vramMib: 12_288 };
const DRIVER = { driver: '570.148.08', cuda: '12.8' };

function gpuOf({ kind, faults }: Instance): MachineSpec['gpu'] {
  const wrong = faults.get('wrong-gpu');
  const fewer = faults.get('fewer-gpus');
  const { card, specs } = kind;
  return {
    ...DRIVER,
    name:
      wrong === undefined ? (card?.driverName ?? 'none') : String(wrong.value ?? OTHER_GPU.name),
    vramMib: wrong === undefined ? (card?.vramMib ?? 0) : OTHER_GPU.vramMib,
    count: fewer === undefined ? specs.gpus : Math.max(0, sizeOf(fewer, specs.gpus - 1)),
    ...(card === undefined ? {} : { computeCapability: card.computeCapability }),
  };
}

/** cloud-init runs user data at the first boot and never again. */
function firstBootOnly(userData: string): string {
  let end = 'END_OF_USER_DATA';
  while (userData.includes(end)) end += '_';
  return `#!/bin/sh
[ -e "$HOME/.user-data" ] && exit 0
cat > "$HOME/.user-data" <<'${end}'
${userData}
${end}
chmod 700 "$HOME/.user-data"
exec "$HOME/.user-data"
`;
}

/** An order to the machine behind. What it cannot do is told by the instance, as a broken host would. */
function tell(instance: Instance, work: Promise<void>): void {
  work.catch(() => {
    instance.machineFailed = true;
    if (instance.status === 'active' || instance.status === 'booting')
      instance.status = 'unhealthy';
  });
}

export function startMachine(world: World, instance: Instance): void {
  if (instance.machineStarted) return;
  instance.machineStarted = true;
  const refuses = instance.faults.has('ssh-refuses-key');
  tell(
    instance,
    world.machines.start({
      id: machineIdOf(world, instance),
      label: instance.name ?? instance.id,
      authorizedKeys: refuses ? [] : [instance.publicKey],
      env: {},
      ...(instance.userData === undefined ? {} : { setup: firstBootOnly(instance.userData) }),
      gpu: gpuOf(instance),
      refusesKeys: refuses,
    }),
  );
}
export function restartMachine(world: World, instance: Instance): void {
  if (instance.machineStarted) tell(instance, world.machines.restart(machineIdOf(world, instance)));
}
/** Removes the machine with all its data. */
export function removeMachine(world: World, instance: Instance): void {
  instance.door?.wallUp();
  if (!instance.machineStarted) return;
  instance.machineStarted = false;
  tell(instance, world.machines.destroy(machineIdOf(world, instance)));
}

/** Where a visitor of the SSH port gets to now. */
async function aim(world: World, instance: Instance): Promise<Aim> {
  const { faults, activeAt, isBusy } = instance;
  if (faults.has('ssh-mute')) return 'mute';
  if (activeAt === undefined || isBusy) return 'shut';
  const late = faults.get('ssh-late');
  const seconds = late === undefined ? world.options.sshSeconds : sizeOf(late, 120);
  if (world.clock.nowSeconds() < activeAt + seconds) return 'shut';
  const { status, host, port } = await world.machines.look(machineIdOf(world, instance));
  if (status !== 'running' || host === undefined || port === undefined) return 'shut';
  return { host, port };
}

/** The public port 22 of a machine; on this one machine it has a number of its own. */
export async function openSsh(world: World, instance: Instance): Promise<void> {
  instance.door = await openDoor(async () => aim(world, instance));
  if (instance.faults.has('ssh-nowhere')) instance.door.wallUp();
}
