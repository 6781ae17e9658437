import type { Lease, Terms } from '../core/lease.ts';
import { addDays, type DayUsd, spread } from './days.ts';

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
  const hours = Math.max(0, now.getTime() - countedTo(lease)) / HOUR_MS;
  return (lease.accruedUsd ?? 0) + hours * rateOf(lease);
}

/**
 * The same lease with its spending up to `now` written down, so that the rate may change from here. What is written down is
 * never counted again and never given back, whatever the clock says after that.
 */
export function accrued(lease: Lease, now: Date): Lease {
  const from = countedTo(lease);
  return {
    ...lease,
    accruedUsd: spentUsd(lease, now),
    accruedAt: new Date(from > now.getTime() ? from : now).toISOString(),
    accruedByDay: spentByDay(lease, now),
  };
}

/** What `spentUsd` consists of, by UTC day: a lease over midnight counts in both days with its part of each. */
export function spentByDay(lease: Lease, now: Date): DayUsd {
  return addDays(recordedByDay(lease), spread(rateOf(lease), countedTo(lease), now.getTime()));
}

/** Leases of before days were written down: their spending is taken as even. */
function recordedByDay({ accruedByDay, accruedUsd = 0, accruedAt, createdAt }: Lease): DayUsd {
  if (accruedByDay !== undefined) return accruedByDay;
  if (accruedUsd === 0 || accruedAt === undefined) return {};
  const [from, to] = [Date.parse(createdAt), Date.parse(accruedAt)];
  return to > from
    ? spread(accruedUsd / ((to - from) / HOUR_MS), from, to)
    : { [accruedAt.slice(0, 10)]: accruedUsd };
}

function countedTo({ accruedAt, createdAt }: Lease): number {
  return Date.parse(accruedAt ?? createdAt);
}

/** Money that the lease may still cost until its deadline, at full price even while stopped. */
export function reservedUsd(lease: Lease, now: Date): number {
  return lease.state === 'closed' ? 0 : lease.usdPerHour * hoursLeft(lease, now);
}

export function hoursLeft(lease: Lease, now: Date): number {
  return Math.max(0, Date.parse(lease.deadlineAt) - now.getTime()) / HOUR_MS;
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
