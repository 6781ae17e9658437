import { Buffer } from 'node:buffer';
import { formsOf } from './secret-forms.ts';
import { HEAD_BYTES, SecretPrints, type Span } from './secret-prints.ts';

const PATTERNS: readonly RegExp[] = [
  /\b(?:hf|ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|rpa|rps)[_-][A-Za-z0-9_-]{16,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];
const WORD = '[redacted]';
/** What `maskBytes` leaves of a longer value. */
const PADDED = /\[redacted\]\*+/g;
/** What a quotation that was cut short ends with. */
const CUT = /… \[\d{1,12} (?:more characters|characters left out)\]/g;
/** A value of which less than this was printed so far is not waited for: prompts end like that. */
const OPEN_BYTES = 4;

/** Bytes of a page and around it, known values masked in their place. */
export interface MaskedBytes {
  readonly bytes: Buffer;
  /**
   * Where a page from `start` that may reach to `end` ends: before a known value that goes on behind it. `isLive`: more
   * bytes may come, so what may be the beginning of a value is not shown yet. `start` only where all of it must wait.
   */
  pageEnd(start: number, end: number, isLive: boolean): number;
}

/**
 * Masks known secret values, also in the usual codes, and what looks like one. One per app; values are added when they
 * are first used.
 */
export class Redactor {
  readonly #prints = new SecretPrints();
  /** Of values that were added here, by their text: what a beginning is seen by. */
  readonly #forms = new Map<string, readonly Buffer[]>();

  /**
   * From now on the values added are known to every server that names the same file, later ones too: it keeps salted
   * fingerprints, never a value.
   */
  remember(file: string): void {
    this.#prints.keepIn(file);
  }

  /** Short values would mask ordinary words, so they are not registered. Throws `state_unwritable`. */
  add(value: string | undefined): void {
    if (value === undefined || !isMaskable(value)) return;
    const forms = formsOf(value);
    this.#prints.add(forms);
    this.#forms.set(value, forms);
  }

  redact(text: string): string {
    return withoutPatterns(this.#withoutKnown(text, () => this.#prints.isEmpty()));
  }

  /** The same of every text in a value, names of fields too. What other servers know is looked up once for all. */
  redactAll(value: unknown): unknown {
    const isEmpty = this.#prints.isEmpty();
    const redact = (text: string): string =>
      withoutPatterns(this.#withoutKnown(text, () => isEmpty));
    const each = (part: unknown): unknown => {
      if (typeof part === 'string') return redact(part);
      if (Array.isArray(part)) return part.map(each);
      if (typeof part !== 'object' || part === null) return part;
      return Object.fromEntries(
        Object.entries(part).map(([name, item]) => [redact(name), each(item)]),
      );
    };
    return each(value);
  }

  /** A copy in which known values are masked and every byte keeps its place. */
  maskBytes(bytes: Buffer): Buffer {
    return this.mask(bytes).bytes;
  }

  /** The same, of bytes that are shown from `start` on. */
  mask(whole: Buffer, start = 0): MaskedBytes {
    const bytes = Buffer.from(whole);
    const spans = this.#prints.find(bytes);
    for (const { start: from, end } of spans) {
      bytes.fill('*', from, end);
      if (from >= start && end - from >= WORD.length) bytes.write(WORD, from);
    }
    return {
      bytes,
      pageEnd: (at, end, isLive) => {
        const across = spans.find((span) => span.start < end && span.end > end);
        if (across !== undefined) return across.start > at ? across.start : end;
        if (!isLive || end < whole.length) return end;
        return Math.max(at, this.#openFrom(whole));
      },
    };
  }

  /** A value that `maskBytes` looks for is at most this long: what is cut elsewhere must overlap by one byte less. */
  get longestBytes(): number {
    return this.#prints.longestBytes;
  }

  /** Where at the end of `bytes` a known value may have begun; their length where none has. */
  #openFrom(bytes: Buffer): number {
    let open = bytes.length;
    for (const form of [...this.#forms.values()].flat()) {
      const head = form.subarray(0, OPEN_BYTES);
      let at = bytes.indexOf(head, Math.max(0, bytes.length - form.length + 1));
      while (at >= 0 && at < open) {
        if (form.subarray(0, bytes.length - at).equals(bytes.subarray(at))) open = at;
        at = bytes.indexOf(head, at + 1);
      }
    }
    return open;
  }

  #withoutKnown(text: string, isNoneKnown: () => boolean): string {
    if (text.length < HEAD_BYTES || isNoneKnown()) return text;
    const bytes = Buffer.from(text);
    const spans = [...this.#prints.find(bytes), ...this.#cutOff(text)].toSorted(
      (a, b) => a.start - b.start,
    );
    if (spans.length === 0) return text;
    let at = 0;
    const parts = spans.map(({ start, end }: Span) => {
      const before = bytes.toString('utf8', at, start);
      at = Math.max(at, end);
      return `${before}${WORD}`;
    });
    return `${parts.join('')}${bytes.toString('utf8', at)}`;
  }

  /** Beginnings of known values where a quotation was cut short. */
  #cutOff(text: string): readonly Span[] {
    return [...text.matchAll(CUT)].flatMap(({ index }) => {
      const before = Buffer.from(text.slice(0, index));
      const start = this.#openFrom(before);
      return start < before.length ? [{ start, end: before.length }] : [];
    });
  }
}

function withoutPatterns(text: string): string {
  if (text.length <= WORD.length) return text;
  let masked = text;
  for (const pattern of PATTERNS) masked = masked.replace(pattern, WORD);
  return masked.replace(PADDED, WORD);
}

/** Whether a value is long enough to be told from ordinary words. */
export function isMaskable(value: string): boolean {
  return value.length >= HEAD_BYTES;
}
