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
  readonly stats: BigIntStats;
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

/**
 * Every regular file below `root` that the rules let through, sorted by path. Links, sockets, devices and names that are
 * not UTF-8 are skipped and said so. A skipped folder is one entry, not one for each file.
 */
export async function walkTree(
  root: string,
  rules: Rules,
  options: {
    readonly signal: AbortSignal;
    readonly allowSecrets: (relative: string) => boolean;
    readonly explicit: (relative: string) => boolean;
  },
): Promise<Walked> {
  const files: LocalFile[] = [];
  const skipped: Skipped[] = [];
  const secretNames: Skipped[] = [];

  const folders = [''];
  // Without waiting for each name: that alone would take ten times as long. Others run between folders.
  const visit = (folder: string): void => {
    const absolute = path.join(root, folder);
    const entries = readdirSync(absolute, { withFileTypes: true, encoding: 'buffer' });
    if (entries.some((entry) => entry.name.equals(GITIGNORE) && entry.isFile()))
      rules.addGitignore(folder, readFileSync(path.join(absolute, '.gitignore'), 'utf8'));
    for (const entry of entries) look(entry, folder, absolute);
  };

  const look = (entry: Dirent<Buffer>, folder: string, absolute: string): void => {
    const name = entry.name.toString();
    const relative = folder === '' ? name : `${folder}/${name}`;
    const skip = (why: string): void => {
      skipped.push({ path: relative, why });
    };
    // The folders above were asked before they were entered.
    const odd = oddOf(entry, name) ?? (isPrivatePath(name) ? 'default: private' : undefined);
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
    if (stats !== undefined) files.push(fileOf(file, relative, stats));
  };

  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    await new Promise((resolve) => setImmediate(resolve));
    options.signal.throwIfAborted();
    visit(folder);
  }
  return {
    files: files.toSorted(byPath),
    skipped: skipped.toSorted(byPath),
    secretNames: secretNames.toSorted(byPath),
  };
}

const GITIGNORE = Buffer.from('.gitignore');

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

function oddOf(entry: Dirent<Buffer>, name: string): string | undefined {
  if (name.includes('\uFFFD') && !Buffer.from(name).equals(entry.name)) return 'name is not UTF-8';
  if (entry.isSymbolicLink()) return 'symbolic link';
  return entry.isFile() || entry.isDirectory() ? undefined : 'not a regular file';
}

export function localFile(absolute: string, relative: string): LocalFile {
  return fileOf(absolute, relative, lstatSync(absolute, { bigint: true }));
}

function fileOf(absolute: string, relative: string, stats: BigIntStats): LocalFile {
  return {
    path: relative,
    absolute,
    bytes: Number(stats.size),
    executable: (Number(stats.mode) & 0o111) !== 0,
    stats,
  };
}
