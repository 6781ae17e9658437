import { access, constants, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { InputError } from '../../core/errors.ts';

/** `~` is the folder of the person who runs this server. Relative paths start there too. */
export function expandHome(file: string, userHome = homedir()): string {
  if (file === '~') return userHome;
  return path.resolve(userHome, file.startsWith('~/') ? file.slice(2) : file);
}

/** Throws `path_missing` when the key cannot be read; answers a warning when others can read it too (KE-08). */
export async function checkKeyFile(file: string): Promise<string | undefined> {
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
  return (stats.mode & 0o077) === 0
    ? undefined
    : 'Other users can read the private key: run chmod 600 on it.';
}
