import { keepNewest } from './kept.ts';
import type { Pod } from './pod.ts';
import { foldersOf } from './pod-names.ts';
import type { PodFolders } from './remote-target.ts';
import { type Look, lookAt } from './sync-look.ts';
import { isSure, unknownOf } from './sync-memory.ts';
import type { SyncState } from './sync-state.ts';
import { listsFolders } from './tree-listing.ts';
import type { LocalFile, Walked } from './walk.ts';

/** The names that the pod was asked for. */
interface Asked {
  /** Whose names they are. */
  readonly of: Walked['files'];
  readonly files: readonly string[];
  readonly folders: readonly string[];
}
interface Place {
  readonly target: string;
  /** Of the one file; empty for a folder. */
  readonly name: string;
  readonly folders: PodFolders;
}
/** A look at the pod that began before the local tree was read. */
export interface Looking {
  /** What this needs to know of the pod for these files. A large one that is `unknownHere` is compared later. */
  for(walked: Walked, unknownHere: (file: LocalFile) => boolean): Promise<Look>;
  /** Ends when nothing of it runs any more. */
  settled(): Promise<void>;
}
export type StartLooking = (pod: Pod, place: Place, remembered: SyncState | undefined) => Looking;

/** Most syncs of a tree find the names of the time before: the pod can list them while the tree is read. */
export function createLooking(): StartLooking {
  const before = new Map<string, Asked>();
  return (pod, place, remembered) => {
    const key = `${pod.podId}\0${place.target}\0${place.name}`;
    const known = before.get(key);
    const look = async (asked: Asked, hash: Parameters<typeof lookAt>[1]['hash']): Promise<Look> =>
      lookAt(
        pod,
        {
          ...asked,
          target: place.target,
          work: place.folders.work,
          hash,
          digest: remembered?.digest ?? '',
          known: remembered?.entries,
        },
        place.name === '' ? undefined : place.name,
      );
    const running: Promise<unknown>[] = [];
    const begin = async (work: Promise<Look>): Promise<Look> => {
      running.push(work.catch(() => undefined));
      return work;
    };
    const early =
      known !== undefined && remembered !== undefined && isSure(remembered)
        ? begin(look(known, []))
        : undefined;
    // Awaited later, or not at all.
    early?.catch(() => undefined);
    return {
      async for({ files }, unknownHere) {
        if (early !== undefined && known?.of === files) return early;
        const names = files.map(({ path }) => path);
        const asked = { of: files, files: names, folders: foldersOf(names) };
        if (early !== undefined && known !== undefined && isSame(known, asked)) {
          keepNewest(before, key, { ...known, of: files }, MOST_KEPT);
          return early;
        }
        keepNewest(before, key, asked, MOST_KEPT);
        const comparable = files.filter((file) => !unknownHere(file));
        return begin(
          look(asked, unknownOf(remembered?.entries ?? new Map(), comparable, new Map())),
        );
      },
      async settled() {
        await Promise.all(running);
      },
    };
  };
}

const MOST_KEPT = 8;

/** Whether the pod is asked the same in both cases. */
function isSame(one: Asked, other: Asked): boolean {
  if (!sameList(one.folders, other.folders)) return false;
  return listsFolders(one.files) && listsFolders(other.files)
    ? true
    : sameList(one.files, other.files);
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
