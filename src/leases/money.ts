import type { Lease, Terms } from '../core/lease.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** US dollars an hour that the lease costs now: less only where the provider told what a stopped pod costs. */
export function rateOf(lease: Lease): number {
  if (lease.state === 'closed') return 0;
  return lease.stoppedAt === undefined
    ? lease.usdPerHour
    : (lease.offer.usdPerHourStopped ?? lease.usdPerHour);
}

/** What it costs at this moment: a pod that its cloud stopped (outbid) does not cost its full price either. */
export function rateNow(lease: Lease): number {
  const { state, observedStatus, readyAt, offer } = lease;
  return state === 'open' && observedStatus === 'stopped' && readyAt !== undefined
    ? (offer.usdPerHourStopped ?? rateOf(lease))
    : rateOf(lease);
}

/** Rounded to a ten-thousandth of a cent: what is left of fractions is no money. */
export function roundUsd(amount: number): number {
  return Math.round(amount * 1_000_000) / 1_000_000;
}

/** Estimated from price and time, from the moment the pod was asked for. */
export function spentUsd(lease: Lease, now: Date): number {
  const from = Date.parse(lease.accruedAt ?? lease.createdAt);
  const hours = Math.max(0, now.getTime() - from) / HOUR_MS;
  return (lease.accruedUsd ?? 0) + hours * rateOf(lease);
}

/** The same lease with its spending up to `now` written down, so that the rate may change from here. */
export function accrued(lease: Lease, now: Date): Lease {
  return { ...lease, accruedUsd: spentUsd(lease, now), accruedAt: now.toISOString() };
}

/** Money that the lease may still cost until its deadline, at full price even while stopped. */
export function reservedUsd(lease: Lease, now: Date): number {
  return lease.state === 'closed' ? 0 : lease.usdPerHour * hoursLeft(lease, now);
}

export function hoursLeft(lease: Lease, now: Date): number {
  return Math.max(0, Date.parse(lease.deadlineAt) - now.getTime()) / HOUR_MS;
}

/** What of `spentUsd` was spent after `since`; leases that were stopped in between count at their average. */
export function spentSince(lease: Lease, since: Date, now: Date): number {
  const start = Date.parse(lease.createdAt);
  const end = lease.endedAt === undefined ? now.getTime() : Date.parse(lease.endedAt);
  const whole = Math.max(1, end - start);
  const part = Math.max(0, end - Math.max(start, since.getTime()));
  return spentUsd(lease, now) * Math.min(1, part / whole);
}

/**
 * Minutes until the deadline: the time asked for, or less where the budget ends before. So the budget binds through the
 * deadline, which holds when no process of ours runs.
 */
export function bindingMinutes(
  terms: Pick<Terms, 'ttlMinutes' | 'budgetUsd'>,
  usdPerHour: number,
): number {
  if (terms.budgetUsd === undefined || usdPerHour === 0) return terms.ttlMinutes;
  return Math.min(terms.ttlMinutes, (terms.budgetUsd / usdPerHour) * 60);
}

export function usdFor(minutes: number, usdPerHour: number): number {
  return (minutes / 60) * usdPerHour;
}

export function minutesAfter(from: Date, minutes: number): string {
  return new Date(from.getTime() + minutes * MINUTE_MS).toISOString();
}

export function usd(amount: number): string {
  return `$${amount.toFixed(amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2)}`;
}
