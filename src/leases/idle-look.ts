import type { CallOptions } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { isTerminal, type Jobs } from '../core/job.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';

/** A GPU that does nothing is not always at 0. */
const BUSY_PERCENT = 5;
const SCRIPT_SECONDS = 20;

/** Prints the use of each GPU in percent; `none` where nothing tells, `failed` where what should tell does not. */
export const GPU_USE_SCRIPT = `
command -v nvidia-smi >/dev/null 2>&1 || { echo none; exit 0; }
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout 10'
$limit nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits 2>/dev/null || echo failed
`;

/** What a pod does now. `unreadable`: nobody can tell, for the reason of this code. */
export type IdleReading =
  | { readonly kind: 'busy' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'unreadable'; readonly code: string };

export interface IdleLookDeps {
  readonly remote: Pick<Remote, 'exec'>;
  readonly jobs: Pick<Jobs, 'list' | 'refresh'>;
  readonly sessions: Pick<Sessions, 'hasBusy'>;
}

/** Jobs, sessions and GPUs, looked at on the pod now. Whatever cannot be seen makes the whole unreadable. Never throws but for the signal. */
export async function lookForUse(
  podId: PodId,
  { remote, jobs, sessions }: IdleLookDeps,
  options: CallOptions,
): Promise<IdleReading> {
  try {
    const known = await jobs.list(podId);
    const fresh = known.some(({ status }) => !isTerminal(status))
      ? await jobs.refresh(podId, options)
      : [];
    const live = fresh.filter(({ status }) => !isTerminal(status));
    if (live.some(({ status }) => status !== 'running_unreachable')) return { kind: 'busy' };
    if (live.length > 0) return { kind: 'unreadable', code: 'ssh_unreachable' };
    if ((await sessions.hasBusy?.(podId, options)) === true) return { kind: 'busy' };
    const { stdout, exitCode } = await remote.exec(podId, GPU_USE_SCRIPT, {
      ...options,
      timeoutSeconds: SCRIPT_SECONDS,
      maxBytes: 4096,
    });
    return exitCode === 0
      ? gpuReading(stdout.toString('utf8'))
      : { kind: 'unreadable', code: 'remote_failed' };
  } catch (failure) {
    return { kind: 'unreadable', code: isAppError(failure) ? failure.code : 'internal' };
  }
}

/** Of what the script printed. A card that cannot tell ("[N/A]") says nothing; all of them silent is no answer. Pure. */
export function gpuReading(text: string): IdleReading {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0 || lines.includes('failed'))
    return { kind: 'unreadable', code: 'gpu_unreadable' };
  const numbers = lines.filter((line) => /^\d{1,3}(?:\.\d+)?$/.test(line)).map(Number);
  if (numbers.some((percent) => percent >= BUSY_PERCENT)) return { kind: 'busy' };
  const isTold = lines.every(
    (line) => line === 'none' || /^\d|^\[(?:N\/A|Not Supported)\]$/.test(line),
  );
  return isTold ? { kind: 'idle' } : { kind: 'unreadable', code: 'gpu_unreadable' };
}
