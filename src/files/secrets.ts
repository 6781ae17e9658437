/** Kinds of secret by shape. The value itself is never kept or shown. */
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
  ['private key', /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/],
];
/** Longest shape that a cut between two chunks could hide. */
const OVERLAP = 256;

export interface SecretFinding {
  readonly kind: string;
  readonly line: number;
}

/** The first secret-like text in the chunks of one file. Feed in order; `finding` stays once set. Binary files too. */
export function createSecretScanner(): {
  add(chunk: Buffer): void;
  finding(): SecretFinding | undefined;
} {
  let tail = '';
  let lines = 1;
  let found: SecretFinding | undefined;
  return {
    add(chunk) {
      if (found !== undefined) return;
      const text = tail + chunk.toString('latin1');
      found = firstSecret(text, lines);
      const cut = Math.max(0, text.length - OVERLAP);
      lines += countLines(text, cut);
      tail = text.slice(cut);
    },
    finding: () => found,
  };
}

function firstSecret(text: string, firstLine: number): SecretFinding | undefined {
  let best: { readonly kind: string; readonly index: number } | undefined;
  for (const [kind, shape] of SHAPES) {
    const index = text.search(shape);
    if (index >= 0 && (best === undefined || index < best.index)) best = { kind, index };
  }
  if (best === undefined) return undefined;
  return { kind: best.kind, line: firstLine + countLines(text, best.index) };
}

function countLines(text: string, end: number): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < end; at = text.indexOf('\n', at + 1))
    count += 1;
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
