import type { SyncRequest } from '../core/files.ts';
import { keepNewest } from './kept.ts';
import type { Hashed } from './sync-local.ts';
import type { Look } from './sync-look.ts';
import { unknownOf } from './sync-memory.ts';
import type { PlannedFile, SyncPlan } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';
import { createWalkMemory, type WalkMemory } from './walk-memory.ts';

interface Compared {
  readonly plan: SyncPlan;
  readonly state: SyncState;
}
/** What one sync leaves for the next one with the same rules, pod and target. */
export interface TreeMemory {
  readonly walk: WalkMemory;
  readonly hashed: Hashed;
  /** The plan, when neither side changed since the last time that it was to send nothing. */
  equal(look: Look, before: SyncState, files: readonly PlannedFile[]): Compared | undefined;
  /** Remembers a plan that is to send nothing, and gives it back. */
  compared(made: Compared, files: readonly PlannedFile[]): Compared;
}

const MOST_KEPT = 4;

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
  let last: (Compared & { readonly files: readonly PlannedFile[] }) | undefined;
  return {
    walk: createWalkMemory(),
    hashed: { files: [], planned: [] },
    equal(look, before, files) {
      const toldNothing =
        look.kind === 'folder' &&
        look.listing === undefined &&
        look.facts.size + look.blocked.length === 0;
      return toldNothing && last?.files === files && last.state.entries === before.entries
        ? { plan: last.plan, state: before }
        : undefined;
    },
    compared(made, files) {
      const { plan, state } = made;
      const isSure =
        plan.send.length === 0 && unknownOf(state.entries, files, new Map()).length === 0;
      last = isSure ? { ...made, files } : undefined;
      return made;
    },
  };
}
