import { link, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import type { SshIdentity } from '../core/machine.ts';
import { makePrivateFolder } from '../core/private-folder.ts';

/**
 * Our key pair: `keyPath` where the person named one, else `<home>/ssh/id_ed25519`, made on first use (0600, one winner
 * however many processes start at once). Throws `config_missing` for a named key that cannot be used and
 * `state_unwritable` where ours cannot be made.
 */
export function createSshIdentity({
  home,
  keyPath,
}: {
  readonly home: string;
  readonly keyPath?: string | undefined;
}): SshIdentity {
  const file = keyPath ?? path.join(home, 'ssh', 'id_ed25519');
  return {
    keyPath: file,
    async publicKey() {
      if (keyPath === undefined && (await readText(file)) === undefined) await makePair(file);
      const line = (await readText(`${file}.pub`))?.trim();
      return line !== undefined && line !== '' ? line : derivePublicKey(file);
    },
  };
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

/** One in some hundred pairs that ssh2 makes cannot sign (a number with a leading zero): those are thrown away. */
async function newPair(): Promise<{ readonly private: string; readonly public: string }> {
  const { default: ssh2 } = await import('ssh2');
  const proof = Buffer.from('proof');
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'gpu-lease' });
    const key = ssh2.utils.parseKey(pair.private);
    if (key instanceof Error) continue;
    const signature: unknown = key.sign(proof);
    if (!Buffer.isBuffer(signature)) continue;
    // A failure comes back as an Error, which is truthy.
    const verified: unknown = key.verify(proof, signature);
    if (verified === true) return pair;
  }
}

async function makePair(file: string): Promise<void> {
  const pair = await newPair();
  const draft = `${file}.${randomToken(8)}`;
  try {
    await makePrivateFolder(path.dirname(file));
    await writeFile(draft, pair.private, { mode: 0o600, flag: 'wx' });
    try {
      // link() fails where the name exists: of several processes exactly one key wins, and it is never half written.
      await link(draft, file);
    } catch (failure) {
      if ((await readText(file)) === undefined) throw failure;
      return;
    } finally {
      await rm(draft, { force: true });
    }
    await writeFile(`${file}.pub`, `${pair.public}\n`, { mode: 0o644 });
  } catch (cause) {
    throw new ConfigError('state_unwritable', 'The SSH key pair could not be made.', { cause });
  }
}

async function derivePublicKey(file: string): Promise<string> {
  const text = await readText(file);
  if (text === undefined)
    throw new ConfigError('config_missing', 'The SSH private key cannot be read.', {
      hint: 'Set GPU_LEASE_SSH_KEY to a readable private key, or unset it to use a key of our own.',
    });
  const { default: ssh2 } = await import('ssh2');
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error)
    throw new ConfigError('config_missing', 'The SSH private key cannot be used.', {
      cause: key,
      hint: 'Set GPU_LEASE_SSH_KEY to an unencrypted OpenSSH or PEM key, or put its .pub file beside it.',
    });
  return `${key.type} ${key.getPublicSSH().toString('base64')} gpu-lease`;
}
