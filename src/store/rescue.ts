import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, link, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../core/call.ts';
import { isMissing } from '../core/json-file.ts';
import { poll } from '../core/poll.ts';

/** Another process that rescues the same file is done by then, or dead. */
const OTHER_LIMIT_SECONDS = 5;

/**
 * Which file stands at this path now; `undefined`: none. At once, as SQLite reads: by way of another thread it would cost each
 * read of a record more than the reading.
 */
export function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  } catch (failure) {
    if (isMissing(failure)) return undefined;
    throw failure;
  }
}

/**
 * Puts a copy of the state back where its file was deleted while it was open: it names pods that cost money. `copyTo`
 * writes the copy. A file that stands there by now is left alone, whoever made it.
 */
export async function putBack(file: string, copyTo: (copy: string) => void): Promise<void> {
  if (identityOf(file) !== undefined) return;
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const copy = `${file}.${randomBytes(6).toString('hex')}.copy`;
  const lock = `${file}.copy-lock`;
  try {
    copyTo(copy);
    await chmod(copy, 0o600);
    await alone(lock, async () => {
      if (identityOf(file) !== undefined) return;
      // The log of the deleted file would be replayed into the copy.
      for (const suffix of ['-wal', '-shm']) await rm(`${file}${suffix}`, { force: true });
      await link(copy, file);
    });
  } finally {
    await rm(copy, { force: true });
  }
}

/** One process at a time; a lock that stays for too long was left by a dead one. */
async function alone(lock: string, work: () => Promise<void>): Promise<void> {
  const { signal } = new AbortController();
  await poll(async () => ((await makeNew(lock)) ? true : undefined), {
    clock: systemClock,
    signal,
    timeoutSeconds: OTHER_LIMIT_SECONDS,
    everySeconds: 0.02,
  });
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** Makes an empty file, 0600, where there is none; false: there is one, which was not touched. */
export async function makeNew(file: string): Promise<boolean> {
  try {
    await (await open(file, 'wx', 0o600)).close();
    return true;
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'EEXIST') return false;
    throw failure;
  }
}
