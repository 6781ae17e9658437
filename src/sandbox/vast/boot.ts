import { MACHINE_FAILED, startMachine } from './container.ts';
import type { VastFault } from './fault-kinds.ts';
import type { ActualStatus, Instance } from './instance.ts';
import { sizeOf, type World } from './world.ts';

/** What a transition needs of the life around it. */
export interface BootSteps {
  /** After a change of state: books, credit. */
  readonly changed: (instance: Instance) => void;
  readonly outbid: (instance: Instance) => void;
}

/** Does `work` on the instance `seconds` from now, unless its life takes another turn before. */
export function later(world: World, instance: Instance, seconds: number, work: () => void): void {
  const cancel = world.clock.after(seconds, () => {
    instance.timers.delete(cancel);
    if (instance.endedAt === undefined) work();
  });
  instance.timers.add(cancel);
}
export function forgetTimers(instance: Instance): void {
  for (const cancel of instance.timers) cancel();
  instance.timers.clear();
}

/** GB of an image, guessed from its name as a person would. */
export function imageGb(image: string): number {
  if (/vllm|tensorrt|nemo|oobabooga|comfy/i.test(image)) return 11;
  if (/pytorch|tensorflow|transformers|jax|devel/i.test(image)) return 7;
  if (/cuda|runtime|vastai/i.test(image)) return 3;
  return /^(?:library\/)?(?:alpine|debian|ubuntu|busybox)/.test(image) ? 0.1 : 2;
}

/** Seconds from create to running: the pull at the host's speed, then a moment. Popular images are often there already. */
export function bootSeconds(world: World, { order, ask }: Instance): number {
  if (world.options.bootSeconds !== undefined) return world.options.bootSeconds;
  const pull = (imageGb(order.image) * 8_000) / Math.max(20, ask.machine.downMbps * 0.6);
  return (world.dice.chance(0.25) ? 8 : pull) + world.dice.between(12, 25);
}

const layer = (world: World): string => world.dice.hex(12);

/** The two ways in which an image cannot be had, by its name, for those who rehearse without scripted faults. */
function imageFault({ order, faults }: Instance): 'manifest-unknown' | 'pull-denied' | undefined {
  if (faults.has('manifest-unknown')) return 'manifest-unknown';
  if (faults.has('pull-denied')) return 'pull-denied';
  if (/does-not-exist|no-such-image|nonexistent/i.test(order.image)) return 'manifest-unknown';
  if (/(?:^|\/)private(?:-|\/)/i.test(order.image) && order.imageLogin === null)
    return 'pull-denied';
  return undefined;
}

function say(instance: Instance, message: string): void {
  instance.statusMsg = message;
  instance.daemonLog.push(message);
  if (instance.daemonLog.length > 500) instance.daemonLog.shift();
}

/** Status of a host that cannot bring the container up, and what it says. */
function failBoot(instance: Instance, steps: BootSteps): boolean {
  const { faults, order } = instance;
  const fatal = (actual: ActualStatus, message: string): true => {
    instance.actual = actual;
    say(instance, message);
    steps.changed(instance);
    return true;
  };
  const atBoot = (kind: VastFault): boolean =>
    faults.has(kind) && faults.get(kind)?.afterSeconds === undefined;
  if (instance.machineFailed) return fatal('created', MACHINE_FAILED);
  if (atBoot('exits')) return fatal('exited', `${order.image}: container exited with code 1`);
  if (atBoot('offline')) return fatal('offline', 'host is offline');
  if (atBoot('unknown')) return fatal('unknown', 'no recent heartbeat');
  if (faults.has('oci-error'))
    return fatal(
      'created',
      'Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown',
    );
  return false;
}

/** From nothing (or a fresh pull) to running. */
export function boot(world: World, instance: Instance, steps: BootSteps): void {
  const { faults, order } = instance;
  if (faults.has('stuck-null')) return;
  const slow = faults.get('slow-boot');
  const whole = bootSeconds(world, instance) + (slow === undefined ? 0 : sizeOf(slow, 900));
  const first = Math.min(2, whole / 4);
  later(world, instance, first, () => {
    instance.actual = 'loading';
    say(instance, `Pulling from ${order.image.split(':')[0] ?? order.image}`);
    steps.changed(instance);
    if (imageFault(instance) === undefined && !faults.has('stuck-loading'))
      startMachine(world, instance);
  });
  pull(world, instance, { from: first, to: whole, steps });
}

function pull(
  world: World,
  instance: Instance,
  { from, to, steps }: { readonly from: number; readonly to: number; readonly steps: BootSteps },
): void {
  const failing = imageFault(instance);
  const { image } = instance.order;
  if (failing !== undefined) {
    const message =
      failing === 'manifest-unknown'
        ? `Error response from daemon: manifest for ${image} not found: manifest unknown: manifest unknown`
        : `Error response from daemon: pull access denied for ${image}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`;
    later(world, instance, from + 4, () => {
      say(instance, message);
    });
    return;
  }
  const endless = instance.faults.has('stuck-loading');
  const layers = endless ? 40 : 5;
  for (let index = 1; index <= layers; index += 1) {
    const at = endless ? from + index * 20 : from + ((to - from) * index) / (layers + 1);
    later(world, instance, at, () => {
      say(instance, `${layer(world)}: ${index % 2 === 0 ? 'Pull complete' : 'Extracting'}`);
    });
  }
  if (!endless)
    later(world, instance, to, () => {
      launch(world, instance, steps);
    });
}

/** The container is started: it runs, or it does not. */
export function launch(world: World, instance: Instance, steps: BootSteps): void {
  if (!failBoot(instance, steps)) run(world, instance, steps);
}

/** The container runs. What was scripted to happen to it later is set going. */
function run(world: World, instance: Instance, steps: BootSteps): void {
  const { order, faults } = instance;
  instance.hasRun = true;
  instance.actual = 'running';
  instance.cur = 'running';
  instance.next = 'running';
  instance.runningAt = world.clock.nowSeconds();
  const name = order.image.replace(':', '_');
  say(instance, `success, running ${name}/${order.runtype.ssh ? 'ssh' : 'args'}`);
  steps.changed(instance);
  const strike = (kind: VastFault, otherwise: number | undefined, work: () => void): void => {
    const seconds = faults.get(kind)?.afterSeconds ?? (faults.has(kind) ? otherwise : undefined);
    if (seconds !== undefined)
      later(world, instance, seconds, () => {
        faults.delete(kind);
        work();
      });
  };
  const become = (actual: ActualStatus, message: string) => () => {
    instance.actual = actual;
    say(instance, message);
    steps.changed(instance);
  };
  strike('exits', undefined, become('exited', `${order.image}: container exited with code 137`));
  strike('offline', undefined, become('offline', 'host is offline'));
  strike('unknown', undefined, become('unknown', 'no recent heartbeat'));
  strike('frozen', 0, () => {
    instance.intended = 'frozen';
    become('frozen', 'instance is frozen')();
  });
  strike('outbid', 60, () => {
    steps.outbid(instance);
  });
}
