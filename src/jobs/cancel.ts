import type { Buffer } from 'node:buffer';
import { RemoteError } from '../core/errors.ts';
import type { JobId } from '../core/ids.ts';
import { jobShell } from './pod-shell.ts';

export const CANCEL_LIMIT_SECONDS = 40;

/** Ends the job and everything it started, and looks again. Safe to repeat, and with a dead supervisor. */
export function cancelScript(
  jobId: JobId,
  graceSeconds: number,
  reason: 'cancelled' | 'timed_out',
): string {
  return `${jobShell(jobId)}\nGL_GRACE=${graceSeconds} REASON=${reason}\n${CANCEL}`;
}

export interface Cancelled {
  readonly processesGone: boolean;
  /** It had ended by itself before we came. */
  readonly hadEnded: boolean;
}

export function cancelledFrom(stdout: Buffer, foreignText: string): Cancelled {
  const answer = /^gpu-lease-cancel (yes|no) (yes|no)$/m.exec(stdout.toString('utf8'));
  if (answer === null)
    throw new RemoteError('remote_failed', 'The pod could not cancel the job.', { foreignText });
  return { hadEnded: answer[1] === 'yes', processesGone: answer[2] === 'yes' };
}

const CANCEL = `
umask 077
had=no
if [ -e "$GL_D/exit" ]; then had=yes; else mkdir -p "$GL_D" && once end "$REASON"; fi
# Who holds this folder may start the job: now nobody will.
mkdir "$GL_D/launch" 2>/dev/null
gone=no
tries=0
while [ "$tries" -lt 4 ]; do
  tries=$((tries + 1))
  sweep "$GL_GRACE" || continue
  # The supervisor notes the exit code; between its phases it may only now have begun the command.
  waits=0
  while lives pid && [ ! -e "$GL_D/exit" ] && [ "$waits" -lt 15 ]; do waits=$((waits + 1)); nap; done
  if lives pid && [ ! -e "$GL_D/exit" ]; then
    [ "$tries" -lt 3 ] || kill -KILL "$GL_P" 2>/dev/null
    continue
  fi
  members
  [ -n "$GL_M" ] || { gone=yes; break; }
done
[ "$gone" = yes ] && once exit "143 $(date +%s)"
printf '\\ngpu-lease-cancel %s %s\\n' "$had" "$gone"
exit 0
`;
