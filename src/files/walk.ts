import { type BigIntStats, type Dirent, lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { goneIsNothing } from './open-local.ts';
import { isPrivatePath } from './remote-target.ts';
import type { Rules } from './rules.ts';
import { secretByName } from './secrets.ts';
import {
  byPath,
  createWalkMemory,
  type FolderSeen,
  holdsTheSame,
  isSame,
  type Seen,
  sortedLike,
  type WalkMemory,
} from './walk-memory.ts';

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
  /** Folders without anything in them: only files are sent, so they are not made on the pod. */
  readonly empty?: readonly string[];
  /** Sent neither by default nor silently: the caller asked for them by name or pattern. */
  readonly secretNames: readonly Skipped[];
}

/** Most files that are remembered between walks. */
const MOST_SEEN = 50_000;

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
    /** Nothing but the .gitignore files can say otherwise than in the walk that left `memory`. */
    readonly sameRules?: boolean;
  },
  memory: WalkMemory = createWalkMemory(),
): Promise<Walked> {
  const files: LocalFile[] = [];
  const skipped: Skipped[] = [];
  const secretNames: Skipped[] = [];
  const empty: string[] = [];
  const seen = new Map<string, FolderSeen>();
  const folders = [''];
  // A .gitignore speaks for what is below it, and is read before that.
  let isTold = options.sameRules === true;

  // Without waiting for each name: that alone would take ten times as long. Others run between folders.
  const visit = (folder: string): FolderSeen => {
    const absolute = path.join(root, folder);
    const entries = readdirSync(absolute, { withFileTypes: true });
    const gitignore = entries.some((entry) => entry.name === '.gitignore' && entry.isFile())
      ? readFileSync(path.join(absolute, '.gitignore'), 'utf8')
      : undefined;
    if (gitignore !== undefined) rules.addGitignore(folder, gitignore);
    const before = memory.folders.get(folder);
    if (before !== undefined && before.gitignore !== gitignore) isTold = false;
    if (isTold && before !== undefined && holdsTheSame(before, entries)) return lookAgain(before);
    const made: Made = {
      files: [],
      folders: [],
      skipped: [],
      secretNames: [],
      known: new Map(before?.files.map((one) => [one.file.path, one])),
      // What is not UTF-8 was read as this character, which a name may also hold.
      unclear: entries.some(({ name }) => name.includes('\uFFFD'))
        ? unreadable(absolute)
        : NO_NAMES,
    };
    for (const entry of entries) look(made, entry, folder, absolute);
    const { files: held, folders: entered, skipped: left, secretNames: secret } = made;
    return {
      ...{ files: held, folders: entered, skipped: left, secretNames: secret, gitignore },
      entries: made.unclear.size === 0 ? entries : undefined,
    };
  };

  /** Nothing for a folder that went since its name was read. */
  const visitNow = (folder: string): FolderSeen | undefined => {
    try {
      return visit(folder);
    } catch (failure) {
      if (folder === '') throw failure;
      goneIsNothing(failure);
      return undefined;
    }
  };

  const look = (made: Made, entry: Dirent, folder: string, absolute: string): void => {
    const { name } = entry;
    const relative = folder === '' ? name : `${folder}/${name}`;
    const skip = (why: string): void => {
      made.skipped.push({ path: relative, why });
    };
    // The folders above were asked before they were entered.
    const odd =
      oddOf(entry, made.unclear) ?? (isPrivatePath(name) ? 'default: private' : undefined);
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
      made.folders.push(relative);
      return;
    }
    const secret = secretByName(name);
    if (secret !== undefined && !options.allowSecrets(relative)) {
      if (options.explicit(relative) || secret === 'private key')
        made.secretNames.push({ path: relative, why: secret });
      else skip(`secret: ${secret}`);
      return;
    }
    const file = `${absolute}${path.sep}${name}`;
    const one = seenOf(file, relative, made.known.get(relative));
    if (one !== undefined) made.files.push(one);
  };

  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    await new Promise((resolve) => setImmediate(resolve));
    options.signal.throwIfAborted();
    const one = visitNow(folder);
    if (one === undefined) continue;
    seen.set(folder, one);
    if (folder !== '' && one.entries?.length === 0) empty.push(folder);
    for (const each of one.folders) folders.push(each);
    for (const { file } of one.files) files.push(file);
    for (const each of one.skipped) skipped.push(each);
    for (const each of one.secretNames) secretNames.push(each);
  }
  const sorted = sortedLike(memory, files);
  if (files.length <= MOST_SEEN) Object.assign(memory, sorted, { folders: seen, found: files });
  return {
    files: sorted.sorted,
    skipped: skipped.toSorted(byPath),
    empty: empty.sort(),
    secretNames: secretNames.toSorted(byPath),
  };
}

/** One folder while it is read. */
interface Made {
  readonly files: Seen[];
  readonly folders: string[];
  readonly skipped: Skipped[];
  readonly secretNames: Skipped[];
  /** From the walk before, by path. */
  readonly known: ReadonlyMap<string, Seen>;
  /** Names that are not UTF-8. */
  readonly unclear: ReadonlySet<string>;
}

/** A folder that holds the same names, to which the rules say the same. */
function lookAgain(before: FolderSeen): FolderSeen {
  const { files } = before;
  const again = files.flatMap((known) => seenOf(known.file.absolute, known.file.path, known) ?? []);
  const isSameYet = again.length === files.length && again.every((one, at) => one === files[at]);
  return isSameYet ? before : { ...before, files: again };
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

/** `known` itself when the file is as it was; undefined for one that went meanwhile, as if it had gone a moment earlier. */
function seenOf(absolute: string, relative: string, known: Seen | undefined): Seen | undefined {
  const stats = lstatSync(absolute, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (known !== undefined && isSame(known, stats)) return known;
  const { dev, ino, mode, size, mtimeNs, ctimeNs } = stats;
  return { file: fileOf(absolute, relative, stats), dev, ino, mode, size, mtimeNs, ctimeNs };
}

function oddOf(entry: Dirent, unclear: ReadonlySet<string>): string | undefined {
  if (unclear.has(entry.name)) return 'name is not UTF-8';
  if (entry.isSymbolicLink()) return 'symbolic link';
  return entry.isFile() || entry.isDirectory() ? undefined : 'not a regular file';
}

export function localFile(absolute: string, relative: string): LocalFile {
  return fileOf(absolute, relative, lstatSync(absolute, { bigint: true }));
}

/** What `stats` say of a file. */
export function fileOf(absolute: string, relative: string, stats: BigIntStats): LocalFile {
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
