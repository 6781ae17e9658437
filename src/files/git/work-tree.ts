import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readlinkSync } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CodeRecord } from '../../core/receipt.ts';
import { treeOf } from './commit-tree.ts';
import { type IndexEntry, parseIndex } from './git-index.ts';
import { findRepository, type Repository, readHead, textOf } from './head.ts';

export type CodeState = Pick<CodeRecord, 'commit' | 'branch' | 'tracked'>;

const FILE = 0o10;
const LINK = 0o12;
const YIELD_FILES = 500;
/** Files that git would have to read again; more are not read for a receipt. */
const MOST_HASHED_BYTES = 256 << 20;

/**
 * The commit that a folder stands at, and whether the files below it that git tracks are as committed. Reads the files of
 * the repository itself: no git, no hooks, no filters. Never fails; what cannot be told is `unknown`.
 */
export async function codeStateOf(folder: string, signal: AbortSignal): Promise<CodeState> {
  const repository = await findRepository(folder).catch(() => undefined);
  if (repository === undefined) return { tracked: 'no_git' };
  const { commit, branch } = await readHead(repository).catch(() => ({
    commit: undefined,
    branch: undefined,
  }));
  const named = {
    ...(commit === undefined ? {} : { commit }),
    ...(branch === undefined ? {} : { branch }),
  };
  if (commit === undefined) return { ...named, tracked: 'unknown' };
  const tracked = await compare(repository, folder, commit, signal).catch(() => 'unknown' as const);
  return { ...named, tracked };
}

async function compare(
  repository: Repository,
  folder: string,
  commit: string,
  signal: AbortSignal,
): Promise<'clean' | 'changed' | 'unknown'> {
  const file = path.join(repository.gitFolder, 'index');
  const writtenSeconds = Math.floor((await lstat(file)).mtimeMs / 1000);
  const index = parseIndex(await readFile(file), commit.length / 2);
  if (index === undefined) return 'unknown';
  const ignoresMode = /^\s*filemode\s*=\s*false\s*$/im.test(
    await textOf(path.join(repository.common, 'config')),
  );
  const below = path.relative(repository.root, folder).split(path.sep).join('/');
  let isUnclear = false;
  let budgetBytes = MOST_HASHED_BYTES;
  for (const [at, entry] of index.entries.entries()) {
    if (at % YIELD_FILES === 0) await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    if (below !== '' && !entry.path.startsWith(`${below}/`)) continue;
    if (entry.absent) continue;
    if (entry.unsettled) return 'changed';
    const state = stateOf(repository.root, entry, { writtenSeconds, ignoresMode });
    if (state === 'changed') return 'changed';
    if (state === 'unknown') isUnclear = true;
    if (typeof state === 'number') {
      budgetBytes -= state;
      if (budgetBytes < 0) isUnclear = true;
      else if (!(await isSame(path.join(repository.root, entry.path), state, entry.hash)))
        return 'changed';
    }
  }
  if (isUnclear || index.tree === undefined) return 'unknown';
  const tree = await treeOf(repository.common, commit);
  if (tree === index.tree) return 'clean';
  // What is staged may lie elsewhere in the repository.
  return tree === undefined || below !== '' ? 'unknown' : 'changed';
}

/** A number: that many bytes must be read to tell. */
function stateOf(
  root: string,
  entry: IndexEntry,
  at: { readonly writtenSeconds: number; readonly ignoresMode: boolean },
): 'same' | 'changed' | 'unknown' | number {
  const file = path.join(root, entry.path);
  const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return 'changed';
  if (entry.kind === LINK) {
    if (!stats.isSymbolicLink()) return 'changed';
    return blobHash(entry.hash, Buffer.from(readlinkSync(file))) ? 'same' : 'changed';
  }
  // Another repository has a commit of its own.
  if (entry.kind !== FILE) return 'unknown';
  if (!stats.isFile()) return 'changed';
  if (!at.ignoresMode && ((stats.mode & 0o100n) !== 0n) !== entry.executable) return 'changed';
  const seconds = Number(stats.mtimeNs / 1_000_000_000n);
  const nanoseconds = Number(stats.mtimeNs % 1_000_000_000n);
  const isOld =
    Number(stats.size & 0xffffffffn) === entry.bytes &&
    seconds === entry.modifiedSeconds &&
    (entry.modifiedNanoseconds === 0 || nanoseconds === entry.modifiedNanoseconds) &&
    // Written in the second of the index, it may have changed since without a trace.
    seconds < at.writtenSeconds;
  return isOld ? 'same' : Number(stats.size);
}

function blobHash(wanted: string, content: Buffer): boolean {
  return hasher(wanted).update(`blob ${content.length}\0`).update(content).digest('hex') === wanted;
}
function hasher(wanted: string): ReturnType<typeof createHash> {
  return createHash(wanted.length === 40 ? 'sha1' : 'sha256');
}

async function isSame(file: string, bytes: number, wanted: string): Promise<boolean> {
  const hash = hasher(wanted).update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(file))
    hash.update(chunk instanceof Buffer ? chunk : '');
  return hash.digest('hex') === wanted;
}
