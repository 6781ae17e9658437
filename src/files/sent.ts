import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { PodId } from '../core/ids.ts';
import { shellQuote } from '../core/shell-quote.ts';
import type { Pod } from './pod.ts';
import { changedAt, modifiedAt, type RemoteEntry } from './pod-listing.ts';
import { createStates, type Remembered } from './sync-state.ts';

/** More folders than this may be targets: then only some are looked up, and more is said to be left than is. */
const MOST_TARGETS = 2000;

/** Which files below a folder are what we ourselves sent there, untouched since. `isReal`: no link leads to it. */
export type SentBefore = (
  pod: Pod,
  root: string,
  entries: readonly RemoteEntry[],
  isReal?: boolean,
) => Promise<ReadonlySet<string>>;

/** Tells from what was noted when they were sent. Not knowing is `no`. */
export function createSentBefore(home: string, states = createStates(home)): SentBefore {
  const reals = new Map<string, string>();

  async function realOf(pod: Pod, root: string): Promise<string> {
    const key = `${pod.podId}\0${root}`;
    const known = reals.get(key);
    if (known !== undefined) return known;
    const output = await pod.must(`cd ${shellQuote(root)} && pwd -P`, {
      timeoutSeconds: 60,
      what: 'name its folder',
    });
    const real = output.toString('utf8').replace(/\n$/, '');
    reals.set(key, real);
    return real;
  }

  async function namesBelow(
    podId: PodId,
    root: string,
    entries: readonly RemoteEntry[],
  ): Promise<ReadonlySet<string>> {
    const byName = new Map(entries.map((entry) => [path.posix.join(root, entry.path), entry]));
    const sent = new Set<string>();
    for (const target of targetsOf(root, entries)) {
      const state = await states(podId, target).load();
      for (const [name, remembered] of [...(state?.entries ?? []), ...(state?.others ?? [])]) {
        const entry = byName.get(path.posix.join(target, name));
        if (entry !== undefined && isAsSent(entry, remembered)) sent.add(entry.path);
      }
    }
    return sent;
  }

  return async (pod, root, entries, isReal = false) => {
    const noted = await readdir(path.join(home, 'sync-state')).catch(() => []);
    if (noted.length === 0 || entries.length === 0) return new Set();
    return namesBelow(pod.podId, isReal ? root : await realOf(pod, root), entries);
  };
}

/** Where a transfer that put these files there may have aimed at: their folders, and those above. */
function targetsOf(root: string, entries: readonly RemoteEntry[]): readonly string[] {
  const targets = new Set<string>();
  const add = (folder: string): void => {
    for (let at = folder; at !== '/' && !targets.has(at); at = path.posix.dirname(at)) {
      if (targets.size >= MOST_TARGETS) return;
      targets.add(at);
    }
  };
  add(root);
  for (const entry of entries) add(path.posix.dirname(path.posix.join(root, entry.path)));
  return [...targets];
}

/**
 * A file is sent with a time of last change in whole seconds, which a program that writes to it does not leave; no program
 * sets the time of change itself.
 */
function isAsSent(entry: RemoteEntry, { sha256, sure, ...noted }: Remembered): boolean {
  const changed = changedAt(entry.stamp);
  const isCoarse = Number.isInteger(changed) || Number.isInteger(noted.changedSeconds);
  return (
    sha256 !== undefined &&
    sure &&
    noted.isFile &&
    noted.bytes === entry.bytes &&
    /^\d+$/.test(noted.modified) &&
    Number(noted.modified) === modifiedAt(entry.stamp) &&
    (isCoarse
      ? Math.floor(changed) === Math.floor(noted.changedSeconds)
      : changed === noted.changedSeconds)
  );
}
