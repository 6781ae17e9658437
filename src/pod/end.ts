import type { Clock } from '../core/call.ts';
import { sendSignal } from '../core/local-process.ts';
import { poll } from '../core/poll.ts';
import type { PodFolder } from './folder.ts';
import { endProcesses, removePodFolder } from './teardown.ts';

const SERVER_LIMIT_SECONDS = 20;
/** Removing a large home takes its time; another process that is at it is left to finish. */
const OTHER_END_LIMIT_SECONDS = 300;
/** As many processes may come to serve it while it is ended. */
const TAKE_TRIES = 5;

/**
 * Ends a pod from outside, whatever is left of it: asks the serving process, then ends it, then ends what carries the
 * token. `destroy` removes the folder too. Answers whether nothing is left; safe to repeat after any crash.
 */
export async function endPod(
  folder: PodFolder,
  token: string,
  order: 'stop' | 'destroy',
  clock: Clock,
): Promise<boolean> {
  if (!(await takeOver(folder, clock))) return false;
  if ((await endProcesses(token, clock)) > 0) return false;
  if (order === 'destroy') {
    await removePodFolder(folder.path, clock);
    return true;
  }
  const state = await folder.state().catch(() => undefined);
  if (state !== undefined && state.status !== 'stopped')
    await folder.writeState({ ...state, status: 'stopped' });
  await folder.release();
  return true;
}

/** One that was just being started may take the lock between our look and our claim: it is ended like the one before. */
async function takeOver(folder: PodFolder, clock: Clock): Promise<boolean> {
  for (let attempt = 0; attempt < TAKE_TRIES; attempt += 1) {
    // Whoever ended it meanwhile may have removed the folder.
    if ((await folder.config()) === undefined) return true;
    await endHolder(folder, clock);
    if ((await folder.config()) === undefined || (await folder.take('end'))) return true;
  }
  return false;
}

async function endHolder(folder: PodFolder, clock: Clock): Promise<void> {
  const { signal } = new AbortController();
  const holder = await folder.holder();
  if (holder === undefined || holder.pid === process.pid) return;
  const wait = { clock, signal, everySeconds: 0.05 };
  const gone = async (): Promise<true | undefined> =>
    (await folder.holder())?.pid === holder.pid ? undefined : true;
  if (holder.role === 'end') {
    await poll(gone, { ...wait, timeoutSeconds: OTHER_END_LIMIT_SECONDS });
    return;
  }
  sendSignal(holder.pid, 'SIGTERM');
  // A frozen one would never see it.
  sendSignal(holder.pid, 'SIGCONT');
  if (await poll(gone, { ...wait, timeoutSeconds: SERVER_LIMIT_SECONDS })) return;
  sendSignal(holder.pid, 'SIGKILL');
  await poll(gone, { ...wait, timeoutSeconds: 5 });
}
