import { count } from '../core/count.ts';
import { RemoteError } from '../core/errors.ts';
import type { Look } from './sync-look.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';

const HEADROOM = 1.2;

/** Which of both the pod is known to have too little of for these files. */
export function lacksRoom(
  look: Look,
  files: readonly PlannedFile[],
): 'bytes' | 'inodes' | undefined {
  if (files.length === 0) return undefined;
  if (look.freeBytes !== undefined && look.freeBytes < neededBytes(files)) return 'bytes';
  if (look.freeInodes !== undefined && look.freeInodes < files.length * HEADROOM) return 'inodes';
  return undefined;
}

/** Throws `disk_full` when they cannot be put beside what is there. */
export function refuseFull(look: Look, files: readonly PlannedFile[]): void {
  const lacking = lacksRoom(look, files);
  if (lacking !== undefined)
    throw new RemoteError(
      'disk_full',
      lacking === 'bytes'
        ? `${Math.ceil(neededBytes(files) / 1e6)} MB are needed on the pod and ${Math.floor((look.freeBytes ?? 0) / 1e6)} MB are free. Nothing was sent.`
        : `The pod has too few inodes left for ${count(files.length, 'file')}. Nothing was sent.`,
    );
}

function neededBytes(files: readonly PlannedFile[]): number {
  return totalBytes(files) * HEADROOM;
}
