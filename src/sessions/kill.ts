import { text } from 'node:stream/consumers';
import type { PodId } from '../core/ids.ts';
import { killScript } from './pod-script/exec.ts';
import type { Runs } from './runs.ts';

const KILL_SECONDS = 12;

export type KillOutcome = 'gone' | 'left' | 'unknown';

/**
 * Ends every process that carries `variable`=`token` or belongs to the session of `leader`, over a channel of its own, and
 * looks again. Never throws: `unknown` where the pod could not be asked.
 */
export async function killProcesses(
  runs: Runs,
  podId: PodId,
  { variable, token, leader }: { variable: string; token: string; leader: number },
): Promise<KillOutcome> {
  const signal = AbortSignal.timeout(KILL_SECONDS * 1000);
  try {
    const run = await runs.start(podId, killScript(variable, token, leader), {
      signal,
      withinSeconds: KILL_SECONDS,
      noInput: true,
    });
    run.channel.end();
    void run.err.collect(() => undefined);
    const timeout = (): void => {
      run.channel.destroy();
    };
    signal.addEventListener('abort', timeout, { once: true });
    const [output, ended] = await Promise.all([text(run.out.stream()), run.ended]);
    signal.removeEventListener('abort', timeout);
    if (ended.kind === 'lost') return 'unknown';
    return output.trim() === 'gone' ? 'gone' : 'left';
  } catch {
    return 'unknown';
  }
}
