import { type BigIntStats, type Dirent, lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { isPrivatePath } from './remote-target.ts';
import type { Rules } from './rules.ts';
import { secretByName } from './secrets.ts';

export interface LocalFile {
  /** With `/`, below the root. */
  readonly path: string;
  readonly absolute: string;
  readonly bytes: number;
  readonly executable: boolean;
  /** Device, inode, size and both times in nanoseconds: another one as soon as anything changed. */
  readonly key: string;
  readonly modifiedSeconds: number;
  /** The later of both times, rounded up. */
  readonly touchedMs: number;
}
export interface Skipped {
  readonly path: string;
  readonly why: string;
}
export interface Walked {
  readonly files: readonly LocalFile[];
  readonly skipped: readonly Skipped[];
  /** Sent neither by default nor silently: the caller asked for them by name or pattern. */
  readonly secretNames: readonly Skipped[];
}

/** What one walk leaves for the next one of the same tree: a file that is as it was is the same object again. */
export interface WalkMemory {
  seen: ReadonlyMap<string, Seen>;
  /** In the order in which they were found, and where each is when sorted. */
  found: readonly LocalFile[];
  sorted: readonly LocalFile[];
  places: readonly number[];
}
type Stamp = Pick<BigIntStats, 'dev' | 'ino' | 'mode' | 'size' | 'mtimeNs' | 'ctimeNs'>;
interface Seen extends Stamp {
  readonly file: LocalFile;
}
/** Most files that are remembered between walks. */
const MOST_SEEN = 50_000;

export function createWalkMemory(): WalkMemory {
  return { seen: new Map(), found: [], sorted: [], places: [] };
}

/**
 * Every regular file below `root` that the rules let through, sorted by path. Links, sockets, devices and names that are
 * not UTF-8 are skipped and said so. A skipped folder is one entry, not one for each file. When nothing changed since the
 * walk that left `memory`, `files` is the same array.
 */
export async function walkTree(
  root: string,
  rules: Rules,
  options: {
    readonly signal: AbortSignal;
    readonly allowSecrets: (relative: string) => boolean;
    readonly explicit: (relative: string) => boolean;
  },
  memory: WalkMemory = createWalkMemory(),
): Promise<Walked> {
  const files: LocalFile[] = [];
  const seen = new Map<string, Seen>();
  const skipped: Skipped[] = [];
  const secretNames: Skipped[] = [];

  const folders = [''];
  // Without waiting for each name: that alone would take ten times as long. Others run between folders.
  const visit = (folder: string): void => {
    const absolute = path.join(root, folder);
    const entries = readdirSync(absolute, { withFileTypes: true });
    if (entries.some((entry) => entry.name === '.gitignore' && entry.isFile()))
      rules.addGitignore(folder, readFileSync(path.join(absolute, '.gitignore'), 'utf8'));
    // What is not UTF-8 was read as this character, which a name may also hold.
    const unclear = entries.some(({ name }) => name.includes('\uFFFD'))
      ? unreadable(absolute)
      : NO_NAMES;
    for (const entry of entries) look(entry, folder, absolute, unclear);
  };

  const look = (
    entry: Dirent,
    folder: string,
    absolute: string,
    unclear: ReadonlySet<string>,
  ): void => {
    const { name } = entry;
    const relative = folder === '' ? name : `${folder}/${name}`;
    const skip = (why: string): void => {
      skipped.push({ path: relative, why });
    };
    // The folders above were asked before they were entered.
    const odd = oddOf(entry, unclear) ?? (isPrivatePath(name) ? 'default: private' : undefined);
    if (odd !== undefined) {
      skip(odd);
      return;
    }
    const why = rules.whyNot(relative, entry.isDirectory());
    if (why !== undefined) {
      if (why !== 'not in include') skip(why);
      return;
    }
    if (entry.isDirectory()) {
      folders.push(relative);
      return;
    }
    const secret = secretByName(name);
    if (secret !== undefined && !options.allowSecrets(relative)) {
      if (options.explicit(relative) || secret === 'private key')
        secretNames.push({ path: relative, why: secret });
      else skip(`secret: ${secret}`);
      return;
    }
    const file = `${absolute}${path.sep}${name}`;
    const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    // One that went meanwhile: as if it had gone a moment earlier.
    if (stats === undefined) return;
    const known = memory.seen.get(relative);
    const one = known !== undefined && isSame(known, stats) ? known : seenOf(file, relative, stats);
    seen.set(relative, one);
    files.push(one.file);
  };

  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    await new Promise((resolve) => setImmediate(resolve));
    options.signal.throwIfAborted();
    visit(folder);
  }
  const sorted = sortedLike(memory, files);
  if (files.length <= MOST_SEEN) Object.assign(memory, sorted, { seen, found: files });
  return {
    files: sorted.sorted,
    skipped: skipped.toSorted(byPath),
    secretNames: secretNames.toSorted(byPath),
  };
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** The names that are not UTF-8, as they read. A name that is, and reads the same, counts with them. */
function unreadable(folder: string): ReadonlySet<string> {
  const names = readdirSync(folder, { encoding: 'buffer' });
  return new Set(
    names.flatMap((bytes) => {
      const name = bytes.toString();
      return Buffer.from(name).equals(bytes) ? [] : [name];
    }),
  );
}

function seenOf(absolute: string, relative: string, stats: BigIntStats): Seen {
  const { dev, ino, mode, size, mtimeNs, ctimeNs } = stats;
  return { file: fileOf(absolute, relative, stats), dev, ino, mode, size, mtimeNs, ctimeNs };
}

function isSame(one: Stamp, other: Stamp): boolean {
  return (
    one.ctimeNs === other.ctimeNs &&
    one.mtimeNs === other.mtimeNs &&
    one.size === other.size &&
    one.ino === other.ino &&
    one.dev === other.dev &&
    one.mode === other.mode
  );
}

/** Sorted by path; as before when the same names were found in the same order, the same array when they are the same files. */
function sortedLike(
  { found, sorted, places }: WalkMemory,
  files: readonly LocalFile[],
): Pick<WalkMemory, 'sorted' | 'places'> {
  if (found.length === files.length) {
    if (found.every((file, index) => file === files[index])) return { sorted, places };
    if (found.every(({ path: name }, index) => name === files[index]?.path))
      return { sorted: places.flatMap((place) => files[place] ?? []), places };
  }
  const order = files.map((file, place) => ({ path: file.path, file, place })).toSorted(byPath);
  return { sorted: order.map(({ file }) => file), places: order.map(({ place }) => place) };
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

function oddOf(entry: Dirent, unclear: ReadonlySet<string>): string | undefined {
  if (unclear.has(entry.name)) return 'name is not UTF-8';
  if (entry.isSymbolicLink()) return 'symbolic link';
  return entry.isFile() || entry.isDirectory() ? undefined : 'not a regular file';
}

export function localFile(absolute: string, relative: string): LocalFile {
  return fileOf(absolute, relative, lstatSync(absolute, { bigint: true }));
}

function fileOf(absolute: string, relative: string, stats: BigIntStats): LocalFile {
  const { mtimeNs, ctimeNs } = stats;
  return {
    path: relative,
    absolute,
    bytes: Number(stats.size),
    executable: (Number(stats.mode) & 0o111) !== 0,
    key: keyOf(stats),
    modifiedSeconds: Math.max(0, Number(mtimeNs / 1_000_000_000n)),
    touchedMs: Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n) + 1,
  };
}

export function keyOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
