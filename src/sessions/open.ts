import type { CallOptions } from '../core/call.ts';
import { InputError, PolicyError, RemoteError } from '../core/errors.ts';
import { localPartOf, newSessionId, type PodId, providerOf, randomToken } from '../core/ids.ts';
import type { SessionOpened, SessionRecord } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { type EndedDeps, fileEnd } from './ended.ts';
import { again } from './link.ts';
import { TRANSCRIPT_BYTES } from './pod-script/keep.ts';
import { launchScript, MAX_SESSIONS_PER_POD } from './pod-script/launch.ts';
import { statesScript } from './pod-script/talk.ts';
import { isFull } from './typing.ts';

const LAUNCH_SECONDS = 45;
const HOME_SECONDS = 30;

export interface OpenRequest {
  readonly cwd?: string | undefined;
  readonly reuse: boolean;
}

/** A live idle shell of this pod where `reuse` allows it, else a new one. */
export async function openSession(
  deps: EndedDeps,
  podId: PodId,
  request: OpenRequest,
  options: CallOptions,
): Promise<SessionOpened> {
  await mustAllowShells(deps, podId);
  const work = await deps.remote.workFolder(podId, options);
  const cwd = absolute(work, request.cwd);
  if (request.reuse) {
    const found = await reusable(deps, podId, request.cwd === undefined ? undefined : cwd, options);
    if (found !== undefined) return found;
  }
  return launch(deps, podId, cwd, options);
}

/** The person may keep shells off a machine of theirs (PR-11). */
async function mustAllowShells({ store }: EndedDeps, podId: PodId): Promise<void> {
  if (providerOf(podId) !== 'ssh') return;
  const profile = await store.profiles.get(localPartOf(podId));
  if (profile?.interactiveAccess === 'disabled')
    throw new PolicyError('not_owned', 'This profile does not allow interactive sessions.', {
      hint: 'Its interactiveAccess is "disabled": ask the user before it is changed. job_start and sync_files work.',
    });
}

function absolute(work: string, cwd: string | undefined): string {
  if (cwd === undefined || cwd === '' || cwd === '.') return work;
  if (cwd.includes('\0')) throw new InputError('invalid_input', 'A path cannot hold NUL.');
  if (cwd === '~' || cwd.startsWith('~/'))
    throw new InputError('invalid_input', 'cwd is a path, "~" is not expanded.', {
      hint: 'Give an absolute path, or one relative to the work folder of the pod.',
    });
  return cwd.startsWith('/') ? cwd : `${work}/${cwd}`;
}

async function reusable(
  deps: EndedDeps,
  podId: PodId,
  cwd: string | undefined,
  options: CallOptions,
): Promise<SessionOpened | undefined> {
  const records = (await deps.store.sessions.list())
    .filter((one) => one.podId === podId && !isSessionOver(one))
    .reverse();
  const states = records.length > 1 ? await statesOf(deps, podId, records, options) : undefined;
  for (const [index, record] of records.entries()) {
    const before = states?.[index];
    if (before !== undefined && !mayBeReused(before, cwd)) continue;
    const look = await deps.link.look(record, 0, 0, options);
    if (look.state === 'closed' || look.state === 'lost') {
      await fileEnd(deps, record, look, options);
      continue;
    }
    const at = look.cwd ?? record.cwd;
    if (look.state === 'idle' && (cwd === undefined || cwd === at))
      return {
        sessionId: record.sessionId,
        podId,
        state: 'idle',
        cwd: at,
        terminal: record.terminal,
        reused: true,
        nextOffset: look.size,
      };
  }
  return undefined;
}

/** All in one round trip; the few that come into question are looked at again, each for itself. */
export async function statesOf(
  { remote }: EndedDeps,
  podId: PodId,
  records: readonly SessionRecord[],
  options: CallOptions,
): Promise<readonly string[]> {
  const { stdout } = await again(async () =>
    remote.exec(podId, statesScript(records.map(({ folder }) => folder)), {
      ...options,
      timeoutSeconds: HOME_SECONDS,
    }),
  );
  return stdout.toString('utf8').split('\n');
}

function mayBeReused(line: string, cwd: string | undefined): boolean {
  const [state = '', ...at] = line.split(' ');
  if (state === 'busy') return false;
  return state !== 'idle' || cwd === undefined || ['', cwd].includes(at.join(' '));
}

async function launch(
  { store, remote, clock, transcriptBytes = TRANSCRIPT_BYTES }: EndedDeps,
  podId: PodId,
  cwd: string,
  options: CallOptions,
): Promise<SessionOpened> {
  const { stdout: home } = await remote.exec(podId, 'printf %s "$HOME"', {
    ...options,
    timeoutSeconds: HOME_SECONDS,
  });
  const sessionId = newSessionId();
  const record: SessionRecord = {
    sessionId,
    podId,
    cwd,
    folder: `${home.toString('utf8')}/.gpu-lease/sessions/${sessionId}`,
    terminal: 'pty',
    state: 'unreachable',
    openedAt: clock.now().toISOString(),
  };
  // Written first: a shell that was started is never without a record, whenever we die.
  await store.sessions.put(sessionId, record);
  const { stdout, stderr } = await remote.exec(
    podId,
    launchScript({
      sessionId,
      folder: record.folder,
      cwd,
      key: randomToken(32),
      keptBytes: transcriptBytes,
    }),
    { ...options, timeoutSeconds: LAUNCH_SECONDS },
  );
  const [line = '', ...rest] = stdout.toString('utf8').split('\n');
  const [answer, terminal, size] = line.split(' ');
  if (answer === 'ok') {
    const opened: SessionRecord = {
      ...record,
      terminal: terminal === 'pipe' ? 'pipe' : 'pty',
      state: 'idle',
    };
    await store.sessions.put(sessionId, opened);
    return {
      sessionId,
      podId,
      state: 'idle',
      cwd,
      terminal: opened.terminal,
      reused: false,
      nextOffset: Number(size ?? 0),
    };
  }
  await remote.exec(podId, `rm -rf ${shellQuote(record.folder)}`, {
    ...options,
    timeoutSeconds: HOME_SECONDS,
  });
  await store.sessions.delete(sessionId);
  if (answer === 'no_cwd')
    throw new InputError('path_missing', 'There is no such folder on the pod.');
  if (answer === 'full')
    throw new RemoteError(
      'session_busy',
      `The pod has ${MAX_SESSIONS_PER_POD} open sessions, which is the most there may be.`,
      {
        hint: 'Close one with session_close, or reuse one: list_pods shows them.',
        foreignText: await openSessions(store, podId),
      },
    );
  if (isFull(stderr.toString('utf8')))
    throw new RemoteError('disk_full', 'The pod has no space left for a session.');
  throw new RemoteError('remote_failed', 'The pod could not start a shell.', {
    foreignText: quoteForeign(`${rest.join('\n')}\n${stderr.toString('utf8')}`),
  });
}

async function openSessions(store: EndedDeps['store'], podId: PodId): Promise<string> {
  const records = await store.sessions.list();
  return records
    .filter((one) => one.podId === podId && !isSessionOver(one))
    .map((one) => one.sessionId)
    .join(' ');
}
