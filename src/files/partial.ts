import { createHash } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rmdir, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { RemoteError } from '../core/errors.ts';
import { type PodId, randomToken } from '../core/ids.ts';
import { isAlive, processIdentity } from '../core/local-process.ts';
import { removeFolder } from './land.ts';
import type { Wanted } from './pull-work.ts';

/** Folders that this thread works in. One thread moves files; a folder of this process that it does not know has no owner. */
const held = new Set<string>();

export interface Partial extends AsyncDisposable {
  /** Ours alone until it is disposed; then what is left in it waits for the next fetch to the same place. */
  readonly folder: string;
}

/**
 * The folder where files arrive. It lies beside the destination, so that a rename never crosses file systems. It has one
 * owner at a time, by a rename: an unowned one, or one whose process is gone, is taken over with what it holds.
 */
export async function takePartial(
  workspace: string,
  destination: string,
  podId: PodId,
): Promise<Partial> {
  const key = createHash('sha256')
    .update(`${hostname()}\0${podId}\0${destination}`)
    .digest('hex')
    .slice(0, 12);
  const isOwnFileSystem = await isMount(destination);
  const base =
    isOwnFileSystem || destination === (await realpath(workspace))
      ? path.join(destination, '.gpu-lease')
      : destination;
  const free = `${base}.partial-${key}`;
  const me = await processIdentity(process.pid);
  const folder = `${free}-${process.pid}-${shortOf(me?.startedAt)}-${randomToken(8)}`;
  held.add(folder);
  await mkdir(path.dirname(free), { recursive: true });
  let taken = await moved(free, folder);
  for (const dead of await withoutOwner(free))
    if (!taken) taken = await moved(dead, folder);
    else await removeFolder(dead);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    folder,
    async [Symbol.asyncDispose]() {
      held.delete(folder);
      const isEmpty = await rmdir(folder).then(
        () => true,
        (failure: unknown) =>
          failure instanceof Error && 'code' in failure && failure.code === 'ENOENT',
      );
      // What cannot be removed must not hide why the call ended.
      if (!isEmpty && !(await moved(folder, free)))
        await removeFolder(folder).catch(() => undefined);
    },
  };
}

/** Where a file of the pod arrives: another version of it arrives elsewhere, so what is there goes on being right. */
export function partialOf(
  folder: string,
  root: string,
  {
    source,
    bytes,
    stamp,
  }: { readonly source: string; readonly bytes: number; readonly stamp: string },
): string {
  const key = createHash('sha256').update(JSON.stringify([root, source, bytes, stamp]));
  return path.join(folder, key.digest('hex').slice(0, 40));
}

/** Throws `disk_full` when what has not arrived yet does not fit beside `folder`. */
export async function refuseFullHere(folder: string, files: readonly Wanted[]): Promise<void> {
  const begun = new Set(await readdir(folder));
  let missing = 0;
  for (const { partial, bytes } of files) {
    const stats = begun.has(path.basename(partial)) ? await stat(partial) : undefined;
    // What is a hole there may have to be written yet.
    missing += Math.max(0, bytes - Math.min(bytes, (stats?.blocks ?? 0) * 512));
  }
  const space = await statfs(folder);
  if (space.bavail * space.bsize < missing)
    throw new RemoteError('disk_full', 'This machine has too little space for these files.', {
      hint: 'Free some space here, choose another localPath, or fetch less with exclude.',
    });
}

function shortOf(startedAt: string | undefined): string {
  return createHash('sha256')
    .update(startedAt ?? '')
    .digest('hex')
    .slice(0, 8);
}

/** Whether another file system begins at this folder: a rename from beside it would fail. */
async function isMount(folder: string): Promise<boolean> {
  const [own, parent] = await Promise.all(
    [folder, path.dirname(folder)].map(async (one) => stat(one).catch(() => undefined)),
  );
  return own !== undefined && parent !== undefined && own.dev !== parent.dev;
}

async function moved(from: string, to: string): Promise<boolean> {
  return rename(from, to).then(
    () => true,
    () => false,
  );
}

async function withoutOwner(free: string): Promise<readonly string[]> {
  const parent = path.dirname(free);
  const prefix = `${path.basename(free)}-`;
  const found: string[] = [];
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const [, digits, birth] = /^(\d{1,10})-([0-9a-f]{8})-/.exec(name.slice(prefix.length)) ?? [];
    if (digits === undefined) continue;
    const owner = await processIdentity(Number(digits));
    const isOurs = Number(digits) === process.pid && !held.has(path.join(parent, name));
    const lives =
      !isOurs &&
      owner !== undefined &&
      shortOf(owner.startedAt) === birth &&
      (await isAlive(owner));
    if (!lives) found.push(path.join(parent, name));
  }
  return found;
}
