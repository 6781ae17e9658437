import type { CallOptions } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { providerOf } from '../core/ids.ts';
import type { SessionClosed, SessionRecord } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';
import { type EndedDeps, fileEnd } from './ended.ts';
import { killProcesses } from './kill.ts';
import { again } from './link.ts';
import { beforeCloseScript } from './pod-script/talk.ts';
import type { Runs } from './runs.ts';

const CLOSE_SECONDS = 20;
export const SESSION_VARIABLE = 'GPU_LEASE_SESSION';

const GONE_WORDS = { gone: 'yes', left: 'no', unknown: 'unknown' } as const;

type CloseDeps = EndedDeps & { readonly runs: Runs };

/**
 * Ends the shell and all that carries its name, looks again, and brings the transcript home. With `force`, a session whose
 * machine lets us in no more becomes `lost`, and nobody claims that its processes are gone.
 */
export async function closeSession(
  deps: CloseDeps,
  record: SessionRecord,
  request: { readonly force: boolean },
  options: CallOptions,
): Promise<SessionClosed> {
  try {
    return await endShell(deps, record, request, options);
  } catch (failure) {
    if (!request.force || isSessionOver(record) || !isShutOut(record, failure)) throw failure;
    return closedAs(await fileLost(deps, record), 'unknown');
  }
}

/** Another machine answers, or none ever will. Of a machine of the user's nobody but the user can say that it is gone. */
function isShutOut({ podId }: SessionRecord, failure: unknown): boolean {
  if (!isAppError(failure)) return false;
  if (failure.code === 'host_key_changed' || failure.code === 'pod_gone') return true;
  return (
    providerOf(podId) === 'ssh' &&
    (failure.code === 'ssh_unreachable' || failure.code === 'ssh_refused')
  );
}

/** Files the end of a session that nobody can reach, without a transcript. */
export async function fileLost(
  { store, link, clock }: Pick<EndedDeps, 'store' | 'link' | 'clock'>,
  record: SessionRecord,
): Promise<SessionRecord> {
  link.stop(record.sessionId);
  return store.transaction(async (tx) => {
    const now = (await tx.sessions.get(record.sessionId)) ?? record;
    if (isSessionOver(now)) return now;
    const lost: SessionRecord = { ...now, state: 'lost', closedAt: clock.now().toISOString() };
    await tx.sessions.put(record.sessionId, lost);
    return lost;
  });
}

/** Noted first: whoever dies before the end is filed has still ended a command. */
async function noteCutOff({ store }: EndedDeps, record: SessionRecord): Promise<void> {
  await store.transaction(async (tx) => {
    const now = (await tx.sessions.get(record.sessionId)) ?? record;
    await tx.sessions.put(record.sessionId, { ...now, wasCutOff: true });
  });
}

async function endShell(
  deps: CloseDeps,
  record: SessionRecord,
  { force }: { readonly force: boolean },
  options: CallOptions,
): Promise<SessionClosed> {
  const { sessionId, podId, folder } = record;
  if (isSessionOver(record)) {
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
  const [answer = '0', , state] = stdout.toString('utf8').trim().split(' ');
  if (answer === 'busy')
    throw new RemoteError('session_busy', 'A command is running in this session.', {
      hint: 'Wait with session_read, send key "ctrl-c", or close with force to end the command.',
    });
  if (state === 'busy') await noteCutOff(deps, record);
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
