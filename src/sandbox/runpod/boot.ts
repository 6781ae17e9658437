import { closePorts, openPorts, restartMachine, startMachine } from './container.ts';
import type { RunpodFault } from './fault-kinds.ts';
import { say } from './logs.ts';
import type { Pod, Runtime } from './pod.ts';
import { sizeOf, strikes, subjectOf, type World } from './world.ts';

/** What a step needs of the life around it. */
export interface BootSteps {
  /** After a change of state: books, credit. */
  readonly changed: (pod: Pod) => void;
  readonly outbid: (pod: Pod) => void;
  readonly fail: (pod: Pod) => void;
}

/** Does `work` `seconds` from now, unless the pod's life takes another turn before. */
export function later(
  world: World,
  pod: Pod,
  seconds: number,
  work: () => Promise<void> | void,
): void {
  const cancel = world.clock.after(seconds, async () => {
    pod.timers.delete(cancel);
    if (pod.endedAt === undefined) await work();
  });
  pod.timers.add(cancel);
}
export function forgetTimers(pod: Pod): void {
  for (const cancel of pod.timers) cancel();
  pod.timers.clear();
}

/** Seconds from an accepted start to a container: pull, create, boot. */
function bootSeconds(world: World, { order, faults, host }: Pod, isNew: boolean): number {
  const slow = faults.get('slow-boot');
  const extra = slow === undefined ? 0 : sizeOf(slow, 900);
  if (world.options.bootSeconds !== undefined) return world.options.bootSeconds + extra;
  if (!isNew) return 8 + extra;
  const gb = /pytorch|tensorflow|unsloth|vllm|comfy/i.test(order.image) ? 9 : 2;
  const isCached = order.image.startsWith('runpod/') && world.dice.chance(0.6);
  return (isCached ? 6 : (gb * 8_000) / Math.min(2_000, host.downMbps)) + 10 + extra;
}

/** The two ways in which an image cannot be had, by its name too, for those who rehearse without scripted faults. */
function imageFault({ order, faults }: Pod): 'image-not-found' | 'pull-denied' | undefined {
  if (
    faults.has('image-not-found') ||
    /does-not-exist|no-such-image|nonexistent/i.test(order.image)
  )
    return 'image-not-found';
  const isPrivate = /(?:^|\/)private(?:-|\/)/i.test(order.image) && order.registryId === null;
  return faults.has('pull-denied') || isPrivate ? 'pull-denied' : undefined;
}

/** `new`: the image is not there yet. `reset`: the machine has begun it by itself. */
export type BootKind = 'new' | 'again' | 'reset';

/** From an accepted order to a container with ports. */
export function boot(world: World, pod: Pod, steps: BootSteps, kind: BootKind): void {
  const { image } = pod.order;
  pod.phase = 'PROVISIONING';
  const whole = bootSeconds(world, pod, kind === 'new');
  const first = Math.min(3, whole / 4);
  later(world, pod, first, () => {
    pod.phase = 'STARTING';
    say(world, pod, `create container ${image}`);
    const failing = imageFault(pod);
    if (failing !== undefined) pullFails(world, pod, failing);
    else {
      say(
        world,
        pod,
        `${image.split(':')[1] ?? 'latest'} Pulling from ${image.split(':')[0] ?? ''}`,
      );
      if (!pod.faults.has('no-runtime') && kind !== 'reset') startMachine(world, pod);
    }
  });
  if (imageFault(pod) !== undefined || pod.faults.has('no-runtime')) return;
  later(world, pod, whole, async () => {
    say(world, pod, `Status: Downloaded newer image for ${image}`);
    say(world, pod, 'start container');
    await containerUp(world, pod, steps);
  });
}

function pullFails(world: World, pod: Pod, kind: 'image-not-found' | 'pull-denied'): void {
  const { image } = pod.order;
  const reason =
    kind === 'image-not-found'
      ? `manifest for ${image} not found: manifest unknown: manifest unknown`
      : `pull access denied for ${image}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`;
  say(world, pod, `error pulling image: Error response from daemon: ${reason}`);
  // It is tried again and again, and never told outside the log.
  later(world, pod, 30, () => {
    pullFails(world, pod, kind);
  });
}

/** The container is there: first without ports, then with private ones, then with all. */
async function containerUp(world: World, pod: Pod, steps: BootSteps): Promise<void> {
  const { faults } = pod;
  if (pod.machineFailed || faults.has('pod-error')) {
    pod.phase = 'ERROR';
    say(world, pod, 'error creating container: nvidia-container-cli: initialization error');
    steps.changed(pod);
    return;
  }
  const before = pod.oldPorts;
  const now = world.clock.nowSeconds();
  pod.phase = 'RUNNING';
  pod.containerAt = now;
  const runtime: Runtime = { sinceSeconds: now, ports: null };
  pod.runtime = runtime;
  steps.changed(pod);
  if (faults.has('crash-loop')) {
    later(world, pod, 6, () => {
      pod.runtime = null;
      pod.phase = 'STARTING';
      say(world, pod, 'container exited with code 1: restarting');
      restartMachine(world, pod);
      later(world, pod, 6, async () => containerUp(world, pod, steps));
    });
    return;
  }
  laterFaults(world, pod, steps);
  if (faults.has('ports-null')) return;
  const late = faults.get('ports-late');
  const { portSeconds } = world.options;
  const stale = before === null ? undefined : strikes(world, 'stale-ports', subjectOf(pod));
  const rows = await openPorts(world, pod);
  if (wasStopped(pod, now)) return;
  if (stale !== undefined) runtime.ports = before;
  const wait = stale === undefined ? portSeconds : sizeOf(stale, 90);
  const at = late === undefined ? wait : sizeOf(late, 600);
  later(world, pod, at, () => {
    runtime.ports = rows.filter(({ isIpPublic }) => !isIpPublic);
  });
  later(world, pod, at + portSeconds, () => {
    runtime.ports = rows;
  });
}

/** While its ports were opened. Nobody comes in by them then. */
function wasStopped(pod: Pod, since: number): boolean {
  if (pod.containerAt === since) return false;
  if (pod.containerAt === undefined) closePorts(pod);
  return true;
}

/** What was scripted to happen to it later is set going. */
function laterFaults(world: World, pod: Pod, steps: BootSteps): void {
  const strike = (kind: RunpodFault, work: () => void): void => {
    const fault = pod.faults.get(kind);
    if (fault === undefined) return;
    later(world, pod, fault.afterSeconds ?? 60, () => {
      pod.faults.delete(kind);
      work();
    });
  };
  strike('exits', () => {
    steps.fail(pod);
  });
  strike('outbid', () => {
    steps.outbid(pod);
  });
}
