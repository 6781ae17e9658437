import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { PodId } from '../core/ids.ts';
import { RESCUE_FOLDER, rescueFolderOf } from '../core/left-behind.ts';
import type { SealedReceipt } from '../core/receipt.ts';
import { isInside } from './workspace.ts';

type Artifact = SealedReceipt['artifacts'][number];

/** Where artifacts may be looked for. Real paths. */
export interface Places {
  /** A receipt that names a path below one of these is followed. */
  readonly roots: readonly string[];
  /** Files that moved are looked for below these. */
  readonly moved: readonly string[];
}

/**
 * `none`: nothing is where it should be. `unseen`: it is not below the folders given, and where the receipt says that it lay was not
 * to be looked at. `elsewhere`: the same, and no folder was given.
 */
export type Place =
  | { readonly kind: 'found'; readonly file: string }
  | { readonly kind: 'odd' | 'none' | 'unseen' | 'elsewhere' };

/** Enough to tell where a folder went. */
const MOST_TRIED = 200;

/**
 * Finds the files of one receipt. A path in a receipt is only ever a wish: what does not lie below the given folders, links
 * resolved, is not touched.
 */
export async function createPlacing(
  { artifacts, lease }: Pick<SealedReceipt, 'artifacts' | 'lease'>,
  { roots, moved }: Places,
): Promise<(artifact: Artifact) => Promise<Place>> {
  // What was rescued lies apart from what was fetched, and moved apart from it.
  const isRescued = ({ localPath }: Artifact): boolean => wasRescued(localPath, lease.podId);
  const cuts = await Promise.all(
    moved.map(async (folder) => ({
      folder,
      rescued: await cutOf(artifacts.filter(isRescued), folder),
      fetched: await cutOf(
        artifacts.filter((artifact) => !isRescued(artifact)),
        folder,
      ),
    })),
  );
  return async (artifact) => {
    const { localPath } = artifact;
    const isNamed = roots.some(
      (root) => path.isAbsolute(localPath) && isInside(root, path.resolve(localPath)),
    );
    const wished = [
      ...(isNamed ? [path.resolve(localPath)] : []),
      ...cuts.flatMap(({ folder, rescued, fetched }) =>
        below(folder, localPath, isRescued(artifact) ? rescued : fetched),
      ),
    ];
    for (const candidate of wished) {
      const place = await look(candidate, [...roots, ...moved]);
      if (place.kind !== 'none') return place;
    }
    if (isNamed) return { kind: 'none' };
    return { kind: moved.length > 0 ? 'unseen' : 'elsewhere' };
  };
}

/** By its path on the machine that wrote the receipt, whatever system that has. */
function wasRescued(localPath: string, podId: PodId): boolean {
  const parts = partsOf(localPath);
  const owner = rescueFolderOf(podId);
  return parts.some((part, at) => part === RESCUE_FOLDER && parts[at + 1] === owner);
}

async function look(candidate: string, roots: readonly string[]): Promise<Place> {
  const real = await realpath(candidate).catch(() => undefined);
  if (real === undefined) return { kind: 'none' };
  if (!roots.some((root) => isInside(root, real))) return { kind: 'odd' };
  const stats = await lstat(real).catch(() => undefined);
  if (stats === undefined) return { kind: 'none' };
  return stats.isFile() ? { kind: 'found', file: real } : { kind: 'odd' };
}

/** How many folders were cut off the front of all paths when they moved: what finds the most files, and cuts the least. */
async function cutOf(artifacts: readonly Artifact[], folder: string): Promise<number> {
  const tried = artifacts.slice(0, MOST_TRIED);
  const folders = tried.map(({ localPath }) => partsOf(localPath).slice(0, -1));
  const [first = []] = folders;
  let shared = 0;
  while (shared < first.length && folders.every((parts) => parts[shared] === first[shared]))
    shared += 1;
  let best = { cut: 0, found: -1 };
  for (let cut = 0; cut <= shared; cut += 1) {
    let found = 0;
    for (const { localPath } of tried)
      for (const candidate of below(folder, localPath, cut))
        if ((await look(candidate, [folder])).kind === 'found') found += 1;
    if (found > best.found) best = { cut, found };
  }
  // Nothing is anywhere: what is missing is named as it would lie directly below.
  return best.found === 0 ? shared : best.cut;
}

function below(folder: string, localPath: string, cut: number): readonly string[] {
  const parts = partsOf(localPath).slice(cut);
  return parts.length === 0 || parts.includes('..') || localPath.includes('\0')
    ? []
    : [path.join(folder, ...parts)];
}

/** Written on any system. */
function partsOf(localPath: string): readonly string[] {
  return localPath.split(/[/\\]/).filter((part) => part !== '' && part !== '.');
}
