import { bill, billFileSystem } from './billing.ts';
import { removeMachine, restartMachine, startMachine } from './container.ts';
import type { LambdaFault } from './fault-kinds.ts';
import { type Instance, isLiving } from './instance.ts';
import { sizeOf, strikes, subjectOf, type World } from './world.ts';

/** What happens to instances by itself and by orders. */
export interface Life {
  begin(instance: Instance): void;
  /** Nothing is charged from now on; the machine is gone a moment later. */
  terminate(instance: Instance): void;
  restart(instance: Instance): void;
}

const RESTART_SECONDS = 45;
const FIRST_DATA_BYTES = 3 * 1024 ** 3;

export function createLife(world: World): Life {
  const later = (instance: Instance, seconds: number, work: () => void): void => {
    const cancel = world.clock.after(seconds, () => {
      instance.timers.delete(cancel);
      work();
    });
    instance.timers.add(cancel);
  };
  const forgetTimers = (instance: Instance): void => {
    for (const cancel of instance.timers) cancel();
    instance.timers.clear();
  };

  const activate = (instance: Instance): void => {
    if (!isLiving(instance)) return;
    instance.status = 'active';
    instance.isBusy = false;
    instance.activeAt ??= world.clock.nowSeconds();
    bill(world, instance);
    for (const { fileSystemId } of instance.mounts) {
      const system = world.fileSystems.get(fileSystemId);
      if (system === undefined) continue;
      system.bytesUsed = Math.max(system.bytesUsed, FIRST_DATA_BYTES);
      billFileSystem(world, system);
    }
    const strike = (kind: LambdaFault, otherwise: number, work: () => void): void => {
      const fault = instance.faults.get(kind);
      if (fault !== undefined) later(instance, fault.afterSeconds ?? otherwise, work);
    };
    strike('unhealthy', 0, () => {
      instance.status = 'unhealthy';
    });
    strike('preempted', 60, () => {
      end(instance, 'preempted');
    });
  };

  const end = (instance: Instance, status: 'terminated' | 'preempted'): void => {
    forgetTimers(instance);
    const now = world.clock.nowSeconds();
    instance.status = status;
    instance.endedAt ??= now;
    instance.terminatedAt = now;
    removeMachine(world, instance);
    bill(world, instance);
  };

  return {
    begin(instance) {
      const { faults, kind } = instance;
      bill(world, instance);
      const vanishes = faults.get('vanishes');
      if (vanishes !== undefined)
        later(instance, vanishes.afterSeconds ?? 60, () => {
          end(instance, 'terminated');
        });
      startMachine(world, instance);
      if (faults.has('stuck-booting')) return;
      const slow = faults.get('slow-boot');
      const usual =
        world.options.bootSeconds ?? 150 + kind.specs.gpus * 60 + world.dice.between(0, 60);
      later(instance, usual + (slow === undefined ? 0 : sizeOf(slow, 900)), () => {
        if (instance.machineFailed) instance.status = 'unhealthy';
        else activate(instance);
      });
    },
    terminate(instance) {
      if (!isLiving(instance)) return;
      forgetTimers(instance);
      instance.status = 'terminating';
      instance.endedAt = world.clock.nowSeconds();
      bill(world, instance);
      removeMachine(world, instance);
      const lingers = strikes(world, 'terminate-lingers', subjectOf(instance));
      const seconds = lingers === undefined ? world.options.terminateSeconds : sizeOf(lingers, 300);
      later(instance, seconds, () => {
        end(instance, 'terminated');
      });
    },
    restart(instance) {
      instance.isBusy = true;
      restartMachine(world, instance);
      later(
        instance,
        Math.min(RESTART_SECONDS, world.options.bootSeconds ?? RESTART_SECONDS),
        () => {
          instance.isBusy = false;
        },
      );
    },
  };
}
