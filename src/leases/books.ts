import type { Lease } from '../core/lease.ts';
import { dayOf, nextDayAt, sumFrom } from './days.ts';
import { reservedUsd, spentByDay, spentUsd } from './money.ts';

const HOUR_MS = 3_600_000;
/** A pod that stops at its deadline goes on costing its disk: so much of it is always reserved. */
const STORAGE_HOURS = 24;

export interface DayBook {
  /** "2026-01-31", UTC. */
  readonly day: string;
  /** Spent and reserved. */
  readonly usd: number;
  readonly spentUsd: number;
}

/** What the lease has cost and may still cost: until its deadline at full price, and a day of its disk where it only stops. */
export function wholeUsd(lease: Lease, now: Date): number {
  return spentUsd(lease, now) + reservedUsd(lease, now) + diskRateOf(lease) * STORAGE_HOURS;
}

/** Spent and reserved by all of them. */
export function bookedUsd(leases: readonly Lease[], now: Date): number {
  return leases.reduce((sum, lease) => sum + wholeUsd(lease, now), 0);
}

/**
 * Today and tomorrow by UTC. No later day can hold more than tomorrow: whatever is rented now costs its full price from its
 * first hour, and never more after that. What is on the books of days that have not come (the clock was set back) counts too.
 */
export function dayBooks(leases: readonly Lease[], now: Date): readonly [DayBook, DayBook] {
  const start = now.getTime();
  const midnight = nextDayAt(start);
  const end = nextDayAt(midnight);
  const bookOf = (day: string, from: number, to: number): DayBook => {
    const spent = leases.reduce((sum, lease) => sum + sumFrom(spentByDay(lease, now), day), 0);
    const reserved = leases.reduce((sum, lease) => sum + reservedIn(lease, from, to), 0);
    return { day, usd: spent + reserved, spentUsd: spent };
  };
  return [bookOf(dayOf(now), start, midnight), bookOf(dayOf(new Date(midnight)), midnight, end)];
}

/** From one moment to another, both in milliseconds since the epoch and not before now. */
function reservedIn(lease: Lease, from: number, to: number): number {
  if (lease.state === 'closed') return 0;
  const deadline = Date.parse(lease.deadlineAt);
  const running = Math.max(0, Math.min(to, deadline) - from);
  const stopped = Math.max(0, to - Math.max(from, deadline));
  return (lease.usdPerHour * running + diskRateOf(lease) * stopped) / HOUR_MS;
}

/** US dollars an hour after its deadline. A price that no provider named is counted as it comes, not ahead. */
function diskRateOf({ state, terms, offer }: Lease): number {
  return state !== 'closed' && terms.onExpiry === 'stop' ? (offer.usdPerHourStopped ?? 0) : 0;
}
