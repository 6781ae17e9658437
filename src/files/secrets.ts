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

const IN_RUN = new Uint8Array(256);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-')
  IN_RUN[letter.charCodeAt(0)] = 1;

export interface SecretFinding {
  readonly kind: string;
  readonly line: number;
}

/** The first secret-like text in the chunks of one file. Feed in order; `finding` stays once set. Binary files too. */
export function createSecretScanner(): {
  add(chunk: Buffer): void;
  finding(): SecretFinding | undefined;
} {
  let tail = Buffer.alloc(0);
  let lines = 1;
  let found: SecretFinding | undefined;
  return {
    add(chunk) {
      if (found !== undefined) return;
      const bytes = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
      const first = firstSecret(bytes);
      if (first !== undefined)
        found = { kind: first.kind, line: lines + countLines(bytes, first.index) };
      const cut = Math.max(0, bytes.length - OVERLAP);
      lines += countLines(bytes, cut);
      tail = Buffer.from(bytes.subarray(cut));
    },
    finding: () => found,
  };
}

interface Found {
  readonly kind: string;
  readonly index: number;
}

function firstSecret(bytes: Buffer): Found | undefined {
  const inRun = firstInRuns(bytes);
  if (!bytes.includes(PRIVATE_KEY_WORDS)) return inRun;
  const index = bytes.toString('latin1').search(PRIVATE_KEY);
  if (index < 0 || (inRun !== undefined && inRun.index < index)) return inRun;
  return { kind: 'private key', index };
}

/** Looks at every twentieth byte alone until one may be in the middle of a run that is long enough: most data has none. */
function firstInRuns(bytes: Buffer): Found | undefined {
  const isIn = (at: number): boolean => IN_RUN[bytes[at] ?? 0] === 1;
  for (let probe = SHORTEST - 1; probe < bytes.length; ) {
    if (!isIn(probe)) {
      probe += SHORTEST;
      continue;
    }
    let start = probe;
    while (start > 0 && isIn(start - 1)) start -= 1;
    let end = probe + 1;
    while (end < bytes.length && isIn(end)) end += 1;
    const found = end - start < SHORTEST ? undefined : inRun(bytes.toString('latin1', start, end));
    if (found !== undefined) return { kind: found.kind, index: start + found.index };
    probe = end + SHORTEST;
  }
  return undefined;
}

function inRun(run: string): Found | undefined {
  let best: Found | undefined;
  for (const [kind, shape] of SHAPES) {
    const index = run.search(shape);
    if (index >= 0 && (best === undefined || index < best.index)) best = { kind, index };
  }
  return best;
}

/** Four bytes at a time: every byte of every file goes through here. */
function countLines(bytes: Buffer, end: number): number {
  const head = (4 - (bytes.byteOffset % 4)) % 4;
  if (end <= head) return countSlowly(bytes, 0, end);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + head, (end - head) >> 2);
  let count = countSlowly(bytes, 0, head);
  for (let index = 0; index < words.length; index += 1) {
    const mixed = (words[index] ?? 0) ^ 0x0a0a0a0a;
    // Not zero when one of the four is a line end.
    if (((mixed - 0x01010101) & ~mixed & 0x80808080) !== 0)
      count += countSlowly(bytes, head + 4 * index, head + 4 * index + 4);
  }
  return count + countSlowly(bytes, head + 4 * words.length, end);
}

function countSlowly(bytes: Buffer, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) if (bytes[at] === NEWLINE) count += 1;
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
