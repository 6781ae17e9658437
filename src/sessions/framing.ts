import { createHmac } from 'node:crypto';
import type { z } from 'zod';
import { wholeCharacters } from '../core/page.ts';
import type { sessionCommandSchema } from '../core/session.ts';
import { cleanTerminalText } from '../core/untrusted.ts';

/*
 * Marks that the shell puts into the transcript around each command: operating system commands of the terminal, which no
 * terminal shows. S: a command starts, T: its output starts, E: it ended with a status, X: the shell ended with a status.
 */
export const MARK = '7770';
const MARKS = /\x1b\]7770;([STEX]);([a-z0-9_]{1,60});([0-9a-f]{24})(?:;(\d{1,3}))?\x07/g;
/** Longer than any mark or escape sequence worth keeping whole. */
const MAX_SEQUENCE_BYTES = 200;

const MARK_START = `\x1b]${MARK};`;
const COMMAND_LINE_START = `\x1b]${MARK};S;`;
const COMMAND_LINE_END = `\x1b]${MARK};T;`;

export interface Mark {
  readonly kind: string;
  /** Command id; `exit` for X. */
  readonly id: string;
  readonly exitCode: number | undefined;
  /** Byte offsets in the transcript. */
  readonly start: number;
  readonly end: number;
}
export type SessionCommand = z.output<typeof sessionCommandSchema>;

/** The last one: each command has three marks, which are looked at more than once. */
let known = { key: '', id: '', nonce: '' };

/** The word that only marks of this command carry. `key` is the session's own secret. */
export function nonceOf(key: string, id: string): string {
  if (known.id !== id || known.key !== key || known.nonce === '')
    known = { key, id, nonce: createHmac('sha256', key).update(id).digest('hex').slice(0, 24) };
  return known.nonce;
}

/** Genuine marks in `bytes`, which start at `offset` of the transcript. Look-alikes with a wrong nonce are plain output. */
export function findMarks(bytes: Buffer, offset: number, key: string): readonly Mark[] {
  const marks: Mark[] = [];
  if (!bytes.includes(MARK_START)) return marks;
  const text = bytes.toString('latin1');
  for (const match of text.matchAll(MARKS)) {
    const [whole, kind = '', id = '', nonce = '', status] = match;
    if (nonce !== nonceOf(key, id)) continue;
    marks.push({
      kind,
      id,
      exitCode: status === undefined ? undefined : Number(status),
      start: offset + match.index,
      end: offset + match.index + whole.length,
    });
  }
  return marks;
}

/** What the marks say of each command, in order. The first end of a command is the one that counts. */
export function commandsOf(marks: readonly Mark[]): readonly SessionCommand[] {
  const commands = new Map<string, SessionCommand>();
  for (const { kind, id, exitCode } of marks) {
    if (kind === 'X') continue;
    const known = commands.get(id);
    if (known?.done === true) continue;
    if (kind === 'E')
      commands.set(id, {
        commandId: id,
        done: true,
        ...(exitCode === undefined ? {} : { exitCode }),
      });
    else if (known === undefined) commands.set(id, { commandId: id, done: false });
  }
  return [...commands.values()];
}

/**
 * How many of `bytes` make a page of at most `maxBytes`: never half a character, and no half escape sequence unless
 * there is nothing else. At least one byte where there is one, so that a reader always moves on.
 */
export function pageLength(bytes: Buffer, maxBytes: number, atEnd: boolean): number {
  const cut = bytes.subarray(0, maxBytes);
  const whole = wholeWithProgress(cut, bytes);
  if (atEnd && whole === bytes.length) return whole;
  const tail = Math.max(0, whole - MAX_SEQUENCE_BYTES);
  const escape = bytes.lastIndexOf(0x1b, whole - 1);
  if (escape <= 0 || escape < tail) return whole;
  return isWholeSequence(bytes.toString('latin1', escape, whole)) ? whole : escape;
}

function wholeWithProgress(cut: Buffer, bytes: Buffer): number {
  const whole = wholeCharacters(cut);
  if (cut.length === bytes.length || cut.length === 0) return whole;
  // A page smaller than its first character takes all of it.
  if (whole === cut.length && startsCharacter(cut) > cut.length)
    return Math.min(bytes.length, startsCharacter(cut));
  return whole;
}

function startsCharacter(bytes: Buffer): number {
  const first = bytes[0] ?? 0;
  return first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

function isWholeSequence(text: string): boolean {
  return /^\x1b(?:\][^\x07\x1b]*\x07|\[[0-?]*[ -/]*[@-~]|[^\][PX^_])/.test(text);
}

/** Transcript bytes for people and models: no marks, no escape codes, no typed line of ours, progress bars at their last state. */
export function cleanOutput(bytes: Buffer): string {
  const text = bytes
    .toString('utf8')
    .replace(/\x1b\]7770;[TEX];[^\x07]{1,120}\x07/g, '')
    .replace(/([^\n])(\x1b\]7770;S;)/g, '$1\n$2')
    // The line that starts a command, where a program switched the echo on again.
    .replace(/\x15? \. [^\r\n]{0,1024}\/c\/cmd_[a-z0-9]{16}'?\r?\n/g, '');
  // The shell names the file that holds the command in its messages. Bounded, since a line may be as long as a page.
  const named = text.includes('/.gpu-lease/sessions/')
    ? text.replace(
        /[^\s:]{0,256}\/\.gpu-lease\/sessions\/ses_[a-z0-9]{1,40}\/c\/cmd_[a-z0-9]{16}\.sh: /g,
        '',
      )
    : text;
  return cleanTerminalText(named);
}

/** Only what programs printed, without the command lines between: what a reader waits for is not the order to print it. */
export function programOutput(bytes: Buffer): string {
  const parts: Buffer[] = [];
  let from = 0;
  for (;;) {
    const start = bytes.indexOf(COMMAND_LINE_START, from);
    parts.push(bytes.subarray(from, start < 0 ? bytes.length : start));
    const end = start < 0 ? -1 : bytes.indexOf(COMMAND_LINE_END, start);
    if (end < 0) return cleanOutput(Buffer.concat(parts));
    from = end;
  }
}
