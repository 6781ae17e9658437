import type { CallOptions } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { MAX_PAGE_BYTES, MAX_WAIT_SECONDS } from '../core/page.ts';
import type { SessionPage, SessionRead, SessionRecord, SessionState } from '../core/session.ts';
import { isSessionOver } from '../core/session-states.ts';
import { readArchive } from './archive.ts';
import { fileEnd } from './ended.ts';
import { cleanOutput, commandsOf, findMarks, pageLength, programOutput } from './framing.ts';
import { isUnreachable } from './link.ts';
import { within } from './wait.ts';
import { watch } from './watch.ts';
import type { WriteDeps } from './write.ts';

/** Read beyond the page, so that a character or a mark at its edge is seen whole. */
const MARGIN_BYTES = 256;
const QUIET_SECONDS = 0.15;
/** Beyond the time that the caller gives, for asking the pod. */
const LOOK_SECONDS = 7.5;
const LONGEST_LOOK_SECONDS = 18;
/** What the last look has at least, however long the first one took. */
const LAST_LOOK_SECONDS = 1;

interface Glance {
  readonly state: SessionState;
  /** The command that runs now, where one does and has a name. */
  readonly running?: string | undefined;
  readonly offset: number;
  readonly size: number;
  readonly key: string;
  readonly bytes: Buffer;
  /** The bytes right before these. */
  readonly before: Buffer;
}

export async function readSession(
  deps: WriteDeps,
  record: SessionRecord,
  request: SessionRead,
  cursor: number,
  keys: Map<string, string>,
  options: CallOptions,
): Promise<SessionPage> {
  const wanted = request.offset ?? cursor;
  const maxBytes = Math.min(Math.max(1, request.maxBytes), MAX_PAGE_BYTES);
  const seconds = Math.min(Math.max(0, request.waitSeconds), MAX_WAIT_SECONDS);
  const { until } = request;
  const before = deps.clock.now().getTime();
  const elapsed = (): number => (deps.clock.now().getTime() - before) / 1000;
  const lookSeconds = (): number =>
    Math.min(LONGEST_LOOK_SECONDS, Math.max(LAST_LOOK_SECONDS, seconds + LOOK_SECONDS - elapsed()));
  try {
    let seen = await glance(deps, record, wanted, maxBytes, keys, lookSeconds(), options);
    let matched = until !== undefined && programOutput(seen.bytes).includes(until);
    const over = seen.state === 'closed' || seen.state === 'lost';
    const enough = until === undefined ? seen.bytes.length > 0 : matched;
    if (!enough && !over && seconds > 0) {
      const watched = await watch(
        deps.link,
        deps.clock,
        {
          record,
          key: seen.key,
          offset: seen.offset,
          commandId: undefined,
          until,
          seconds: Math.max(Math.min(seconds, 1), seconds - elapsed()),
          quietSeconds: until === undefined ? QUIET_SECONDS : undefined,
        },
        options,
      );
      matched ||= watched.matched;
      seen = await glance(deps, record, seen.offset, maxBytes, keys, lookSeconds(), options);
    }
    return pageOf(deps, record, request, maxBytes, seen, until === undefined ? undefined : matched);
  } catch (failure) {
    const gone = isAppError(failure) && failure.code === 'pod_gone';
    if (!gone && !isUnreachable(failure)) throw failure;
    return {
      sessionId: record.sessionId,
      state: gone ? 'lost' : 'unreachable',
      output: '',
      offset: wanted,
      nextOffset: wanted,
      hasMore: !gone,
      ...(until === undefined ? {} : { matched: false }),
      commands: [],
    };
  }
}

/** What the pod, or the archive of an ended session, holds at `wanted`. An offset past the end is moved to the end. */
async function glance(
  deps: WriteDeps,
  record: SessionRecord,
  wanted: number,
  maxBytes: number,
  keys: Map<string, string>,
  seconds: number,
  options: CallOptions,
): Promise<Glance> {
  const now = (await deps.store.sessions.get(record.sessionId)) ?? record;
  const key = keys.get(record.sessionId) ?? '';
  if (isSessionOver(now)) {
    const none = Buffer.alloc(0);
    if (now.archivePath === undefined)
      return { state: now.state, offset: 0, size: 0, key, bytes: none, before: none };
    const from = Math.max(wanted, now.keptFrom ?? 0);
    // Masked when it came home.
    const { size, bytes } = await readArchive(now.archivePath, from, maxBytes + MARGIN_BYTES);
    return { state: now.state, offset: Math.min(from, size), size, key, bytes, before: none };
  }
  const { longestBytes } = deps.redactor;
  const lead = Math.min(wanted, longestBytes);
  const look = await within(
    seconds,
    options,
    async (given) =>
      deps.link.look(
        now,
        wanted - lead,
        lead + maxBytes + Math.max(MARGIN_BYTES, longestBytes),
        given,
      ),
    () => new RemoteError('ssh_unreachable', 'The machine does not answer.'),
  );
  if (look.key !== '-') keys.set(record.sessionId, look.key);
  if (look.state === 'closed' || look.state === 'lost') {
    const ended = await fileEnd(deps, now, look, options);
    if (ended.archivePath !== undefined)
      return glance(deps, ended, wanted, maxBytes, keys, seconds, options);
  }
  const first = Math.max(wanted - lead, look.keptFrom);
  // The transcript may have grown between its size and its bytes.
  const size = look.bytes.length === 0 ? look.size : Math.max(look.size, first + look.bytes.length);
  const from = Math.min(Math.max(wanted, look.keptFrom), size);
  const bytes = first > size ? Buffer.alloc(0) : look.bytes;
  const cut = Math.max(0, from - first);
  return {
    state: look.state,
    running: look.runningCommandId,
    offset: from,
    size,
    key: look.key,
    bytes: bytes.subarray(cut),
    before: bytes.subarray(0, cut),
  };
}

function pageOf(
  { redactor }: WriteDeps,
  { sessionId }: SessionRecord,
  { format }: SessionRead,
  maxBytes: number,
  { state, running, offset, size, key, bytes, before }: Glance,
  matched: boolean | undefined,
): SessionPage {
  const over = state === 'closed' || state === 'lost';
  const atEnd = offset + bytes.length >= size;
  // A character that is still being written waits for its rest, unless there will be none.
  const room =
    atEnd && over && bytes.length <= maxBytes ? bytes.length : pageLength(bytes, maxBytes, atEnd);
  const start = before.length;
  const masked = redactor.mask(Buffer.concat([before, bytes]), start);
  const end = masked.pageEnd(start, start + room, !(atEnd && over));
  const length = end - start;
  const page = bytes.subarray(0, length);
  const shown = masked.bytes.subarray(start, end);
  // What may be the beginning of a secret is more to read once its rest is there.
  const waits = length < room && room === bytes.length;
  return {
    sessionId,
    state,
    output: redactor.redact(format === 'raw' ? shown.toString('utf8') : cleanOutput(shown)),
    offset,
    nextOffset: offset + length,
    hasMore: offset + length < size && !waits,
    ...(matched === undefined ? {} : { matched }),
    // The end of a command may lie beyond the page: whether it runs is what the pod says.
    commands: commandsOf(findMarks(page, offset, key)).map((command) =>
      state === 'idle' || (running !== undefined && command.commandId !== running)
        ? { ...command, done: true }
        : command,
    ),
  };
}
