import { spawn } from 'node:child_process';
import type { Clock } from '../core/call.ts';
import type { Store } from '../core/store.ts';
import { WATCH_ID, type Watcher, type WatchRecord } from '../core/watcher.ts';
import type { WatchLock } from './lock.ts';
import { isCaredFor } from './needs.ts';
import { isOlderVersion } from './version.ts';

/** A process that was started needs this long to be heard. */
const START_SECONDS = 15;

export interface WatchProgram {
  /** The program and its arguments. No key stands there. */
  readonly command: readonly string[];
  /** What it is started with: the settings of this process, whose keys stand nowhere else. */
  readonly environment: () => Readonly<Record<string, string>>;
}

export interface StartDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly lock: WatchLock;
  readonly me: Pick<WatchRecord, 'version' | 'reach'>;
  readonly program: WatchProgram;
  readonly onFailure: (failure: unknown) => void;
}

/** Keeps a watcher alive: starts one where it is needed and nobody is heard, or who is heard is older or reaches less. */
export function createEnsure(deps: StartDeps): Watcher['ensure'] {
  const { store, clock, lock, me, program, onFailure } = deps;
  let startedAt: Date | undefined;
  let hasReplaced = false;

  /** Two servers of different accounts must not replace each other's watcher for ever: each does so once. */
  function isToBeReplaced(holder: WatchRecord): boolean {
    if (isOlderVersion(holder.version, me.version)) return true;
    return !hasReplaced && me.reach.some((cloud) => !holder.reach.includes(cloud));
  }
  async function want(): Promise<void> {
    await store.transaction(async (tx) => {
      const record = await tx.watchers.get(WATCH_ID);
      if (record !== undefined)
        await tx.watchers.put(WATCH_ID, { ...record, wantedAt: clock.now().toISOString() });
    });
  }
  function start(over: WatchRecord | undefined): void {
    const [file = '', ...args] = program.command;
    startedAt = clock.now();
    const child = spawn(file, over === undefined ? args : [...args, '--over', `${over.epoch}`], {
      // It must hold no folder, no terminal and no pipe of ours, and be in no group that is ended with us.
      cwd: '/',
      detached: true,
      stdio: 'ignore',
      env: { ...program.environment() },
    });
    child.on('error', onFailure);
    child.unref();
  }

  return async ({ isRenting = false } = {}) => {
    try {
      if (lock.isMine()) return;
      const isStarting =
        startedAt !== undefined &&
        Math.abs(clock.now().getTime() - startedAt.getTime()) < START_SECONDS * 1000;
      if (isRenting) await want();
      if (isStarting) return;
      const isNeeded = isRenting || (await store.leases.list()).some(isCaredFor);
      if (!isNeeded) return;
      const holder = await lock.holder();
      if (holder !== undefined && !isToBeReplaced(holder)) return;
      hasReplaced ||= holder !== undefined;
      start(holder);
    } catch (failure) {
      onFailure(failure);
    }
  };
}
