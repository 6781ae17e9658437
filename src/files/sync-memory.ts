import { sentSeconds } from './pack.ts';
import type { After } from './placed.ts';
import type { RemoteFact } from './pod-names.ts';
import type { Look } from './sync-look.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { Remembered, SyncState } from './sync-state.ts';
import { type Listed, secondsOf, UNTOLD } from './tree-listing.ts';
import type { LocalFile } from './walk.ts';

/** A change this shortly before a file was hashed may be followed by one with the same time. */
const UNSURE_SECONDS = 2;
const MOST_OTHERS = 50_000;

type Entries = ReadonlyMap<string, Remembered>;

/** What is known of every name after a look: what was remembered counts where the stamp is still the same. */
export function afterLook(before: SyncState | undefined, look: Look): SyncState {
  const known = before?.real === look.real ? before : undefined;
  if (look.listing === undefined && known !== undefined)
    return { ...known, entries: withFacts(known.entries, look.facts, look.nowSeconds) };
  const entries = new Map<string, Remembered>();
  for (const [name, listed] of look.listing?.entries ?? []) {
    entries.set(name, asBefore(known?.entries.get(name), listed));
  }
  return {
    real: look.real,
    digest: look.listing?.digest ?? '',
    entries: withFacts(entries, look.facts, look.nowSeconds),
    others: othersOf(known, entries),
  };
}

/** Files that were sent and are asked for no more: still known as ours, for as long as nobody touches them. */
function othersOf(known: SyncState | undefined, entries: Entries): Entries {
  if (known === undefined) return new Map();
  const isLeft = ([name, { isFile, sure }]: readonly [string, Remembered]): boolean =>
    isFile && sure && !entries.has(name);
  const left = [...known.others, ...known.entries].filter(isLeft);
  return new Map(left.slice(-MOST_OTHERS));
}

/** Hashes that the pod just told. `nowSeconds`: its clock before it hashed. */
export function withFacts(
  entries: Entries,
  facts: ReadonlyMap<string, RemoteFact>,
  nowSeconds: number,
): Entries {
  if (facts.size === 0) return entries;
  const next = new Map(entries);
  for (const [name, { sha256 }] of facts) {
    const entry = next.get(name);
    if (entry === undefined || sha256 === undefined) continue;
    next.set(name, {
      ...entry,
      sha256,
      sure:
        (entry.sure && entry.sha256 === sha256) ||
        entry.changedSeconds < nowSeconds - UNSURE_SECONDS,
    });
  }
  return next;
}

/** After files were moved into place: theirs are the hashes that were checked, as long as nothing touched them since. */
export function afterSend(
  before: SyncState,
  placed: readonly PlannedFile[],
  { listing, fence }: After,
): SyncState {
  const sent = new Map(placed.map((file) => [file.path, file]));
  const fenceSeconds = fence === undefined ? undefined : secondsOf(fence);
  const entries = new Map<string, Remembered>();
  for (const [name, listed] of listing.entries) {
    const old = before.entries.get(name);
    const file = sent.get(name);
    if (file !== undefined) entries.set(name, rememberPlaced(listed, file, fenceSeconds));
    else entries.set(name, asBefore(old, listed));
  }
  return { real: before.real, digest: listing.digest, entries, others: othersOf(before, entries) };
}

/** Its time of last change is the one it was sent with: whoever writes to it changes that. */
function rememberPlaced(
  listed: Listed,
  file: PlannedFile,
  fenceSeconds: number | undefined,
): Remembered {
  const untouched =
    listed.isFile && listed.bytes === file.bytes && listed.modified === String(sentSeconds(file));
  if (!untouched || fenceSeconds === undefined || listed.changedSeconds > fenceSeconds)
    return unsure(listed);
  return { ...listed, sha256: file.sha256, sure: true };
}

/** What was known of a name counts while its stamp is the same. */
function asBefore(old: Remembered | undefined, listed: Listed): Remembered {
  if (old?.stamp !== listed.stamp) return unsure(listed);
  return old === listed ? old : { ...old, ...plainOf(listed) };
}

function unsure(listed: Listed): Remembered {
  return { ...plainOf(listed), sure: false };
}

/** No more than was listed, also of one that is remembered. */
function plainOf(listed: Listed): Listed {
  const { isFile, isFolder, executable, bytes, stamp, modified, changedSeconds } = listed;
  return { isFile, isFolder, executable, bytes, stamp, modified, changedSeconds };
}

/** What is remembered as facts to plan by, unless one of `fresh` says more. */
export function factsOf(
  entries: Entries,
  ...fresh: readonly ReadonlyMap<string, RemoteFact>[]
): Pick<ReadonlyMap<string, RemoteFact>, 'get'> {
  const told = fresh.filter(({ size }) => size > 0);
  return {
    get(path) {
      for (const facts of told) {
        const fact = facts.get(path);
        if (fact !== undefined) return fact;
      }
      const entry = entries.get(path);
      if (entry?.isFolder === true) return { executable: false, conflict: true };
      if (entry?.isFile !== true) return undefined;
      const { sha256, executable } = entry;
      return sha256 === undefined
        ? { executable, conflict: false }
        : { sha256, executable, conflict: false };
    },
  };
}

/** Files that may be equal on the pod, but nobody knows without hashing them there. */
export function unknownOf<File extends LocalFile>(
  entries: Entries,
  files: readonly File[],
  hashed: ReadonlyMap<string, RemoteFact>,
): readonly File[] {
  return files.filter(
    ({ path, bytes }) => mayBeEqual(entries.get(path), bytes) && !hashed.has(path),
  );
}

function mayBeEqual(entry: Remembered | undefined, bytes: number): boolean {
  if (entry === undefined || !entry.isFile || (entry.sure && entry.sha256 !== undefined))
    return false;
  return entry.bytes === bytes || entry.bytes === UNTOLD.bytes;
}
