import { Buffer } from 'node:buffer';

interface Place {
  readonly kind: string;
  /** Bytes before it. */
  readonly index: number;
}

/** Longer files of these kinds are data, not settings. */
export const MAX_SETTINGS_BYTES = 256 * 1024;
const SETTINGS_FILE =
  /\.(?:ya?ml|json|toml|ini|cfg|conf|properties|tfvars|env(?:\.\w+)?)$|(?:^|\/)(?:credentials|config)$/i;
const CODE_FILE = /\.(?:py|ipynb|sh|[cm]?[jt]s)$/i;
/** Where none of these stands is no key of AWS. */
const AWS_WORDS = ['ccess_key', 'CCESS_KEY', 'ccessKey'].map((word) => Buffer.from(word));
const AWS_KEY =
  /secret_?access_?key["']?\s{0,8}[:=,]\s{0,8}["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])/gi;
const AWS_KEY_BYTES = 40;
const IN_AWS_KEY = new Uint8Array(256);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+')
  IN_AWS_KEY[letter.charCodeAt(0)] = 1;
const SETTING =
  /^[ \t]*(?:[-{][ \t]*)?["']?[\w.-]{0,60}?(password|passwd|passphrase|client_?secret|secret_?key|api_?key|auth_?token|access_?token|bearer_?token)["']?[ \t]{0,8}[:=][ \t]{0,8}(?:"([^"\r\n]{12,200})"|'([^'\r\n]{12,200})'|([^\s"',{}[\]]{12,200}))(?=[ \t]*[,}]?[ \t]*(?:#[^\r\n]*)?\r?$)/gim;
/** In what people write where a secret will stand, and in the passwords of samples. */
const NO_VALUE =
  /test|example|sample|dummy|fake|mock|change|replace|your|insert|enter|here|secret|pass|admin|placeholder|default|local|demo|todo|none|null|foo|bar|xxx|\*\*|\.\.\.|1234|abcd|qwert|redacted|user|root|postgres|mysql|redis|minio|docker|dev/i;
/** Begins of what stands for a value that is elsewhere: variables, templates, tags, hashes, paths, addresses. */
const ELSEWHERE = /^(?:[$%&*!<>@|~./\\[({]|[a-z][a-z0-9+.-]*:)|[${<>]\{|\{\{|\$\(|%\(|:\/\//i;
const WORDS = /^[A-Za-z]*\d*(?:[._:/-]+[A-Za-z]*\d*)+$/;
const HASH = /^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/i;

/**
 * A secret that a setting gives away by its name, since its value has no shape of its own: keys of AWS, and passwords and
 * keys that no sample, no reference to a variable and no word of a translation looks like. A false alarm costs more here
 * than a weak password that passes.
 */
export function firstInSettings(file: string, bytes: Buffer): Place | undefined {
  if (bytes.length > MAX_SETTINGS_BYTES) return undefined;
  const isSettings = SETTINGS_FILE.test(file);
  const hasAws =
    (isSettings || CODE_FILE.test(file)) &&
    hasKeyRun(bytes) &&
    AWS_WORDS.some((word) => bytes.includes(word));
  if (!isSettings && !hasAws) return undefined;
  const text = bytes.toString('latin1');
  const found: Place[] = [];
  if (hasAws)
    for (const { 1: value = '', index } of text.matchAll(AWS_KEY))
      if (isMixed(value) && !/example/i.test(value)) {
        found.push({ kind: 'AWS secret key', index });
        break;
      }
  if (isSettings)
    for (const { 1: name = '', 2: double, 3: single, 4: bare = '', index } of text.matchAll(
      SETTING,
    ))
      if (isSecretValue(name, double ?? single ?? bare)) {
        found.push({ kind: 'password or key in a setting', index });
        break;
      }
  return found.toSorted((a, b) => a.index - b.index)[0];
}

/** Whether as many letters of a key of AWS stand side by side as one has: most bytes are never looked at. */
function hasKeyRun(bytes: Uint8Array): boolean {
  for (let end = AWS_KEY_BYTES - 1; end < bytes.length; ) {
    const start = end - AWS_KEY_BYTES + 1;
    let at = end;
    while (at >= start && IN_AWS_KEY[bytes[at] ?? 0] === 1) at -= 1;
    if (at < start) return true;
    end = at + AWS_KEY_BYTES;
  }
  return false;
}

function isSecretValue(name: string, value: string): boolean {
  if (/\s/.test(value) || NO_VALUE.test(value) || ELSEWHERE.test(value) || WORDS.test(value))
    return false;
  // Fixtures hold hashes of passwords.
  if (/^pass/i.test(name) && HASH.test(value)) return false;
  return (
    /\d/.test(value) &&
    /[A-Za-z]/.test(value) &&
    new Set(value).size >= 8 &&
    (value.length >= 20 || isMixed(value) || /[^A-Za-z0-9]/.test(value))
  );
}

function isMixed(value: string): boolean {
  return /[a-z]/.test(value) && /[A-Z]/.test(value) && /\d/.test(value);
}
