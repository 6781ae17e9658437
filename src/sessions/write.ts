import type { CallOptions } from '../core/call.ts';
import { InputError, RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { DEFAULT_PAGE_BYTES, MAX_WAIT_SECONDS } from '../core/page.ts';
import type { Redactor } from '../core/redact.ts';
import type { SessionRecord, SessionWrite, SessionWritten } from '../core/session.ts';
import { type EndedDeps, fileEnd } from './ended.ts';
import { cleanOutput, pageLength } from './framing.ts';
import { isUnreachable, lookSoon } from './link.ts';
import { deliver, unknownOutcome } from './typing.ts';
import { type Watched, watch } from './watch.ts';
import type { Writers } from './writer.ts';

export const MAX_INPUT_BYTES = 256 * 1024;
const QUIET_SECONDS = 0.5;

export type WriteDeps = EndedDeps & { readonly redactor: Redactor; readonly writers: Writers };

/** Throws `invalid_input` and `too_large`. */
export function checkWrite({ input, key, newline }: SessionWrite): void {
  if ((input === undefined) === (key === undefined))
    throw new InputError('invalid_input', 'Give exactly one of input and key.');
  if (input === undefined) return;
  if (input.includes('\0'))
    throw new InputError('invalid_input', 'The input holds a NUL character.', {
      hint: 'Remove it. Binary data goes to a pod with sync_files.',
    });
  if (input === '' && !newline)
    throw new InputError('invalid_input', 'An empty input without newline does nothing.');
  if (Buffer.byteLength(input) > MAX_INPUT_BYTES)
    throw new InputError('too_large', 'The input is over 256 KiB.');
}

/** Delivers one write exactly once and waits for what comes of it. */
export async function writeSession(
  deps: WriteDeps,
  record: SessionRecord,
  request: SessionWrite,
  { key, startedAt }: { readonly key: string; readonly startedAt: number },
  options: CallOptions,
): Promise<SessionWritten> {
  const writeId = `cmd_${randomToken(16)}`;
  if (request.secret && request.input !== undefined) {
    for (const value of secretsIn(request.input)) deps.redactor.add(value);
  }
  const [answer = '', ...words] = await deliver(
    deps,
    record,
    request,
    { key, writeId, startedAt },
    options,
  );
  const offset = Number(words.at(-1) ?? 0);
  switch (answer) {
    case 'command':
    case 'typed':
      break;
    case 'closed':
      throw new RemoteError('session_closed', 'The shell of this session has ended.');
    case 'lost':
    case 'gone':
      throw new RemoteError('session_lost', 'The shell of this session is gone.');
    case 'long_line':
      throw new InputError('too_large', 'The running program reads lines of at most 4,000 bytes.', {
        hint: 'Break the input into shorter lines, or give the program a file made with sync_files.',
      });
    case 'unread':
      throw new RemoteError('session_busy', 'A command is running and reads no input.', {
        hint: 'Nothing was typed. Wait for its end with session_read and waitSeconds, or press key "ctrl-c".',
      });
    case 'locked':
      throw new RemoteError('session_busy', 'Another write to this session is still being typed.');
    default:
      throw unknownOutcome();
  }
  const running = answer === 'command' ? writeId : words[0] === '-' ? undefined : words[0];
  const watched = await watch(
    deps.link,
    deps.clock,
    {
      record,
      key,
      offset,
      commandId: running,
      until: undefined,
      seconds: waitSeconds(request, running),
      quietSeconds: answer === 'command' ? undefined : QUIET_SECONDS,
    },
    options,
  );
  return answerOf(
    deps,
    record,
    watched,
    {
      offset,
      running,
      typedTo: words[1] === 'program' ? 'program' : 'shell',
    },
    options,
  );
}

/** The whole input, and what it gives to variables: their values come back alone. */
function secretsIn(input: string): readonly string[] {
  const given = input.matchAll(/(?:^|[\s;&])[A-Za-z_]\w*=(?:'([^']*)'|"([^"]*)"|([^\s;&'"]+))/g);
  return [
    input,
    input.trim(),
    ...Array.from(given, ([, single, double, plain]) => single ?? double ?? plain ?? ''),
  ];
}

/** With no command running there is no end to wait for, only an echo. */
function waitSeconds(request: SessionWrite, running: string | undefined): number {
  const wanted = Math.min(Math.max(0, request.waitSeconds), MAX_WAIT_SECONDS);
  return running === undefined ? Math.min(wanted, 1) : wanted;
}

async function answerOf(
  deps: WriteDeps,
  record: SessionRecord,
  watched: Watched,
  {
    offset,
    running,
    typedTo,
  }: {
    readonly offset: number;
    readonly running: string | undefined;
    readonly typedTo: SessionWritten['typedTo'];
  },
  options: CallOptions,
): Promise<SessionWritten> {
  const { ended, shellEnded } = watched;
  // What was typed to a command that had only just begun comes after its command line too.
  const start = watched.outputStart ?? offset;
  const end = ended?.outputEnd ?? watched.seenTo;
  const bytes = watched.head.subarray(start - offset, end - offset);
  const room = pageLength(bytes, DEFAULT_PAGE_BYTES, true);
  const masked = deps.redactor.mask(bytes);
  // What may be the beginning of a secret waits for its rest.
  const length = masked.pageEnd(0, room, ended === undefined && !shellEnded);
  const all = start + room >= end;
  let over: SessionRecord | undefined;
  let { unreachable } = watched;
  if (shellEnded) {
    // What was typed has run: a link that breaks now must not say otherwise.
    const look = await lookSoon(deps.link, record, options).catch((failure: unknown) => {
      if (!isUnreachable(failure)) throw failure;
      unreachable = true;
    });
    if (look?.state === 'closed' || look?.state === 'lost')
      over = await fileEnd(deps, record, look, options);
  }
  const exitCode = ended?.exitCode ?? over?.exitCode;
  return {
    sessionId: record.sessionId,
    state:
      over?.state ??
      (unreachable
        ? 'unreachable'
        : ended === undefined && running !== undefined
          ? 'busy'
          : 'idle'),
    typedTo,
    ...(running === undefined ? {} : { commandId: running }),
    done: running === undefined || ended !== undefined || over !== undefined,
    ...(exitCode === undefined ? {} : { exitCode }),
    output: deps.redactor.redact(cleanOutput(masked.bytes.subarray(0, length))),
    offset: start,
    nextOffset: all && length === room ? (ended?.after ?? end) : start + length,
    hasMore: !all,
  };
}
