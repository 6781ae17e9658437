import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** What known_hosts files say about one host. */
export interface KnownHost {
  /** Base64 of public key blobs, each once. */
  readonly keys: readonly string[];
  readonly revoked: readonly string[];
}

/** The name under which ssh lists a host: "[host]:port" unless the port is 22. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/** Reads the person's files; nothing is ever written to them. Files that are not there say nothing. */
export async function readKnownHost(files: readonly string[], name: string): Promise<KnownHost> {
  const texts = await Promise.all(
    files.map(async (file) => readFile(file, 'utf8').catch(() => '')),
  );
  return findKnownHost(texts.join('\n'), name);
}

/**
 * Looks a name up: plain entries, patterns with "*", "?" and "!", hashed entries, @revoked. Lines of a @cert-authority say
 * nothing here, since host certificates are not checked. Pure.
 */
export function findKnownHost(text: string, name: string): KnownHost {
  const keys = new Set<string>();
  const revoked = new Set<string>();
  for (const line of text.split(/\r?\n/)) {
    const words = line.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
    const [hosts = '', type = '', key = ''] = words;
    if (hosts.startsWith('#') || !isKeyOf(type, key) || !lists(hosts, name)) continue;
    if (marker === undefined) keys.add(key);
    else if (marker === '@revoked') revoked.add(key);
  }
  return { keys: [...keys].filter((key) => !revoked.has(key)), revoked: [...revoked] };
}

/** Whether `key` is the base64 of a public key blob that calls itself `type`. */
function isKeyOf(type: string, key: string): boolean {
  if (type === '' || !/^[A-Za-z0-9+/]+=*$/.test(key)) return false;
  const blob = Buffer.from(key, 'base64');
  return blob.length > 4 && blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1') === type;
}

function lists(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) {
    const [, kind, salt = '', hash = ''] = hosts.split('|');
    if (kind !== '1') return false;
    const key = Buffer.from(salt, 'base64');
    return createHmac('sha1', key).update(name).digest('base64') === hash;
  }
  let found = false;
  for (const pattern of hosts.split(',')) {
    const isNegated = pattern.startsWith('!');
    if (!matches(name, (isNegated ? pattern.slice(1) : pattern).toLowerCase())) continue;
    if (isNegated) return false;
    found = true;
  }
  return found;
}

/** Glob with "*" and "?" alone, in linear time for any pattern. */
function matches(text: string, pattern: string): boolean {
  let at = 0;
  let from = 0;
  let star = -1;
  let mark = 0;
  while (at < text.length) {
    const wanted = pattern.charAt(from);
    if (wanted === '*') {
      star = from;
      mark = at;
      from += 1;
    } else if (wanted !== '' && (wanted === '?' || wanted === text.charAt(at))) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      from = star + 1;
      mark += 1;
      at = mark;
    } else return false;
  }
  while (pattern.charAt(from) === '*') from += 1;
  return from === pattern.length;
}
