import { bill, watchCredit } from './billing.ts';
import { type BootKind, boot, forgetTimers, later } from './boot.ts';
import { closePorts, removeMachine, restartMachine, stopMachine } from './container.ts';
import { say } from './logs.ts';
import type { Pod } from './pod.ts';
import { HOST_FULL, LOW_BALANCE, Refusal } from './refusal.ts';
import { type Change, statusChange } from './words.ts';
import {
  creditUsd,
  freeGpus,
  livingPods,
  sizeOf,
  strikes,
  subjectOf,
  type World,
} from './world.ts';

/** What can happen to a pod. All of it answers at once; the pod goes on by the clock. */
export interface Life {
  begin(pod: Pod): void;
  stop(pod: Pod): void;
  /** Throws `host-full` when its GPUs are somebody else's now. */
  start(pod: Pod, gpuCount?: number, route?: string): void;
  /** A fresh container; machine and volume stay. */
  reset(pod: Pod): void;
  outbid(pod: Pod): void;
  /** Ends the pod and everything of it but a network volume. */
  end(pod: Pod): void;
  /** Prices or credit changed: the account is looked at again. */
  settle(): void;
}

export function createLife(world: World): Life {
  let forgetWatch = (): void => undefined;
  const now = (): number => world.clock.nowSeconds();

  const settle = (): void => {
    forgetWatch();
    if (creditUsd(world) > 0) {
      forgetWatch = watchCredit(world, settle);
      return;
    }
    for (const pod of livingPods(world)) {
      if (pod.desired !== 'RUNNING') continue;
      // Without a network volume a pod is not stopped but gone, with all its data.
      if (pod.order.networkVolumeId === null) end(pod);
      else halt(pod, 'Exited by Runpod');
    }
  };
  const changed = (pod: Pod): void => {
    bill(world, pod);
    settle();
  };

  const halt = (pod: Pod, change: Change): void => {
    forgetTimers(pod);
    pod.desired = 'EXITED';
    pod.phase = 'EXITED';
    pod.oldPorts = pod.runtime?.ports ?? pod.oldPorts;
    pod.containerAt = undefined;
    pod.holdsGpu = false;
    pod.lastStatusChange = statusChange(change, now());
    say(world, pod, 'stop container');
    stopMachine(world, pod);
    closePorts(pod);
    limit(pod);
    const lingers = strikes(world, 'stale-runtime', subjectOf(pod));
    const stale = lingers === undefined ? world.options.staleSeconds : sizeOf(lingers, 60);
    if (change === 'Exited by user' && stale > 0)
      later(world, pod, stale, () => {
        pod.runtime = null;
      });
    else pod.runtime = null;
    changed(pod);
  };

  const end = (pod: Pod): void => {
    if (pod.endedAt !== undefined) return;
    forgetTimers(pod);
    pod.endedAt = now();
    pod.holdsGpu = false;
    pod.runtime = null;
    world.apiKeys.delete(pod.apiKey);
    removeMachine(world, pod);
    closePorts(pod);
    const template = world.templates.get(pod.order.templateId ?? '');
    if (template !== undefined) template.lastUsedAt = now();
    changed(pod);
  };

  const outbid = (pod: Pod): void => {
    if (pod.isBid && pod.desired === 'RUNNING' && pod.endedAt === undefined) halt(pod, 'Outbid');
  };

  /** Its own deadlines, and the scripted end. They hold whatever else happens. */
  const limit = (pod: Pod): void => {
    const at = (seconds: number | undefined, work: () => void): void => {
      if (seconds !== undefined) later(world, pod, Math.max(0, seconds - now()), work);
    };
    const isHonoured =
      world.options.honoursDeadlines && (pod.stopAt ?? pod.terminateAt) !== undefined;
    if (isHonoured && strikes(world, 'deadline-ignored', subjectOf(pod)) === undefined) {
      at(pod.terminateAt, () => {
        end(pod);
      });
      if (pod.desired === 'RUNNING')
        at(pod.stopAt, () => {
          halt(pod, 'Exited by Runpod');
        });
    }
    const vanishes = pod.faults.get('vanishes');
    if (vanishes !== undefined)
      at(pod.createdAt + (vanishes.afterSeconds ?? 60), () => {
        end(pod);
      });
  };

  const steps = {
    changed,
    outbid,
    fail(pod: Pod) {
      halt(pod, 'Exited by Runpod');
    },
  };
  const run = (pod: Pod, kind: BootKind): void => {
    pod.desired = 'RUNNING';
    pod.holdsGpu = true;
    pod.startedAt = now();
    pod.lastStatusChange = statusChange('Rented by User', now());
    changed(pod);
    if (pod.endedAt !== undefined) return;
    boot(world, pod, steps, kind);
    limit(pod);
  };

  return {
    settle,
    end,
    outbid,
    begin(pod) {
      run(pod, 'new');
    },
    stop(pod) {
      if (pod.locked) throw new Refusal('conflict', 'pod is locked');
      if (strikes(world, 'stop-ignored', subjectOf(pod)) !== undefined) return;
      if (pod.desired === 'RUNNING') halt(pod, 'Exited by user');
    },
    start(pod, gpuCount = pod.gpuCount, route) {
      if (pod.desired === 'RUNNING' && pod.phase !== 'ERROR') return;
      if (creditUsd(world) <= 0) throw new Refusal('balance', LOW_BALANCE);
      const isFull = strikes(world, 'host-full', subjectOf(pod, route)) !== undefined;
      const free = freeGpus(world, pod.host) + (pod.holdsGpu ? pod.gpuCount : 0);
      if (isFull || free < Math.max(pod.gpuCount, gpuCount))
        throw new Refusal('host-full', HOST_FULL);
      forgetTimers(pod);
      pod.runtime = null;
      if (pod.machineFailed) {
        removeMachine(world, pod);
        pod.machineFailed = false;
      }
      run(pod, 'again');
    },
    reset(pod) {
      if (pod.locked) throw new Refusal('conflict', 'pod is locked');
      if (pod.desired !== 'RUNNING') return;
      forgetTimers(pod);
      pod.oldPorts = pod.runtime?.ports ?? pod.oldPorts;
      pod.runtime = null;
      pod.containerAt = undefined;
      closePorts(pod);
      restartMachine(world, pod);
      boot(world, pod, steps, 'reset');
      limit(pod);
      changed(pod);
    },
  };
}
