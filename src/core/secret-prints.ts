import { Buffer } from 'node:buffer';
import { createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from './errors.ts';

export interface Span {
  readonly start: number;
  readonly end: number;
}
/** Enough to find a value in a text, not to say it. */
interface Print {
  readonly length: number;
  /** 16 bits of a rolling hash: what does not match needs no proof. */
  readonly rolling: number;
  readonly salt: string;
  readonly proof: string;
}

/** A longer value is known by its parts of this many bytes. */
const WINDOW_BYTES = 1024;
/** Lines of a longer value that are known alone, since a terminal changes what is between lines. */
const LINE_CHARS = 16;
const MAX_LINES = 200;
/** The last so many of the file count. */
const MAX_KEPT = 2000;
const BASE = 0x01000193;
const LINE = /^1 (\d{1,5}) (\d{1,5}) ([\w-]{22}) ([\w-]{43})$/;

/** Fingerprints of secret values, shared through an append-only file by all servers of one state folder. */
export class SecretPrints {
  readonly #byLength = new Map<number, Map<number, Print[]>>();
  #file: string | undefined;
  #readBytes = -1;
  longestBytes = 0;

  keepIn(file: string): void {
    this.#file = file;
  }

  /** Throws `state_unwritable`: a value that the next server would not know must not be used. */
  add(value: string): void {
    this.#refresh();
    const fresh = partsOf(value)
      .filter((part) => this.#matches(part, rollingOf(part)) === undefined)
      .map(printOf);
    if (fresh.length === 0) return;
    if (this.#file !== undefined) append(this.#file, fresh);
    for (const print of fresh) this.#take(print);
  }

  isEmpty(): boolean {
    this.#refresh();
    return this.#byLength.size === 0;
  }

  /** Where known values stand, in order, without overlaps. Linear in the bytes for each length of a value. */
  find(bytes: Buffer): readonly Span[] {
    this.#refresh();
    const spans: Span[] = [];
    for (const [length, known] of this.#byLength) this.#findOf(length, known, bytes, spans);
    return joined(spans);
  }

  #findOf(
    length: number,
    known: ReadonlyMap<number, readonly Print[]>,
    bytes: Buffer,
    spans: Span[],
  ): void {
    if (bytes.length < length) return;
    let weight = 1;
    for (let index = 1; index < length; index += 1) weight = Math.imul(weight, BASE);
    let hash = 0;
    for (let end = 1; end <= bytes.length; end += 1) {
      if (end > length) hash = (hash - Math.imul(bytes[end - length - 1] ?? 0, weight)) | 0;
      hash = (Math.imul(hash, BASE) + (bytes[end - 1] ?? 0)) | 0;
      if (end < length || !known.has(hash >>> 16)) continue;
      const start = end - length;
      if (this.#matches(bytes.subarray(start, end), hash >>> 16) !== undefined)
        spans.push({ start, end });
    }
  }

  #matches(part: Buffer, rolling: number): Print | undefined {
    return this.#byLength
      .get(part.length)
      ?.get(rolling)
      ?.find(({ salt, proof }) => proofOf(salt, part) === proof);
  }

  #take(print: Print): void {
    const known = this.#byLength.get(print.length) ?? new Map<number, Print[]>();
    this.#byLength.set(print.length, known);
    const alike = known.get(print.rolling) ?? [];
    known.set(print.rolling, [...alike.filter(({ proof }) => proof !== print.proof), print]);
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
        const [, length, rolling, salt = '', proof = ''] = LINE.exec(line) ?? [];
        if (salt === '' || Number(length) > WINDOW_BYTES) continue;
        this.#take({ length: Number(length), rolling: Number(rolling), salt, proof });
      }
    } catch {
      // The next call tries again.
    }
  }
}

function partsOf(value: string): readonly Buffer[] {
  const bytes = Buffer.from(value);
  const windows: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
    const start = Math.max(0, Math.min(at, bytes.length - WINDOW_BYTES));
    windows.push(bytes.subarray(start, start + WINDOW_BYTES));
  }
  const lines = value.includes('\n')
    ? value
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line.length >= LINE_CHARS && Buffer.byteLength(line) <= WINDOW_BYTES)
        .slice(0, MAX_LINES)
        .map((line) => Buffer.from(line))
    : [];
  return [...windows, ...lines];
}

function printOf(part: Buffer): Print {
  const salt = randomBytes(16).toString('base64url');
  return { length: part.length, rolling: rollingOf(part), salt, proof: proofOf(salt, part) };
}

function proofOf(salt: string, part: Buffer): string {
  return createHmac('sha256', salt).update(part).digest('base64url');
}

function rollingOf(part: Buffer): number {
  let hash = 0;
  for (const byte of part) hash = (Math.imul(hash, BASE) + byte) | 0;
  return hash >>> 16;
}

/** One write, begun on a new line: a line that a crash cut spoils no other. */
function append(file: string, prints: readonly Print[]): void {
  const lines = prints.map(
    ({ length, rolling, salt, proof }) => `\n1 ${length} ${rolling} ${salt} ${proof}`,
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
