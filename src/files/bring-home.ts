import type { PodId } from '../core/ids.ts';
import type { FilesDeps } from './deps.ts';
import { type Gathered, gather, type Settled } from './gather.ts';
import type { HomeCache } from './home-cache.ts';
import { createKeeper, type Keeper, throwWithKept } from './keep-edited.ts';
import { checkLanded, landFiles, removeFolder } from './land.ts';
import { withLocalFailures } from './local-failure.ts';
import type { Sighting, Wanted } from './manifest.ts';
import { checkLanding } from './may-land.ts';
import { takePartial } from './partial.ts';
import type { Pod } from './pod.ts';
import type { RemoteEntry } from './pod-listing.ts';
import { recordedHere, refuseOthersOnly } from './records.ts';
import { refuseNothing } from './refused.ts';

export interface Home extends Gathered {
  /** Neither side touched these since an earlier fetch. */
  readonly untouched: ReadonlySet<string>;
  readonly kept: Keeper['kept'];
}

/**
 * Brings what was seen to `destination`. All of it lands together, after the last hash agreed: a failure before that
 * changes nothing there. What both sides still have as an earlier fetch proved it is not read again.
 */
export async function bringHome(
  deps: FilesDeps,
  pod: Pod,
  wanted: Wanted,
  seen: Sighting,
  cache: HomeCache,
  { podId, destination }: { readonly podId: PodId; readonly destination: string },
  strict: boolean,
): Promise<Home> {
  const known = new Map<string, Settled>();
  for (const { path, bytes, stamp, source } of seen.files) {
    const sha256 = cache.known({ path, bytes, stamp });
    if (sha256 !== undefined)
      known.set(path, { path, bytes, stamp, sha256, ...(source === undefined ? {} : { source }) });
  }
  const untouched = new Set(known.keys());
  if (known.size === seen.files.length)
    return {
      ...seen,
      files: [...known.values()],
      unsettled: [],
      vanished: [],
      untouched,
      kept: new Map(),
    };

  const keeper = createKeeper(
    destination,
    { isUntouched: cache.isUntouched, isOurs: recordedHere(deps) },
    pod.call.signal,
  );
  const seenPaths = new Set(seen.files.map(({ path }) => path));
  return withLocalFailures(async () => {
    await using partial = await takePartial(deps.workspace, destination, podId);
    const gathered = await gather(pod, seen, known, {
      clock: deps.clock,
      wanted,
      destination,
      partialFolder: partial.folder,
      async mayLand(files: readonly RemoteEntry[]) {
        // What was seen first was checked before anything was asked of the pod.
        await checkLanding(
          destination,
          files.filter(({ path }) => !seenPaths.has(path)),
        );
        await refuseOthersOnly(deps, podId, wanted.root, destination, files, pod.call);
      },
    });
    refuseNothing(gathered, wanted.patterns, strict);
    const landing = gathered.files.flatMap(({ path, bytes, arrived }) =>
      arrived === undefined ? [] : [{ path, bytes, arrived }],
    );
    pod.call.signal.throwIfAborted();
    await landFiles(destination, partial.folder, landing, keeper.giveWay);
    await removeFolder(partial.folder);
    await checkLanded(destination, landing, pod.call.signal);
    return { ...gathered, untouched, kept: keeper.kept };
  }).catch((thrown: unknown) => throwWithKept(thrown, keeper.kept));
}
