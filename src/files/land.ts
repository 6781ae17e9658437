import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  constants,
  createReadStream,
  lstatSync,
  readFileSync,
  renameSync,
} from 'node:fs';
import { copyFile, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { count } from '../core/count.ts';
import { RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { SMALL_BYTES } from './local-hash.ts';
import { type Arrived, identityOf } from './partial-file.ts';
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
  { bytes, sha256 }: { readonly bytes: number; readonly sha256: string },
  signal: AbortSignal,
): Promise<boolean> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size !== bytes) return false;
  return (await hashLocalFile(file, bytes, signal)) === sha256;
}

/** A file that arrived, and the name it gets. */
export interface Landing {
  readonly path: string;
  readonly bytes: number;
  readonly arrived: Arrived;
}

/**
 * Flushes what was pulled, then renames each file into place. One that is wanted under several names is copied. `giveWay` is
 * called for what stands in its place.
 */
export async function landFiles(
  destination: string,
  partialFolder: string,
  files: readonly Landing[],
  giveWay: (name: string, sha256: string) => Promise<void>,
): Promise<void> {
  const uses = new Map<string, number>();
  for (const { arrived } of files) uses.set(arrived.partial, (uses.get(arrived.partial) ?? 0) + 1);
  await flush(partialFolder, [...uses.keys()]);
  const folders = new Set<string>();
  let count = 0;
  for (const { path: name, arrived } of files) {
    const target = path.join(destination, name);
    const { partial } = arrived;
    const left = (uses.get(partial) ?? 1) - 1;
    uses.set(partial, left);
    if (!folders.has(path.dirname(target))) {
      await refuseLinksBelow(destination, name);
      await mkdir(path.dirname(target), { recursive: true });
      folders.add(path.dirname(target));
    }
    if (lstatOf(target) !== undefined) await giveWay(name, arrived.sha256);
    if (left > 0 || !renamed(partial, target)) await copyInto(partial, target);
    count += 1;
    if (count % YIELD_FILES === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await flush(destination, [...folders], 'r');
}

/** False when another file system begins on the way to `target`. */
function renamed(partial: string, target: string): boolean {
  try {
    renameSync(partial, target);
    return true;
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'EXDEV') return false;
    throw failure;
  }
}

/** Copies beside `target`, onto the disk, and renames: nobody ever sees half of it there. */
async function copyInto(partial: string, target: string): Promise<void> {
  const copy = path.join(path.dirname(target), `.gpu-lease-${randomToken(12)}`);
  try {
    await copyFile(partial, copy, constants.COPYFILE_FICLONE);
    await flush(path.dirname(copy), [copy]);
    await rename(copy, target);
  } finally {
    await rm(copy, { force: true });
  }
}

/**
 * Looks at what landed where it landed: two names may be one here, and others may write. The very file that was hashed,
 * untouched since, needs no second reading; a copy is read. Throws `checksum_mismatch`.
 */
export async function checkLanded(
  destination: string,
  files: readonly Landing[],
  signal: AbortSignal,
): Promise<void> {
  const wrong: Landing[] = [];
  for (const file of files) {
    const target = path.join(destination, file.path);
    const stats = lstatOf(target);
    const isSame = stats?.isFile() === true && identityOf(stats) === file.arrived.identity;
    const { sha256 } = file.arrived;
    if (!isSame && !(await isHome(target, { bytes: file.bytes, sha256 }, signal))) wrong.push(file);
  }
  if (wrong.length === 0) return;
  const folded = files.map(({ path: name }) => name.normalize('NFC').toLowerCase());
  const collide = new Set(folded).size < folded.length;
  throw new RemoteError(
    'checksum_mismatch',
    `${count(wrong.length, 'file')} below localPath ${wrong.length === 1 ? 'is' : 'are'} not what was fetched.`,
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
export async function quarantine(beside: string, files: readonly Arrived[]): Promise<string> {
  // Where they arrived a rename is enough; beside a destination that is a mount point it would not be.
  const [first] = files;
  const parent = path.dirname(first === undefined ? beside : path.dirname(first.partial));
  const folder = path.join(parent, `${path.basename(beside)}.quarantine-${randomToken(8)}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { partial, sha256 } of files)
    await rename(partial, path.join(folder, sha256)).catch(() => undefined);
  return folder;
}

export function lstatOf(file: string): BigIntStats | undefined {
  try {
    return lstatSync(file, { bigint: true, throwIfNoEntry: false });
  } catch {
    // A folder on the way is a file, or may not be entered: whoever writes there is told.
    return undefined;
  }
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

const YIELD_FILES = 500;
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
