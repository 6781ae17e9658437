import type { BigIntStats, Dirent } from 'node:fs';
import type { LocalFile, Skipped } from './walk.ts';

/** What one walk leaves for the next one of the same tree: a file that is as it was is the same object again. */
export interface WalkMemory {
  /** By relative path; '' is the root. */
  folders: ReadonlyMap<string, FolderSeen>;
  /** In the order in which they were found, and where each is when sorted. */
  found: readonly LocalFile[];
  sorted: readonly LocalFile[];
  places: readonly number[];
}
type Stamp = Pick<BigIntStats, 'dev' | 'ino' | 'mode' | 'size' | 'mtimeNs' | 'ctimeNs'>;
export interface Seen extends Stamp {
  readonly file: LocalFile;
}

/** One folder: what it held, and what the rules made of that. */
export interface FolderSeen {
  /** Undefined where two names may read the same. */
  readonly entries: readonly Dirent[] | undefined;
  /** Text of its own .gitignore. */
  readonly gitignore: string | undefined;
  readonly files: readonly Seen[];
  /** Those that were entered. */
  readonly folders: readonly string[];
  readonly skipped: readonly Skipped[];
  readonly secretNames: readonly Skipped[];
}

export function createWalkMemory(): WalkMemory {
  return { folders: new Map(), found: [], sorted: [], places: [] };
}

/** Whether the folder still holds the same names of the same kinds, in the same order. */
export function holdsTheSame({ entries }: FolderSeen, now: readonly Dirent[]): boolean {
  return (
    entries?.length === now.length &&
    entries.every((entry, index) => {
      const other = now[index];
      return entry.name === other?.name && kindOf(entry) === kindOf(other);
    })
  );
}

function kindOf(entry: Dirent): 'file' | 'folder' | 'link' | 'other' {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
}

export function isSame(one: Stamp, other: Stamp): boolean {
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
export function sortedLike(
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

export function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
