import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { POD_FILES } from '../core/embedded-pod.ts';
import { isMissing } from '../core/json-file.ts';
import { processesOfPod, processIdentity, sendSignal } from '../core/local-process.ts';
import { poll } from '../core/poll.ts';

/** How long processes may take to end by themselves. */
const GRACE_SECONDS = 3;
const KILL_LIMIT_SECONDS = 10;

/** Ends every process of the pod, looks again, and answers how many are still there. */
export async function endProcesses(token: string, clock: Clock): Promise<number> {
  const { signal } = new AbortController();
  const remaining = async (kill: NodeJS.Signals | undefined): Promise<readonly number[]> => {
    const pids = await processesOfPod(token);
    if (kill !== undefined) for (const pid of pids) sendSignal(pid, kill);
    return pids;
  };
  const none = (pids: readonly number[]): true | undefined =>
    pids.length === 0 ? true : undefined;

  const asked = await remaining('SIGTERM');
  // Stopped processes would never see their SIGTERM.
  for (const pid of asked) sendSignal(pid, 'SIGCONT');
  // All processes of the machine are looked through only when the known ones have ended.
  const someLive = async (): Promise<boolean> =>
    (await Promise.all(asked.map(processIdentity))).some((identity) => identity !== undefined);
  const wait = { clock, signal, everySeconds: 0.05 };
  const ended = await poll(
    async () => ((await someLive()) ? undefined : none(await remaining(undefined))),
    { ...wait, timeoutSeconds: GRACE_SECONDS },
  );
  if (ended) return 0;
  // Again and again: a process may have forked while we were looking.
  await poll(async () => none(await remaining('SIGKILL')), {
    ...wait,
    timeoutSeconds: KILL_LIMIT_SECONDS,
  });
  return (await remaining(undefined)).length;
}

/**
 * Removes the pod's folder. The file that says whose folder it is goes nearly last, so that a crash leaves a known pod;
 * the lock goes after it, so that nobody can begin to serve what is being removed.
 */
export async function removePodFolder(folder: string, clock: Clock): Promise<void> {
  const names = await readdir(folder).catch((failure: unknown) => {
    if (isMissing(failure)) return [];
    throw failure;
  });
  const last: readonly string[] = [POD_FILES.order, POD_FILES.config, POD_FILES.lock];
  for (const name of [...names.filter((candidate) => !last.includes(candidate)), ...last])
    await removeTree(path.join(folder, name));
  // A process that came too late to serve it takes its own lock away again.
  const left = await poll(
    async () =>
      rmdir(folder).then(
        () => 'removed' as const,
        (failure: unknown) => {
          if (isMissing(failure)) return 'removed' as const;
          if (isFilled(failure)) return undefined;
          throw failure;
        },
      ),
    { clock, signal: new AbortController().signal, timeoutSeconds: 5, everySeconds: 0.05 },
  );
  if (left === undefined) throw new Error('The folder of the pod is filled again.');
}

function isFilled(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'ENOTEMPTY';
}

async function removeTree(target: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 3 };
  try {
    await rm(target, options);
  } catch {
    // A folder without permissions hides its content even from its owner.
    const opened = spawn('chmod', ['-R', 'u+rwx', target], { stdio: 'ignore' });
    await once(opened, 'close');
    await rm(target, options);
  }
}
