import type { Lease } from '../core/lease.ts';

/** A replacement that nobody made for so long is not wanted any more. */
export const CONTINUE_WITHIN_SECONDS = 600;
/** Only the process whose order was refused goes on to the next candidate: it asks for prices, and does so at once. */
const ORDER_AGAIN_WITHIN_SECONDS = 180;

/** Another pod may yet come in its place, so whoever waits for it goes on waiting. */
export function mayBeFollowed({ mayReplace, blame, readyAt }: Lease): boolean {
  return mayReplace === true && readyAt === undefined && blame !== 'image' && blame !== 'ours';
}

/**
 * It failed on its way up, or its order was refused, and some server of ours rents the next candidate, once this one is gone and
 * unless that is called off. Pure.
 */
export function isToBeReplaced(lease: Lease, now: Date): boolean {
  if (!mayBeFollowed(lease)) return false;
  if (lease.podId === undefined && lease.state !== 'closed') return false;
  if (lease.state === 'closing') return true;
  // What a person stopped, started again or brought along is never taken away from them.
  if (lease.state !== 'closed')
    return (
      lease.failure !== undefined && lease.bootAt === undefined && lease.stoppedAt === undefined
    );
  return lease.replacedBy === undefined && isStillWanted(lease, now);
}

/** Whether a pod that is gone ended, or an order was refused, so lately that another is still waited for. Pure. */
export function isStillWanted({ podId, endedAt = '' }: Lease, now: Date): boolean {
  const within = podId === undefined ? ORDER_AGAIN_WITHIN_SECONDS : CONTINUE_WITHIN_SECONDS;
  return (now.getTime() - Date.parse(endedAt)) / 1000 < within;
}
