import type { Clock } from '../core/call.ts';
import { sendSignal } from '../core/local-process.ts';
import { poll } from '../core/poll.ts';
import type { PodFolder } from './folder.ts';
import { endProcesses, removePodFolder } from './teardown.ts';

const SERVER_LIMIT_SECONDS = 20;

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
  const { signal } = new AbortController();
  const wait = { clock, signal, everySeconds: 0.05 };
  const holder = await folder.holder();
  if (holder !== undefined && holder.pid !== process.pid) {
    sendSignal(holder.pid, 'SIGTERM');
    const gone = async (): Promise<true | undefined> =>
      (await folder.holder())?.pid === holder.pid ? undefined : true;
    if ((await poll(gone, { ...wait, timeoutSeconds: SERVER_LIMIT_SECONDS })) === undefined) {
      sendSignal(holder.pid, 'SIGKILL');
      await poll(gone, { ...wait, timeoutSeconds: 5 });
    }
  }
  if ((await folder.config()) === undefined) return (await endProcesses(token, clock)) === 0;
  if (!(await folder.take())) return false;
  const left = await endProcesses(token, clock);
  if (left > 0) return false;
  if (order === 'destroy') {
    await removePodFolder(folder.path);
    return true;
  }
  const state = await folder.state().catch(() => undefined);
  if (state !== undefined && state.status !== 'stopped')
    await folder.writeState({ ...state, status: 'stopped' });
  await folder.release();
  return true;
}
