import type { CallOptions } from '../core/call.ts';
import { InputError, RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { DEFAULT_PAGE_BYTES, MAX_WAIT_SECONDS } from '../core/page.ts';
import type { Redactor } from '../core/redact.ts';
import type { SessionRecord, SessionWrite, SessionWritten } from '../core/session.ts';
import { type EndedDeps, fileEnd } from './ended.ts';
import { cleanOutput, nonceOf, pageLength } from './framing.ts';
import { KEY_BYTES, KEY_SIGNALS } from './keys.ts';
import { again } from './link.ts';
import { DELIVER_LIBRARY, deliverCall } from './pod-script/deliver.ts';
import { commandWrapper } from './pod-script/shell.ts';
import { type Watched, watch } from './watch.ts';
import type { Writers } from './writer.ts';

export const MAX_INPUT_BYTES = 256 * 1024;
/** Up to here the input travels inside the script, which saves a round of copying on the pod. */
const INLINE_BYTES = 16 * 1024;
/** A terminal that reads lines drops what is beyond 4,095 bytes of one. */
const MAX_LINE_BYTES = 4000;
const SHOWN_CHARS = 2000;
const DELIVER_SECONDS = 30;
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
  key: string,
  options: CallOptions,
): Promise<SessionWritten> {
  const writeId = `cmd_${randomToken(16)}`;
  if (request.secret && request.input !== undefined) {
    for (const value of secretsIn(request.input)) deps.redactor.add(value);
  }
  const [answer = '', ...words] = await deliver(deps, record, request, key, writeId, options);
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
      throw new RemoteError(
        'link_lost',
        'The link broke while the input was typed; it is not known whether it arrived.',
        { hint: 'Look with session_read before writing again.' },
      );
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
      isCommand: answer === 'command',
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

async function deliver(
  { remote, writers, link }: WriteDeps,
  { sessionId, podId, folder, terminal }: SessionRecord,
  request: SessionWrite,
  key: string,
  writeId: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const { input, newline, secret } = request;
  const text = input ?? (request.key === undefined ? '' : KEY_BYTES[request.key]);
  const inputBytes = Buffer.byteLength(text);
  const inline = inputBytes <= INLINE_BYTES;
  const signal = request.key === undefined ? undefined : KEY_SIGNALS[request.key];
  if (terminal === 'pipe' && request.key === 'ctrl-d')
    throw new InputError(
      'unsupported',
      'This session has no terminal, so it has no end of input.',
      {
        hint: 'Send key "ctrl-c", or give the input with a here-document.',
      },
    );
  const call = deliverCall({
    folder,
    writeId,
    // Only a whole line can be a command; keys and half lines go to the terminal as they are.
    ...(input !== undefined && newline && input.trim() !== ''
      ? {
          wrapper: commandWrapper({
            folder,
            commandId: writeId,
            nonce: nonceOf(key, writeId),
            shown: shown(input, secret),
          }),
        }
      : {}),
    inputBytes,
    ...(inline ? { input: text } : {}),
    seenTo: link.seenTo(sessionId),
    isText: input !== undefined,
    newline: newline && input !== undefined,
    secret,
    signal,
    isLongLine: text.split('\n').some((line) => Buffer.byteLength(line) > MAX_LINE_BYTES),
    isInterrupt: request.key === 'ctrl-c' || request.key === 'ctrl-\\',
  });
  // The same id both ways: what the writer carried out without telling is not typed again.
  const answer = inline ? await writers.ask(podId, writeId, call, options) : undefined;
  if (answer !== undefined && !isFull(answer)) return lastWords(answer);
  const { stdout, stderr } = await again(async () =>
    remote.exec(podId, `${DELIVER_LIBRARY}${call}`, {
      ...options,
      timeoutSeconds: DELIVER_SECONDS,
      ...(inline ? {} : { stdin: text }),
    }),
  );
  if (isFull(stderr.toString('utf8')))
    throw new RemoteError('disk_full', 'The pod has no space left for the command.');
  return lastWords(stdout.toString('utf8'));
}

function isFull(text: string): boolean {
  return /No space left|Disk quota/.test(text);
}

function lastWords(text: string): readonly string[] {
  return text.trim().split('\n').at(-1)?.split(' ') ?? [];
}

function shown(input: string, secret: boolean): string {
  if (secret) return '$ [secret input]';
  return input.length <= SHOWN_CHARS
    ? `$ ${input}`
    : `$ ${input.slice(0, SHOWN_CHARS)} [${input.length - SHOWN_CHARS} more characters]`;
}

async function answerOf(
  deps: WriteDeps,
  record: SessionRecord,
  watched: Watched,
  {
    offset,
    running,
    isCommand,
    typedTo,
  }: {
    readonly offset: number;
    readonly running: string | undefined;
    readonly isCommand: boolean;
    readonly typedTo: SessionWritten['typedTo'];
  },
  options: CallOptions,
): Promise<SessionWritten> {
  const { ended, shellEnded } = watched;
  const start = isCommand ? (watched.outputStart ?? offset) : offset;
  const end = ended?.outputEnd ?? watched.seenTo;
  const bytes = watched.head.subarray(start - offset, end - offset);
  const length = pageLength(bytes, DEFAULT_PAGE_BYTES, true);
  const all = start + length >= end;
  let over: SessionRecord | undefined;
  if (shellEnded) {
    const look = await deps.link.look(record, 0, 0, options);
    if (look.state === 'closed' || look.state === 'lost')
      over = await fileEnd(deps, record, look, options);
  }
  const exitCode = ended?.exitCode ?? over?.exitCode;
  return {
    sessionId: record.sessionId,
    state:
      over?.state ??
      (watched.unreachable
        ? 'unreachable'
        : ended === undefined && running !== undefined
          ? 'busy'
          : 'idle'),
    typedTo,
    ...(running === undefined ? {} : { commandId: running }),
    done: running === undefined || ended !== undefined || over !== undefined,
    ...(exitCode === undefined ? {} : { exitCode }),
    output: deps.redactor.redact(cleanOutput(bytes.subarray(0, length))),
    offset: start,
    nextOffset: all ? (ended?.after ?? end) : start + length,
    hasMore: !all,
  };
}
