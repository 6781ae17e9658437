import type { CallOptions } from '../core/call.ts';
import { RemoteError } from '../core/errors.ts';
import type { SessionClosed, SessionRecord } from '../core/session.ts';
import { type EndedDeps, fileEnd, isOver } from './ended.ts';
import { killProcesses } from './kill.ts';
import { again } from './link.ts';
import { beforeCloseScript } from './pod-script/talk.ts';
import type { Runs } from './runs.ts';

const CLOSE_SECONDS = 20;
export const SESSION_VARIABLE = 'GPU_LEASE_SESSION';

const GONE_WORDS = { gone: 'yes', left: 'no', unknown: 'unknown' } as const;

/** Ends the shell and all that carries its name, looks again, and brings the transcript home. */
export async function closeSession(
  deps: EndedDeps & { readonly runs: Runs },
  record: SessionRecord,
  { force }: { readonly force: boolean },
  options: CallOptions,
): Promise<SessionClosed> {
  const { sessionId, podId, folder } = record;
  if (isOver(record)) {
    // The shell is over, what it left in the background may not be.
    const left = await killProcesses(deps.runs, podId, {
      variable: SESSION_VARIABLE,
      token: sessionId,
      leader: 0,
    });
    return closedAs(record, GONE_WORDS[left]);
  }
  const { stdout } = await again(async () =>
    deps.remote.exec(podId, beforeCloseScript(folder, force), {
      ...options,
      timeoutSeconds: CLOSE_SECONDS,
    }),
  );
  const [answer = '0'] = stdout.toString('utf8').trim().split(' ');
  if (answer === 'busy')
    throw new RemoteError('session_busy', 'A command is running in this session.', {
      hint: 'Wait with session_read, send key "ctrl-c", or close with force to end the command.',
    });
  const outcome = await killProcesses(deps.runs, podId, {
    variable: SESSION_VARIABLE,
    token: sessionId,
    leader: Number(answer),
  });
  const look = await deps.link.look(record, 0, 0, options);
  if (outcome !== 'gone' && look.state !== 'lost' && look.state !== 'closed')
    return { sessionId, state: look.state, processesGone: GONE_WORDS[outcome] };
  // A shell that was dead already told its status; one dead by our hand has none, and was not lost.
  const byUs = answer !== '0' && !look.folderGone;
  const ended = await fileEnd(
    deps,
    record,
    byUs ? { ...look, state: 'closed', exitCode: undefined } : look,
    options,
  );
  return closedAs(ended, GONE_WORDS[outcome]);
}

function closedAs(
  { sessionId, state, exitCode }: SessionRecord,
  processesGone: SessionClosed['processesGone'],
): SessionClosed {
  return { sessionId, state, processesGone, ...(exitCode === undefined ? {} : { exitCode }) };
}
