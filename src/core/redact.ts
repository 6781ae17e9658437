import { Buffer } from 'node:buffer';
import { SecretPrints, type Span } from './secret-prints.ts';

const PATTERNS: readonly RegExp[] = [
  /\b(?:hf|ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|rpa|rps)[_-][A-Za-z0-9_-]{16,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];
const WORD = '[redacted]';
/** What `maskBytes` leaves of a longer value. */
const PADDED = /\[redacted\]\*+/g;

/** Masks known secret values and what looks like one. One per app; values are added when they are first used. */
export class Redactor {
  readonly #prints = new SecretPrints();

  /**
   * From now on the values added are known to every server that names the same file, later ones too: it keeps salted
   * fingerprints, never a value.
   */
  remember(file: string): void {
    this.#prints.keepIn(file);
  }

  /** Short values would mask ordinary words, so they are not registered. Throws `state_unwritable`. */
  add(value: string | undefined): void {
    if (value !== undefined && value.length >= 6) this.#prints.add(value);
  }

  redact(text: string): string {
    let masked = this.#withoutKnown(text);
    for (const pattern of PATTERNS) masked = masked.replace(pattern, WORD);
    return masked.replace(PADDED, WORD);
  }

  /** A copy in which known values are masked and every byte keeps its place. */
  maskBytes(bytes: Buffer): Buffer {
    const masked = Buffer.from(bytes);
    for (const { start, end } of this.#prints.find(masked)) {
      masked.fill('*', start, end);
      if (end - start >= WORD.length) masked.write(WORD, start);
    }
    return masked;
  }

  /** A value that `maskBytes` looks for is at most this long: what is cut elsewhere must overlap by one byte less. */
  get longestBytes(): number {
    return this.#prints.longestBytes;
  }

  #withoutKnown(text: string): string {
    if (text.length < 6 || this.#prints.isEmpty()) return text;
    const bytes = Buffer.from(text);
    const spans = this.#prints.find(bytes);
    if (spans.length === 0) return text;
    let at = 0;
    const parts = spans.map(({ start, end }: Span) => {
      const before = bytes.toString('utf8', at, start);
      at = end;
      return `${before}${WORD}`;
    });
    return `${parts.join('')}${bytes.toString('utf8', at)}`;
  }
}
