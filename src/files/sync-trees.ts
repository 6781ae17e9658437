import type { SyncRequest } from '../core/files.ts';
import { keepNewest } from './kept.ts';
import type { Hashed } from './sync-local.ts';
import type { Look } from './sync-look.ts';
import { factsOf, isEqualForSure, unknownOf } from './sync-memory.ts';
import { type PlannedFile, planSync, type SyncPlan } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';
import { createWalkMemory, type WalkMemory } from './walk-memory.ts';

/** What one sync leaves for the next one with the same rules, pod and target. */
export interface TreeMemory {
  readonly walk: WalkMemory;
  readonly hashed: Hashed;
  /**
   * The plan and the state that it is made by. When the pod has what it had when all files were known to be equal there, only
   * those that changed here since are compared; else, or when one of them needs to be asked about, `compareAll` does it.
   */
  compared(
    look: Look,
    before: SyncState,
    files: readonly PlannedFile[],
    compareAll: () => Promise<Compared>,
  ): Promise<Compared>;
  /** Remembers what both sides have after that plan was carried out. */
  settled(state: SyncState, files: readonly PlannedFile[]): void;
}
interface Compared {
  readonly plan: SyncPlan;
  readonly state: SyncState;
}

const MOST_KEPT = 4;
const NO_FACTS = new Map<string, never>();

/** Kept in memory alone: a tree is read and compared whole after a start. */
export function createTrees(): (request: SyncRequest, local: string, target: string) => TreeMemory {
  const kept = new Map<string, TreeMemory>();
  return ({ podId, include, exclude, allowSecrets }, local, target) => {
    const key = JSON.stringify([podId, local, target, include, exclude, allowSecrets]);
    const tree = kept.get(key) ?? createTree();
    keepNewest(kept, key, tree, MOST_KEPT);
    return tree;
  };
}

function createTree(): TreeMemory {
  /** Every one of `files` is on the pod as it is here, for sure, as long as it has `entries`. */
  let last: (Pick<SyncState, 'entries'> & { readonly files: readonly PlannedFile[] }) | undefined;
  /** Of those that changed since; undefined where all were compared. */
  let planned: SyncPlan | undefined;
  const planOf = (
    look: Look,
    before: SyncState,
    files: readonly PlannedFile[],
  ): SyncPlan | undefined => {
    const toldNothing =
      look.kind === 'folder' &&
      look.listing === undefined &&
      look.facts.size + look.blocked.length === 0;
    if (!toldNothing || last?.entries !== before.entries) return undefined;
    if (last.files === files) return { send: [], unchanged: files, conflicts: [] };
    const changed = changedSince(last.files, files);
    if (changed === undefined || unknownOf(before.entries, changed, NO_FACTS).length > 0)
      return undefined;
    const { send, conflicts } = planSync(changed, factsOf(before.entries));
    if (conflicts.length > 0) return undefined;
    const goes = new Set(send);
    return { send, unchanged: files.filter((file) => !goes.has(file)), conflicts };
  };
  return {
    walk: createWalkMemory(),
    hashed: { files: [], planned: [] },
    async compared(look, before, files, compareAll) {
      planned = planOf(look, before, files);
      return planned === undefined ? compareAll() : { plan: planned, state: before };
    },
    settled(state, files) {
      const { entries } = state;
      if (last?.entries === entries && last.files === files) return;
      const isSure =
        planned !== undefined && last !== undefined && state.since?.entries === last.entries
          ? sinceIsSure(last.entries, state, planned.send)
          : files.every((file) => isEqualForSure(entries.get(file.path), file));
      last = isSure ? { entries, files } : undefined;
    },
  };
}

/** Whether of all that may differ from `before`, where every file was sure, each is what was sent, and all that was sent is there. */
function sinceIsSure(
  before: SyncState['entries'],
  { entries, since }: SyncState,
  send: readonly PlannedFile[],
): boolean {
  const sent = new Map(send.map((file) => [file.path, file]));
  for (const name of since?.names ?? []) {
    const [old, now] = [before.get(name), entries.get(name)];
    // The pod may have changed a file while others were sent.
    if (old !== now && !sent.has(name) && (old?.isFile === true || now?.isFile === true))
      return false;
  }
  return send.every((file) => isEqualForSure(entries.get(file.path), file));
}

/** Undefined when they are not the same names. */
function changedSince(
  before: readonly PlannedFile[],
  now: readonly PlannedFile[],
): readonly PlannedFile[] | undefined {
  if (before.length !== now.length) return undefined;
  const changed: PlannedFile[] = [];
  for (const [index, file] of now.entries()) {
    const old = before[index];
    if (file === old) continue;
    if (file.path !== old?.path) return undefined;
    changed.push(file);
  }
  return changed;
}
