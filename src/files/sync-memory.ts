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
    printed: look.listing?.printed,
    entries: withFacts(entries, look.facts, look.nowSeconds),
    others: othersOf(known, entries),
  };
}

/** Files that were sent and are asked for no more: still known as ours, for as long as nobody touches them. `only`: the names that may be such. */
function othersOf(
  known: SyncState | undefined,
  entries: Entries,
  only: Iterable<string> | undefined = known?.entries.keys(),
): Entries {
  if (known === undefined) return new Map();
  const left = new Map<string, Remembered>();
  const keep = (name: string, entry: Remembered | undefined): void => {
    if (entry?.isFile === true && entry.sure && !entries.has(name)) left.set(name, entry);
  };
  for (const [name, entry] of known.others) keep(name, entry);
  for (const name of only ?? []) keep(name, known.entries.get(name));
  return left.size <= MOST_OTHERS ? left : new Map([...left].slice(-MOST_OTHERS));
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
  const { digest, printed, only } = listing;
  const entries = new Map(only === undefined ? [] : before.entries);
  for (const name of only ?? []) if (!listing.entries.has(name)) entries.delete(name);
  for (const [name, listed] of listing.entries) {
    const old = before.entries.get(name);
    const file = sent.get(name);
    if (file !== undefined) entries.set(name, rememberPlaced(listed, file, fenceSeconds));
    else entries.set(name, asBefore(old, listed));
  }
  const others = othersOf(before, entries, only);
  const since = only && { entries: before.entries, names: only };
  const state = { real: before.real, digest, printed, entries, others, since };
  if (only !== undefined && isSure(before))
    sure.set(
      entries,
      [...listing.entries.keys()].every((name) => isSureEntry(entries.get(name))),
    );
  return state;
}

/** Of the lists that were asked about lately. */
const sure = new WeakMap<Entries, boolean>();

/** Nothing there needs to be hashed as long as its stamp stays. */
export function isSure({ entries }: SyncState): boolean {
  const known = sure.get(entries);
  if (known !== undefined) return known;
  let isAll = true;
  for (const entry of entries.values()) isAll &&= isSureEntry(entry);
  sure.set(entries, isAll);
  return isAll;
}

function isSureEntry(entry: Remembered | undefined): boolean {
  return entry?.isFile !== true || (entry.sure && entry.sha256 !== undefined);
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
  const { isFile, isFolder, executable, bytes, stamp, modified, changedSeconds } = listed;
  const { sha256 } = file;
  return {
    isFile,
    isFolder,
    executable,
    bytes,
    stamp,
    modified,
    changedSeconds,
    sha256,
    sure: true,
  };
}

/** What was known of a name counts while its stamp is the same. */
function asBefore(old: Remembered | undefined, listed: Listed): Remembered {
  if (old?.stamp !== listed.stamp) return unsure(listed);
  return old === listed ? old : { ...old, ...plainOf(listed) };
}

function unsure(listed: Listed): Remembered {
  const { isFile, isFolder, executable, bytes, stamp, modified, changedSeconds } = listed;
  return { isFile, isFolder, executable, bytes, stamp, modified, changedSeconds, sure: false };
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

/** The pod has the file as it is here, and would have told of a change. */
export function isEqualForSure(entry: Remembered | undefined, file: PlannedFile): boolean {
  return (
    entry?.isFile === true &&
    entry.sure &&
    entry.sha256 === file.sha256 &&
    entry.executable === file.executable
  );
}

function mayBeEqual(entry: Remembered | undefined, bytes: number): boolean {
  if (entry === undefined || !entry.isFile || (entry.sure && entry.sha256 !== undefined))
    return false;
  return entry.bytes === bytes || entry.bytes === UNTOLD.bytes;
}
