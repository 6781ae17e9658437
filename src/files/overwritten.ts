import { count } from '../core/count.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { Remembered, SyncState } from './sync-state.ts';

const SHOWN = 3;

/**
 * A word about files that the pod changed since the last sync and that this one replaces: an edit made there is gone then.
 * What was only touched there is not counted.
 */
export function overwrittenWords(
  last: SyncState | undefined,
  now: SyncState,
  send: readonly PlannedFile[],
): readonly string[] {
  if (last?.real !== now.real || last.entries === now.entries) return [];
  const changed = send.filter(({ path }) => {
    const [before, after] = [fileIn(last, path), fileIn(now, path)];
    return before !== undefined && after !== undefined && differ(before, after);
  });
  if (changed.length === 0) return [];
  const names = changed.slice(0, SHOWN).map(({ path }) => JSON.stringify(path));
  const more = changed.length > SHOWN ? ' and more' : '';
  return [
    `${count(changed.length, 'file')} changed on the pod since the last sync, and replaced by what is here: ${names.join(', ')}${more}.`,
  ];
}

function fileIn({ entries }: SyncState, path: string): Remembered | undefined {
  const entry = entries.get(path);
  return entry?.isFile === true ? entry : undefined;
}

/** As far as both are known. */
function differ(one: Remembered, other: Remembered): boolean {
  if (one.bytes !== other.bytes) return true;
  return (one.sha256 ?? other.sha256) !== (other.sha256 ?? one.sha256);
}
