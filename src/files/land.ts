import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { copyFile, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { InputError, RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { SMALL_BYTES } from './local-hash.ts';
import type { ManifestFile } from './manifest.ts';
import { refuseLinksBelow } from './workspace.ts';

export async function hashLocalFile(
  file: string,
  bytes: number,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  if (bytes <= SMALL_BYTES) {
    // Lets others run between files.
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    return hash.update(readFileSync(file)).digest('hex');
  }
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20, signal }))
    if (Buffer.isBuffer(chunk)) hash.update(chunk);
  return hash.digest('hex');
}

/** Whether `file` is a regular file with this size and hash. */
export async function isHome(
  file: string,
  { bytes, sha256 }: Pick<ManifestFile, 'bytes' | 'sha256'>,
  signal: AbortSignal,
): Promise<boolean> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size !== bytes) return false;
  return (await hashLocalFile(file, bytes, signal)) === sha256;
}

/**
 * Throws before anything moves when a file could not land: a link or a folder in its way, a name too long, or one file
 * that is the folder of another.
 */
export async function checkLanding(
  destination: string,
  files: readonly { readonly path: string }[],
): Promise<void> {
  const names = new Set(files.map((file) => file.path));
  for (const { path: name } of files) {
    for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1))
      if (names.has(name.slice(0, at)))
        throw new RemoteError(
          'unsafe_archive',
          'The pod lists one name both as a file and as a folder. Nothing was written.',
        );
    if (name.split('/').some((part) => Buffer.byteLength(part) > 255))
      throw new RemoteError('unsafe_archive', 'The pod lists a name that no file can have.');
    await refuseLinksBelow(destination, name);
    const stats = await lstat(path.join(destination, name)).catch(() => undefined);
    if (stats !== undefined && !stats.isFile())
      throw new InputError(
        'invalid_input',
        'Below localPath something that is not a regular file stands where a file should land.',
        { hint: 'Choose an empty localPath.' },
      );
  }
}

/** Flushes what was pulled, then renames each file into place. Every file must lie in `partialFolder` under its hash. */
export async function landFiles(
  destination: string,
  partialFolder: string,
  files: readonly ManifestFile[],
): Promise<void> {
  const uses = new Map<string, number>();
  for (const { sha256 } of files) uses.set(sha256, (uses.get(sha256) ?? 0) + 1);
  await flush(partialFolder, [...uses.keys()]);
  for (const { path: name, sha256 } of files) {
    const target = path.join(destination, name);
    await refuseLinksBelow(destination, name);
    const partial = path.join(partialFolder, sha256);
    const left = (uses.get(sha256) ?? 1) - 1;
    uses.set(sha256, left);
    await mkdir(path.dirname(target), { recursive: true });
    if (left === 0) await rename(partial, target);
    else {
      const copy = path.join(partialFolder, `${sha256}.${randomToken(8)}`);
      await copyFile(partial, copy);
      await rename(copy, target);
    }
  }
  const folders = new Set(
    files.map(({ path: name }) => path.dirname(path.join(destination, name))),
  );
  await flush(destination, [...folders], 'r');
}

/** Reads what landed from where it landed: two names may be one here, and others may write. Throws `checksum_mismatch`. */
export async function checkLanded(
  destination: string,
  files: readonly ManifestFile[],
  signal: AbortSignal,
): Promise<void> {
  const wrong: ManifestFile[] = [];
  for (const file of files)
    if (!(await isHome(path.join(destination, file.path), file, signal))) wrong.push(file);
  if (wrong.length === 0) return;
  const folded = files.map(({ path: name }) => name.normalize('NFC').toLowerCase());
  const collide = new Set(folded).size < folded.length;
  throw new RemoteError(
    'checksum_mismatch',
    `${wrong.length} files below localPath are not what was fetched.`,
    {
      foreignText: quoteForeign(
        wrong
          .slice(0, 10)
          .map((file) => file.path)
          .join('\n'),
      ),
      hint: collide
        ? 'Names that differ only in letter case are one file on this machine. Rename one on the pod, then call again.'
        : 'Something else writes there. Call again, or choose an empty localPath.',
    },
  );
}

/** Moves what arrived with a wrong hash aside, for a person to look at. Returns the folder. */
export async function quarantine(
  beside: string,
  partialFolder: string,
  files: readonly ManifestFile[],
): Promise<string> {
  const folder = `${beside}.quarantine-${randomToken(8)}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { sha256 } of files)
    await rename(path.join(partialFolder, sha256), path.join(folder, sha256)).catch(
      () => undefined,
    );
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

const AT_ONCE = 8;
const MANY = 200;

/** Onto the disk before any old file is replaced. For many files one `sync` of the file system is far cheaper. */
async function flush(folder: string, names: readonly string[], flags = 'r+'): Promise<void> {
  const isDone = names.length > MANY && (await syncFileSystem(folder));
  if (isDone) return;
  const queue = names.values();
  const worker = async (): Promise<void> => {
    for (const name of queue) {
      await using handle = await open(path.resolve(folder, name), flags);
      await handle.sync();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function syncFileSystem(folder: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('sync', ['-f', folder], (failure) => {
      resolve(failure === null);
    });
  });
}
