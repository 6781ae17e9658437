import type { Buffer } from 'node:buffer';
import { createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from './errors.ts';
import { WINDOW_BYTES } from './secret-forms.ts';

export interface Span {
  readonly start: number;
  readonly end: number;
}
/** Enough to find a value in a text, not to say it. */
interface Print {
  readonly length: number;
  /** 16 bits of a rolling hash of its first bytes: what does not match needs no proof. */
  readonly head: number;
  readonly salt: string;
  readonly proof: string;
}

/** The last so many of the file count. */
const MAX_KEPT = 10_000;
/** The first bytes of every print: one pass over a text finds where any of them may begin. Shorter values are not taken. */
export const HEAD_BYTES = 6;
const BASE = 0x01000193;
/** What a byte that leaves the window weighs. */
const LEAVING = Array.from({ length: HEAD_BYTES }).reduce<number>(
  (weight) => Math.imul(weight, BASE),
  1,
);
const LINE = /^2 (\d{1,5}) (\d{1,5}) ([\w-]{22}) ([\w-]{43})$/;

/** Fingerprints of secret values, shared through an append-only file by all servers of one state folder. */
export class SecretPrints {
  /** By the hash of their heads. */
  readonly #known = new Map<number, Print[]>();
  readonly #isHead = new Uint8Array(1 << 16);
  #file: string | undefined;
  #readBytes = -1;
  longestBytes = 0;

  keepIn(file: string): void {
    this.#file = file;
  }

  /** Each of at least `HEAD_BYTES`. Throws `state_unwritable`: a value that the next server would not know must not be used. */
  add(parts: readonly Buffer[]): void {
    this.#refresh();
    const fresh = parts
      .filter((part) => this.#matches(part, 0, headOf(part)).length === 0)
      .map(printOf);
    if (fresh.length === 0) return;
    if (this.#file !== undefined) append(this.#file, fresh);
    for (const print of fresh) this.#take(print);
  }

  isEmpty(): boolean {
    this.#refresh();
    return this.#known.size === 0;
  }

  /** Where known values stand, in order, without overlaps. Linear in the bytes, however many values there are. */
  find(bytes: Buffer): readonly Span[] {
    if (this.isEmpty()) return [];
    const spans: Span[] = [];
    let hash = 0;
    for (let end = 1; end <= bytes.length; end += 1) {
      hash = (Math.imul(hash, BASE) + (bytes[end - 1] ?? 0)) | 0;
      if (end > HEAD_BYTES)
        hash = (hash - Math.imul(bytes[end - 1 - HEAD_BYTES] ?? 0, LEAVING)) | 0;
      if (end < HEAD_BYTES || this.#isHead[hash >>> 16] === 0) continue;
      const start = end - HEAD_BYTES;
      for (const { length } of this.#matches(bytes, start, hash >>> 16))
        spans.push({ start, end: start + length });
    }
    return joined(spans);
  }

  /** Those that stand in `bytes` at `start`. */
  #matches(bytes: Buffer, start: number, head: number): readonly Print[] {
    return (this.#known.get(head) ?? []).filter(
      ({ length, salt, proof }) =>
        start + length <= bytes.length &&
        proofOf(salt, bytes.subarray(start, start + length)) === proof,
    );
  }

  #take(print: Print): void {
    const alike = this.#known.get(print.head) ?? [];
    this.#known.set(print.head, [...alike.filter(({ proof }) => proof !== print.proof), print]);
    this.#isHead[print.head] = 1;
    this.longestBytes = Math.max(this.longestBytes, print.length);
  }

  /** Takes what other servers added. A file that cannot be read adds nothing. */
  #refresh(): void {
    if (this.#file === undefined) return;
    try {
      const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      if (size === this.#readBytes || size === 0) return;
      const text = readFileSync(this.#file, 'utf8');
      this.#readBytes = size;
      for (const line of text.split('\n').slice(-MAX_KEPT - 1)) {
        const [, length, head, salt = '', proof = ''] = LINE.exec(line) ?? [];
        if (salt === '' || Number(length) > WINDOW_BYTES || Number(head) > 0xffff) continue;
        this.#take({ length: Number(length), head: Number(head), salt, proof });
      }
    } catch {
      // The next call tries again.
    }
  }
}

function printOf(part: Buffer): Print {
  const salt = randomBytes(16).toString('base64url');
  return { length: part.length, head: headOf(part), salt, proof: proofOf(salt, part) };
}

function proofOf(salt: string, part: Buffer): string {
  return createHmac('sha256', salt).update(part).digest('base64url');
}

function headOf(part: Buffer): number {
  let hash = 0;
  for (const byte of part.subarray(0, HEAD_BYTES)) hash = (Math.imul(hash, BASE) + byte) | 0;
  return hash >>> 16;
}

/** One write, begun on a new line: a line that a crash cut spoils no other. */
function append(file: string, prints: readonly Print[]): void {
  const lines = prints.map(
    ({ length, head, salt, proof }) => `\n2 ${length} ${head} ${salt} ${proof}`,
  );
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    appendFileSync(file, `${lines.join('')}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new ConfigError(
      'state_unwritable',
      'What masks a secret cannot be kept on this machine.',
      {
        cause,
      },
    );
  }
}

function joined(spans: readonly Span[]): readonly Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && span.start <= last.end)
      result[result.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    else result.push(span);
  }
  return result;
}
