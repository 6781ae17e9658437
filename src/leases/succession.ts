import type { Lease } from '../core/lease.ts';

/** A replacement that nobody made for so long is not wanted any more. */
export const CONTINUE_WITHIN_SECONDS = 600;

/** Another pod may yet come in its place, so whoever waits for it goes on waiting. */
export function mayBeFollowed({ mayReplace, blame, readyAt }: Lease): boolean {
  return mayReplace === true && readyAt === undefined && blame !== 'image' && blame !== 'ours';
}

/** It failed on its way up, and some server of ours ends it and rents the next candidate, unless that is called off. Pure. */
export function isToBeReplaced(lease: Lease, now: Date): boolean {
  if (!mayBeFollowed(lease) || lease.podId === undefined) return false;
  if (lease.state === 'closing') return true;
  // What a person stopped, started again or brought along is never taken away from them.
  if (lease.state !== 'closed')
    return (
      lease.failure !== undefined && lease.bootAt === undefined && lease.stoppedAt === undefined
    );
  return lease.replacedBy === undefined && isStillWanted(lease, now);
}

/** Whether a pod that is gone ended so lately that another in its place is still waited for. Pure. */
export function isStillWanted({ endedAt = '' }: Lease, now: Date): boolean {
  return (now.getTime() - Date.parse(endedAt)) / 1000 < CONTINUE_WITHIN_SECONDS;
}
