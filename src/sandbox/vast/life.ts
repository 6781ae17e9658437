import { freeVolume, relist } from './afterlife.ts';
import { bill, watchCredit } from './billing.ts';
import { boot, forgetTimers, later, launch } from './boot.ts';
import {
  closeDoors,
  removeMachine,
  restartMachine,
  resumeMachine,
  stopMachine,
} from './container.ts';
import { rounded } from './dice.ts';
import type { Instance } from './instance.ts';
import { canStart, creditUsd, sizeOf, strikes, subjectOf, type World } from './world.ts';

/** What can happen to contracts. Each call is one moment of the cloud's clock. */
export interface Life {
  /** The container is created and boots. */
  begin(instance: Instance): void;
  /** It was created without a GPU: stopped, and its storage is charged. */
  beginStopped(instance: Instance, message: string): void;
  stop(instance: Instance): void;
  /** `false`: no GPU is free now; the start waits in the queue. */
  start(instance: Instance): boolean;
  /** Both leave alone what has no GPU now. */
  reboot(instance: Instance): void;
  recycle(instance: Instance): void;
  bid(instance: Instance, usdPerHour: number): void;
  /** Somebody bids more. */
  outbid(instance: Instance): void;
  /** Ends the contract and everything of it but its volume. */
  end(instance: Instance): void;
  /** Prices, credit or GPUs changed: queues and the account are looked at again. */
  settle(): void;
}

const STALE_SECONDS = 2;
const STOP_SECONDS = 3;
const RELAUNCH_SECONDS = 8;
const KEPT_AFTER_END_SECONDS = 48 * 3_600;
const QUEUE_SECONDS = 120;

export function createLife(world: World): Life {
  let forgetWatch = (): void => undefined;

  const settle = (): void => {
    forgetWatch();
    if (creditUsd(world) <= 0) {
      for (const instance of world.instances.values())
        if (instance.endedAt === undefined && instance.intended !== 'stopped')
          halt(instance, 'credit');
    } else forgetWatch = watchCredit(world, settle);
  };
  const changed = (instance: Instance): void => {
    bill(world, instance);
    settle();
  };

  /** The container stops and its GPU goes to whoever wants it. */
  const release = (instance: Instance): void => {
    instance.holdsGpu = false;
    instance.cur = 'stopped';
    instance.next = 'stopped';
    stopMachine(world, instance);
    changed(instance);
    serveQueue();
  };
  const halt = (instance: Instance, why: 'asked' | 'credit' | 'ended'): void => {
    const ran = instance.runningAt !== undefined && instance.actual !== 'stopped';
    forgetTimers(instance);
    instance.queued = false;
    instance.intended = 'stopped';
    instance.outbid = false;
    const finish = (): void => {
      instance.actual = ran ? 'exited' : 'stopped';
      instance.runningAt = undefined;
      release(instance);
    };
    if (why !== 'asked') {
      instance.statusMsg = why === 'credit' ? 'account credit is used up' : 'rental ended';
      finish();
    } else if (instance.actual === 'running') later(world, instance, STOP_SECONDS, finish);
    else finish();
    limit(instance);
  };

  /** From an accepted start to running; the old `exited` may be told for a moment. */
  const relaunch = (instance: Instance): void => {
    forgetTimers(instance);
    instance.queued = false;
    instance.outbid = false;
    instance.holdsGpu = true;
    instance.intended = 'running';
    instance.cur = 'running';
    instance.next = 'running';
    instance.runningAt = undefined;
    if (instance.hasRun) resumeMachine(world, instance);
    changed(instance);
    if (!instance.hasRun) boot(world, instance, steps);
    else {
      later(world, instance, STALE_SECONDS, () => {
        instance.actual = 'loading';
        changed(instance);
      });
      later(world, instance, RELAUNCH_SECONDS, () => {
        launch(world, instance, steps);
      });
    }
    limit(instance);
  };
  /** Scripted: somebody has the GPU, for a while. */
  const isTaken = (instance: Instance): boolean => {
    const fault = strikes(world, 'start-unavailable', subjectOf(instance.ask));
    if (fault === undefined) return false;
    later(world, instance, sizeOf(fault, QUEUE_SECONDS), () => {
      if (instance.queued) relaunch(instance);
    });
    return true;
  };
  const serveQueue = (): void => {
    for (const instance of world.instances.values())
      if (instance.queued && instance.endedAt === undefined && canStart(world, instance))
        relaunch(instance);
  };

  /** The host ends the rental one day; what is on it is kept for two more. */
  const limit = (instance: Instance): void => {
    const left = instance.endAt - world.clock.nowSeconds();
    if (left > 0)
      later(world, instance, left, () => {
        halt(instance, 'ended');
      });
    else
      later(world, instance, left + KEPT_AFTER_END_SECONDS, () => {
        end(instance);
      });
    const vanishes = instance.faults.get('vanishes');
    if (vanishes === undefined) return;
    const at = instance.createdAt + (vanishes.afterSeconds ?? 60);
    later(world, instance, Math.max(0, at - world.clock.nowSeconds()), () => {
      end(instance);
    });
  };

  const end = (instance: Instance): void => {
    if (instance.endedAt !== undefined) return;
    forgetTimers(instance);
    instance.endedAt = world.clock.nowSeconds();
    instance.holdsGpu = false;
    instance.cur = 'unloaded';
    for (const [id, key] of world.apiKeys)
      if (key.instanceId === instance.id) world.apiKeys.delete(id);
    removeMachine(world, instance);
    closeDoors(instance);
    freeVolume(world, instance);
    relist(world, instance);
    changed(instance);
    serveQueue();
  };

  const outbid = (instance: Instance): void => {
    if (!instance.isBid || instance.outbid || instance.endedAt !== undefined) return;
    forgetTimers(instance);
    const { ask } = instance;
    if (ask.minBidUsdPerHour <= instance.usdPerHour)
      ask.minBidUsdPerHour = rounded(instance.usdPerHour * 1.25, 4);
    instance.outbid = true;
    instance.queued = true;
    instance.intended = world.options.outbidIntent;
    instance.actual = 'exited';
    instance.runningAt = undefined;
    instance.statusMsg = 'outbid: paused until the bid is high enough';
    release(instance);
    limit(instance);
  };
  const steps = { changed, outbid };

  return {
    settle,
    end,
    outbid,
    begin(instance) {
      if (instance.endedAt !== undefined) return;
      changed(instance);
      boot(world, instance, steps);
      limit(instance);
    },
    beginStopped(instance, message) {
      if (instance.endedAt !== undefined) return;
      instance.actual = 'stopped';
      instance.intended = 'stopped';
      instance.cur = 'stopped';
      instance.next = 'stopped';
      instance.statusMsg = message;
      changed(instance);
      limit(instance);
    },
    stop(instance) {
      if (instance.intended === 'stopped' && !instance.queued) return;
      halt(instance, 'asked');
    },
    start(instance) {
      const runs = instance.actual !== 'exited' && instance.actual !== 'offline';
      if (instance.holdsGpu && instance.intended === 'running' && runs) return true;
      if (canStart(world, instance) && !isTaken(instance)) {
        relaunch(instance);
        return true;
      }
      instance.queued = true;
      instance.intended = 'running';
      instance.next = 'running';
      instance.cur = 'scheduling';
      changed(instance);
      return false;
    },
    reboot(instance) {
      if (!instance.holdsGpu || !instance.hasRun || instance.actual === 'recycling') return;
      const wasRunning = instance.actual === 'running';
      forgetTimers(instance);
      instance.actual = wasRunning ? 'rebooting' : instance.actual;
      instance.runningAt = undefined;
      restartMachine(world, instance);
      changed(instance);
      later(world, instance, RELAUNCH_SECONDS, () => {
        launch(world, instance, steps);
      });
      limit(instance);
    },
    recycle(instance) {
      if (!instance.holdsGpu) return;
      forgetTimers(instance);
      instance.actual = 'recycling';
      instance.runningAt = undefined;
      removeMachine(world, instance);
      changed(instance);
      boot(world, instance, steps);
      limit(instance);
    },
    bid(instance, usdPerHour) {
      instance.usdPerHour = usdPerHour;
      if (usdPerHour < instance.ask.minBidUsdPerHour) outbid(instance);
      else if (instance.outbid) {
        later(world, instance, STALE_SECONDS, () => {
          if (canStart(world, instance)) relaunch(instance);
        });
      }
      changed(instance);
    },
  };
}
