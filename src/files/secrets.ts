import { firstInSettings } from './secret-settings.ts';

/** Kinds of secret by shape. The value itself is never kept or shown. Each is one run of letters, digits, `_` and `-`. */
const SHAPES: readonly (readonly [string, RegExp])[] = [
  ['Hugging Face token', /\bhf_[A-Za-z0-9]{20,}/],
  ['GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})/],
  ['AWS access key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['RunPod key', /\brp[as]_[A-Za-z0-9]{20,}/],
  ['API key', /\bsk-(?:(?:ant|proj|or|svcacct)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})/],
  ['Slack token', /\bxox[abprs]-[A-Za-z0-9-]{16,}/],
  ['GitLab token', /\bglpat-[A-Za-z0-9_-]{16,}/],
  ['Google key', /\bAIza[0-9A-Za-z_-]{35}/],
  ['npm token', /\bnpm_[A-Za-z0-9]{30,}/],
];
/** The shortest of them. */
const SHORTEST = 20;
const PRIVATE_KEY = /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/;
const PRIVATE_KEY_WORDS = Buffer.from('PRIVATE KEY-----');
/** Longest shape that a cut between two chunks could hide. */
const OVERLAP = 256;
const NEWLINE = 0x0a;

const IN_RUN = 1;
/** What a line that begins a private key is of: it has more bytes than `SHORTEST`, and a space after at most `BEFORE_SPACE`. */
const IN_KEY = 2;
const BEFORE_SPACE = '-----BEGIN'.length;
const KINDS = new Uint8Array(256);
const RUNS = new Uint8Array(256);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ- ') KINDS[letter.charCodeAt(0)] = IN_KEY;
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-') {
  const byte = letter.charCodeAt(0);
  KINDS[byte] = (KINDS[byte] ?? 0) | IN_RUN;
  RUNS[byte] = IN_RUN;
}

export interface SecretFinding {
  readonly kind: string;
  readonly line: number;
}
interface SecretPlace {
  readonly kind: string;
  /** Bytes before it. */
  readonly at: number;
}

/**
 * The first secret-like text in the chunks of one file, which may tell by its name that it holds settings. Feed in order;
 * `finding` stays once set. Binary files too.
 */
export function createSecretScanner(file = ''): {
  add(chunk: Buffer): void;
  finding(): SecretPlace | undefined;
} {
  let tail = Buffer.alloc(0);
  let before = 0;
  let found: SecretPlace | undefined;
  return {
    add(chunk) {
      if (found !== undefined) return;
      // Where two chunks meet is looked at on its own: nothing large is copied.
      const seam =
        tail.length === 0 ? undefined : Buffer.concat([tail, chunk.subarray(0, OVERLAP)]);
      const inSeam = seam === undefined ? undefined : firstSecret(seam);
      if (inSeam !== undefined)
        found = { kind: inSeam.kind, at: before - tail.length + inSeam.index };
      const first = before === 0 ? firstIn(file, chunk) : firstSecret(chunk);
      if (first !== undefined && (found === undefined || before + first.index < found.at))
        found = { kind: first.kind, at: before + first.index };
      tail =
        chunk.length >= OVERLAP
          ? Buffer.from(chunk.subarray(chunk.length - OVERLAP))
          : Buffer.concat([tail, chunk]).subarray(-OVERLAP);
      before += chunk.length;
    },
    finding: () => found,
  };
}

/** The same of a file that is here whole. */
export function secretIn(file: string, content: Buffer): SecretPlace | undefined {
  const found = firstIn(file, content);
  return found && { kind: found.kind, at: found.index };
}

function firstIn(file: string, bytes: Buffer): Found | undefined {
  return earlier(firstSecret(bytes), firstInSettings(file, bytes));
}

function earlier(one: Found | undefined, other: Found | undefined): Found | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.index < one.index ? other : one;
}

interface Found {
  readonly kind: string;
  readonly index: number;
}

function firstSecret(bytes: Buffer): Found | undefined {
  const { inRun, mayHoldKey } = firstInRuns(bytes);
  if ((inRun === undefined && !mayHoldKey) || !bytes.includes(PRIVATE_KEY_WORDS)) return inRun;
  const index = bytes.toString('latin1').search(PRIVATE_KEY);
  if (index < 0 || (inRun !== undefined && inRun.index < index)) return inRun;
  return { kind: 'private key', index };
}

/**
 * From the end of what would be the shortest secret back to the first byte that cannot be in one, then on from there: most
 * bytes are never looked at. Every byte of every file goes through here. `mayHoldKey`: so far as it looked, which is to the
 * end when there is none in a run.
 */
function firstInRuns(bytes: Uint8Array): {
  readonly inRun: Found | undefined;
  readonly mayHoldKey: boolean;
} {
  let mayHoldKey = false;
  // Once there may be a key, nobody needs to know of another.
  let kinds = KINDS;
  for (let end = SHORTEST - 1; end < bytes.length; ) {
    // Two at once: what is read ahead need not be thrown away for one byte in four.
    let kind = (kinds[bytes[end] ?? 0] ?? 0) & (kinds[bytes[end - 1] ?? 0] ?? 0);
    if (kind === 0) {
      end += SHORTEST - 1;
      continue;
    }
    const start = end - SHORTEST + 1;
    let at = end - 2;
    let next = kind;
    while (at >= start && (next &= kinds[bytes[at] ?? 0] ?? 0) !== 0) {
      kind = next;
      at -= 1;
    }
    if (at >= start) {
      end = at + SHORTEST;
      continue;
    }
    if ((kind & IN_KEY) !== 0) {
      mayHoldKey = true;
      kinds = RUNS;
    }
    if ((kind & IN_RUN) === 0) continue;
    while (end < bytes.length && RUNS[bytes[end] ?? 0] === IN_RUN) end += 1;
    const found = inRun(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
    if (found !== undefined)
      return { inRun: { kind: found.kind, index: start + found.index }, mayHoldKey };
    // The line of a key may have begun in it.
    end += mayHoldKey ? SHORTEST : SHORTEST - 1 - BEFORE_SPACE;
  }
  return { inRun: undefined, mayHoldKey };
}

function inRun(run: string): Found | undefined {
  let best: Found | undefined;
  for (const [kind, shape] of SHAPES) {
    const index = run.search(shape);
    if (index >= 0 && (best === undefined || index < best.index)) best = { kind, index };
  }
  return best;
}

/** Line ends in `bytes`. */
export function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** Files whose name alone says that they hold secrets. Samples such as `.env.example` are ordinary files. */
export function secretByName(name: string): string | undefined {
  if (/^\.env(?:\.(?!(?:example|sample|template|dist)$).+)?$/i.test(name))
    return 'environment file';
  if (/^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/.test(name)) return 'private key';
  if (/^(?:\.netrc|\.pgpass|\.npmrc|\.pypirc|\.git-credentials|credentials\.json)$/.test(name))
    return 'credentials file';
  if (/\.(?:key|p12|pfx|ppk)$/i.test(name)) return 'private key';
  return undefined;
}
