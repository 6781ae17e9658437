import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { WATCH_ID, type WatchRecord } from '../../src/core/watcher.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { sandbox } from './built-server.ts';

/** Pids of the background watchers of this state folder; zombies do not count. */
export async function watchersOf(home: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const read = async (part: string): Promise<string> =>
      readFile(`/proc/${name}/${part}`, 'latin1').catch(() => '');
    const [command, environment] = await Promise.all([read('cmdline'), read('environ')]);
    if (!command.split('\0').includes('--background')) continue;
    if (environment.split('\0').includes(`GPU_LEASE_HOME=${home}`)) pids.push(Number(name));
  }
  return pids;
}

/** Resident memory of a process. */
export async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** The record of the watcher in this state folder. */
export async function watchRecord(home: string): Promise<WatchRecord | undefined> {
  await using store = createSqliteStore({ file: path.join(home, 'state.db') });
  return await store.watchers.get(WATCH_ID);
}

/** A state folder and a workspace, as `sandbox` gives them, that outlive no watcher which was started for them. */
export async function watchedSandbox(): ReturnType<typeof sandbox> {
  const box = await sandbox();
  return {
    ...box,
    async [Symbol.asyncDispose]() {
      // One that is being started may come after the look.
      for (let pids = await watchersOf(box.home); pids.length > 0; ) {
        for (const pid of pids)
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // it ended meanwhile
          }
        await pause(50);
        pids = await watchersOf(box.home);
      }
      await box[Symbol.asyncDispose]();
    },
  };
}

/** Looks until it is so. Throws what was seen last when the time is over. */
export async function until<T>(
  seconds: number,
  look: () => Promise<T>,
  isSo: (seen: T) => boolean,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (Date.now() > end)
      throw new Error(`not within ${seconds} s; last seen: ${JSON.stringify(seen)}`);
    await pause(250);
  }
}
