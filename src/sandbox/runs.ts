import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { processIdentitySchema } from '../core/embedded-pod.ts';
import { ConfigError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { isMissing, readJsonFile, writeJsonFile } from '../core/json-file.ts';
import { isAlive, processIdentity } from '../core/local-process.ts';
import { poll } from '../core/poll.ts';
import { makePrivateFolder } from '../core/private-folder.ts';
import type { Provider } from '../core/provider.ts';

const OWNER = 'owner.json';
const SWEEP_LIMIT_SECONDS = 30;

export interface RunsDeps {
  /** Of all sandboxes of this person. */
  readonly folder: string;
  /** Rents pods that are kept below the given folder. */
  readonly podsIn: (home: string) => Provider;
  readonly clock: Clock;
}
/** The part of the sandboxes' folder that belongs to this one. */
export interface Run {
  readonly folder: string;
  readonly pods: Provider;
  /** Removes the folder, when nothing is left in it that runs. */
  close(): Promise<void>;
}

/** Makes a folder for one sandbox, which says whose it is. Throws `state_unwritable`. */
export async function openRun({ folder, podsIn }: RunsDeps): Promise<Run> {
  const me = await processIdentity(process.pid);
  if (me === undefined) throw new Error('This process cannot be identified.');
  const token = randomToken(8);
  const own = path.join(folder, `run-${token}`);
  const draft = path.join(folder, `.new-${process.pid}-${token}`);
  try {
    await makePrivateFolder(folder);
    await mkdir(draft, { mode: 0o700 });
    await writeJsonFile(path.join(draft, OWNER), me);
    await rename(draft, own);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    throw new ConfigError('state_unwritable', `The sandbox cannot keep its files in ${folder}.`, {
      cause,
    });
  }
  return {
    folder: own,
    pods: podsIn(own),
    close: async () => rm(own, { recursive: true, force: true }),
  };
}

/**
 * Ends what sandboxes left behind whose process is dead, and answers how many machines that were. Those of living ones are
 * not touched. What cannot be ended stays for the next time, and has its own deadline.
 */
export async function sweepRuns({ folder, podsIn, clock }: RunsDeps): Promise<number> {
  let swept = 0;
  for (const name of await foldersIn(folder)) {
    if (!/^(?:run-|\.new-)/.test(name)) continue;
    const run = path.join(folder, name);
    if (await isOwned(run, name)) continue;
    const ended = await endAll(podsIn(run), clock);
    swept += ended.count;
    if (ended.areGone) await rm(run, { recursive: true, force: true }).catch(() => undefined);
  }
  return swept;
}

/** Not knowing counts as owned: nobody's living machines are ended by a guess. */
async function isOwned(run: string, name: string): Promise<boolean> {
  try {
    const owner = await readJsonFile(path.join(run, OWNER), processIdentitySchema);
    if (owner !== undefined) return await isAlive(owner);
    // Written before the folder got its name: one without an owner never was a run.
    const [, pid] = /^\.new-(\d+)-/.exec(name) ?? [];
    return pid !== undefined && (await processIdentity(Number(pid))) !== undefined;
  } catch {
    return true;
  }
}

async function endAll(
  pods: Provider,
  clock: Clock,
): Promise<{ readonly count: number; readonly areGone: boolean }> {
  const options = { signal: AbortSignal.timeout(SWEEP_LIMIT_SECONDS * 1000) };
  try {
    const found = await pods.listPods(options);
    for (const { podId } of found) await pods.terminatePod(podId, options);
    const gone = await poll(
      async () => ((await pods.listPods(options)).length === 0 ? true : undefined),
      { ...options, clock, timeoutSeconds: SWEEP_LIMIT_SECONDS, everySeconds: 0.1 },
    );
    return { count: found.length, areGone: gone === true };
  } catch {
    return { count: 0, areGone: false };
  }
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((failure: unknown) => {
    if (isMissing(failure)) return [];
    throw failure;
  });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
