import { mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import { randomToken } from '../../core/ids.ts';

export interface SettingsFile {
  /** The file itself, behind any link. */
  readonly path: string;
  /** Undefined: there is none yet. */
  readonly text: string | undefined;
  readonly mode: number;
}

const NEW_FILE_MODE = 0o600;

/** Reads a settings file; a link is followed, so that a managed dotfile stays one. */
export async function readSettings(file: string): Promise<SettingsFile> {
  try {
    const target = await realpath(file);
    const { mode } = await stat(target);
    return { path: target, text: await readFile(target, 'utf8'), mode: mode & 0o777 };
  } catch (thrown) {
    if (isMissing(thrown)) return { path: file, text: undefined, mode: NEW_FILE_MODE };
    throw new ConfigError('state_unwritable', `Cannot read ${file}.`, {
      cause: thrown,
      hint: 'Make the file readable, or edit it by hand: --print shows the entry.',
    });
  }
}

/**
 * Replaces the file in one step, after a copy of the old one was kept beside it. Refuses when somebody else wrote to
 * it since it was read. Answers with the path of the copy.
 */
export async function writeSettings(
  before: SettingsFile,
  text: string,
): Promise<string | undefined> {
  const draft = `${before.path}.${randomToken(8)}.tmp`;
  const backup = before.text === undefined ? undefined : `${before.path}.gpu-lease-backup`;
  try {
    await mkdir(path.dirname(before.path), { recursive: true });
    await writeDurably(draft, text, before.mode);
    if (backup !== undefined && before.text !== undefined)
      await writeFile(backup, before.text, { mode: NEW_FILE_MODE });
    const now = await readSettings(before.path);
    if (now.text !== before.text)
      throw new ConfigError('state_unwritable', `${before.path} changed while it was edited.`, {
        hint: 'Close the program that writes to it, then run the command again.',
      });
    await rename(draft, before.path);
    return backup;
  } catch (thrown) {
    await rm(draft, { force: true });
    if (thrown instanceof ConfigError) throw thrown;
    throw new ConfigError('state_unwritable', `Cannot write ${before.path}.`, {
      cause: thrown,
      hint: 'Make its folder writable, or edit it by hand: --print shows the entry.',
    });
  }
}

async function writeDurably(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}
