import { readFile, stat } from 'node:fs/promises';
import type { ParsedKey } from 'ssh2';
import { ConfigError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';

/** What a private key file on this machine is good for. `blob`: its public half, where that can be told. */
export type KeyFile =
  | {
      readonly kind: 'usable';
      readonly path: string;
      readonly key: ParsedKey;
      readonly blob: Buffer;
    }
  /** It has a passphrase, or only its public half is here: the agent may hold the key. */
  | { readonly kind: 'locked'; readonly path: string; readonly blob: Buffer | undefined }
  /** Others may read it: ssh refuses such a key, and so do we. */
  | { readonly kind: 'exposed'; readonly path: string; readonly blob: Buffer | undefined }
  | { readonly kind: 'unusable'; readonly path: string }
  | { readonly kind: 'missing'; readonly path: string };

const OPENSSH_MAGIC = 'openssh-key-v1\0';

/** Reads one key file. Never throws, never keeps a passphrase: there is none to give. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const { default: ssh2 } = await import('ssh2');
  const [text, stats, beside] = await Promise.all([
    readFile(path).catch(() => undefined),
    stat(path).catch(() => undefined),
    readFile(`${path}.pub`, 'utf8').catch(() => ''),
  ]);
  const besideBlob = blobOf(ssh2.utils.parseKey(beside));
  if (text === undefined || stats === undefined)
    return besideBlob === undefined
      ? { kind: 'missing', path }
      : { kind: 'locked', path, blob: besideBlob };
  const parsed: unknown = ssh2.utils.parseKey(text);
  const key = firstKey(ssh2.utils.parseKey(text));
  if (key !== undefined && !key.isPrivateKey())
    return { kind: 'locked', path, blob: key.getPublicSSH() };
  // The same rule as ssh: only of a key that is ours can we say who else may read it.
  const isExposed = stats.uid === process.getuid?.() && (stats.mode & 0o077) !== 0;
  if (isExposed) return { kind: 'exposed', path, blob: key?.getPublicSSH() ?? besideBlob };
  if (key !== undefined) return { kind: 'usable', path, key, blob: key.getPublicSSH() };
  const isLocked =
    (parsed instanceof Error && parsed.message.startsWith('Encrypted ')) ||
    text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----');
  return isLocked
    ? { kind: 'locked', path, blob: besideBlob ?? publicHalfOf(text.toString('latin1')) }
    : { kind: 'unusable', path };
}

/** An OpenSSH key file may hold several keys, though none is ever written so; the first one counts. */
function firstKey(parsed: unknown): ParsedKey | undefined {
  const one: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return isKey(one) ? one : undefined;
}

function isKey(value: unknown): value is ParsedKey {
  return typeof value === 'object' && value !== null && 'getPublicSSH' in value;
}

function blobOf(parsed: unknown): Buffer | undefined {
  return firstKey(parsed)?.getPublicSSH();
}

/** The public key stands in clear in OpenSSH's own format, before what the passphrase protects. */
function publicHalfOf(text: string): Buffer | undefined {
  const inner = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]+)-----/.exec(text)?.[1];
  if (inner === undefined) return undefined;
  const bytes = Buffer.from(inner, 'base64');
  if (bytes.toString('latin1', 0, OPENSSH_MAGIC.length) !== OPENSSH_MAGIC) return undefined;
  let at = OPENSSH_MAGIC.length;
  const next = (): Buffer | undefined => {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    const field = end <= bytes.length ? bytes.subarray(at + 4, end) : undefined;
    at = end;
    return field;
  };
  // Cipher, key derivation and its options, the number of keys, then the first public key.
  for (let skipped = 0; skipped < 3; skipped += 1) if (next() === undefined) return undefined;
  at += 4;
  return next();
}

/** Says exactly what the person must do with a key that cannot be used. */
export function keyProblem(
  file: Exclude<KeyFile, { kind: 'usable' }>,
  agent: 'answers' | 'silent' | 'absent',
): ConfigError {
  const path = shellQuote(file.path);
  switch (file.kind) {
    case 'exposed':
      return new ConfigError('key_unusable', 'Other users can read this private key.', {
        hint: `Ask the user to run: chmod 600 ${path}`,
      });
    case 'locked':
      return new ConfigError(
        'key_unusable',
        agent === 'answers'
          ? 'This SSH key has a passphrase, and the SSH agent does not hold it.'
          : `This SSH key has a passphrase, and ${agent === 'absent' ? 'there is no SSH agent' : 'the SSH agent does not answer'}.`,
        {
          hint:
            agent === 'answers'
              ? `Ask the user to run: ssh-add ${path}`
              : `Ask the user to start an agent (eval "$(ssh-agent)"), to run: ssh-add ${path} and to tell this server of it: SSH_AUTH_SOCK in "env" of its MCP entry, or IdentityAgent in ~/.ssh/config.`,
        },
      );
    case 'unusable':
      return new ConfigError('key_unusable', 'The SSH private key cannot be used.', {
        hint: `It must be an OpenSSH or PEM private key. Ask the user to look at: ${path}`,
      });
    case 'missing':
      return new ConfigError('config_missing', 'The SSH private key cannot be read.', {
        hint: 'Check keyPath of the profile, IdentityFile in ~/.ssh/config, or GPU_LEASE_SSH_KEY.',
      });
  }
}
