import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';

export interface Repository {
  /** Where the tracked files lie. */
  readonly root: string;
  /** Of this working tree: HEAD and the index. */
  readonly gitFolder: string;
  /** Shared by all working trees: refs and objects. */
  readonly common: string;
}
export interface Head {
  readonly commit?: string | undefined;
  readonly branch?: string | undefined;
}

const HASH = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const MOST_PARENTS = 64;

/** The repository that a folder lies in. `undefined`: in none. Only reads a few small files, and runs nothing. */
export async function findRepository(folder: string): Promise<Repository | undefined> {
  let root = folder;
  for (let turn = 0; turn < MOST_PARENTS; turn += 1) {
    const marker = path.join(root, '.git');
    const stats = await lstat(marker).catch(() => undefined);
    if (stats?.isDirectory() === true) return { root, gitFolder: marker, common: marker };
    if (stats?.isFile() === true) {
      // A working tree of its own, or a submodule.
      const to = /^gitdir: (.+)$/.exec(await lineOf(marker))?.[1];
      if (to === undefined) return undefined;
      const gitFolder = path.resolve(root, to);
      const shared = await lineOf(path.join(gitFolder, 'commondir'));
      const common = shared === '' ? gitFolder : path.resolve(gitFolder, shared);
      return { root, gitFolder, common };
    }
    const parent = path.dirname(root);
    if (parent === root) return undefined;
    root = parent;
  }
  return undefined;
}

/** What HEAD stands for. Nothing that is not a hash, or a branch of a plain name, is ever told. */
export async function readHead({ gitFolder, common }: Repository): Promise<Head> {
  const head = await lineOf(path.join(gitFolder, 'HEAD'));
  if (HASH.test(head)) return { commit: head };
  const ref = /^ref: (refs\/[^\0]+)$/.exec(head)?.[1];
  if (ref === undefined || ref.split('/').includes('..')) return {};
  const branch = /^refs\/heads\/([\w./@+-]{1,200})$/.exec(ref)?.[1];
  const named = branch === undefined ? {} : { branch };
  for (const folder of [gitFolder, common]) {
    const commit = await lineOf(path.join(folder, ...ref.split('/')));
    if (HASH.test(commit)) return { commit, ...named };
  }
  const packed = await textOf(path.join(common, 'packed-refs'));
  const line = packed.split('\n').find((entry) => entry.endsWith(` ${ref}`));
  const commit = line?.slice(0, line.indexOf(' ')) ?? '';
  return HASH.test(commit) ? { commit, ...named } : named;
}

const LARGEST_BYTES = 64 << 20;

/** The text of a plain file. Empty when there is none. */
export async function textOf(file: string): Promise<string> {
  const stats = await lstat(file).catch(() => undefined);
  if (stats?.isFile() !== true || stats.size > LARGEST_BYTES) return '';
  return readFile(file, 'utf8').catch(() => '');
}

async function lineOf(file: string): Promise<string> {
  return (await textOf(file)).trimEnd();
}
