import type { ProviderName } from '../core/ids.ts';
import type { Watcher } from '../core/watcher.ts';
import { createKeep, type KeepDeps } from './keep.ts';
import { createEnsure, type StartDeps, type WatchProgram } from './start.ts';
import { createStatus, reaches } from './status.ts';

export interface WatcherDeps extends KeepDeps, Omit<StartDeps, 'program'> {
  /** The person wants one. */
  readonly isOn: boolean;
  /** Absent: this process starts none. */
  readonly program?: WatchProgram | undefined;
}

/** The watcher as the servers, the tools and the commands know it. */
export function createWatcher({ isOn, program, ...deps }: WatcherDeps): Watcher {
  return {
    status: createStatus({ ...deps, isOn }),
    ensure:
      isOn && program !== undefined
        ? createEnsure({ ...deps, program })
        : async () => Promise.resolve(),
    watch: createKeep(deps),
  };
}

/** Whether another process watches the leases of this cloud now. */
export async function isWatchedElsewhere(
  { lock }: Pick<KeepDeps, 'lock'>,
  provider: ProviderName,
): Promise<boolean> {
  if (lock.isMine()) return false;
  const holder = await lock.holder();
  return holder !== undefined && reaches(holder, provider);
}
