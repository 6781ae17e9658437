import type { Lease } from '../core/lease.ts';

/** Whether somebody must look after this lease when no server runs: it costs money, or may do so, or left a disk that does. */
export function isCaredFor({ state, provider, usdPerHour, newVolume }: Lease): boolean {
  if (provider === 'local' && usdPerHour === 0) return false;
  return state !== 'closed' || newVolume?.state === 'asked';
}
