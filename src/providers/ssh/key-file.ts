import { access, constants, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { ConfigError, InputError } from '../../core/errors.ts';
import { shellQuote } from '../../core/shell-quote.ts';

/** `~` is the folder of the person who runs this server. Relative paths start there too. */
export function expandHome(file: string, userHome = homedir()): string {
  if (file === '~') return userHome;
  return path.resolve(userHome, file.startsWith('~/') ? file.slice(2) : file);
}

/**
 * Throws `path_missing` when the key cannot be read, and `key_unusable` when others can read it too: ssh refuses such a key
 * (KE-08).
 */
export async function checkKeyFile(file: string): Promise<void> {
  const expanded = expandHome(file);
  const stats = await stat(expanded).catch(() => undefined);
  if (!stats?.isFile())
    throw new InputError('path_missing', 'keyPath does not name a file on this machine.');
  try {
    await access(expanded, constants.R_OK);
  } catch (cause) {
    throw new InputError('path_missing', 'The key of keyPath cannot be read.', {
      cause,
      hint: 'Make it readable for the user who runs this server (chmod 600).',
    });
  }
  if (stats.uid === process.getuid?.() && (stats.mode & 0o077) !== 0)
    throw new ConfigError('key_unusable', 'Other users can read this private key.', {
      hint: `Ask the user to run: chmod 600 ${shellQuote(expanded)}`,
    });
}
