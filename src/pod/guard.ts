import { spawn } from 'node:child_process';
import type { Clock } from '../core/call.ts';
import { endPod } from './end.ts';
import type { Environment } from './environment.ts';
import type { PodFolder } from './folder.ts';
import { watchLife } from './life.ts';

const RETRY_SECONDS = 10;

/**
 * Starts a shell that sleeps until this process is dead, and then becomes `program`, which stands guard. Its input is a
 * pipe from here: the system closes it even when we are killed. It ends with the processes of the pod, being one.
 */
export function startGuard(
  program: readonly string[],
  environment: Environment,
  onFailure: (failure: Error) => void,
): void {
  const child = spawn('/bin/sh', ['-c', 'read -r line; exec "$@"', 'gpu-lease-guard', ...program], {
    cwd: '/',
    env: environment,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.once('error', onFailure);
  child.stdin.once('error', () => undefined);
  child.unref();
}

/**
 * Keeps the deadline of a pod whose process died without ending it: what it had started ends then, with no server of ours
 * around. Gives way to whoever serves or ends the pod meanwhile.
 */
export async function standGuard(folder: PodFolder, token: string, clock: Clock): Promise<void> {
  const { signal } = new AbortController();
  for (;;) {
    const end = await watchLife({ folder, clock, signal, alarm: async () => Promise.resolve() });
    if (end === 'replaced' || (await endPod(folder, token, end, clock))) return;
    await clock.sleep(RETRY_SECONDS, { signal });
  }
}
