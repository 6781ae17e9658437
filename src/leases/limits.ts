import { PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import { hoursLeft, reservedUsd, spentSince, spentUsd, usd } from './money.ts';

/** Set by the person who runs the server; no agent can lift them. */
export interface Limits {
  /** Of all pods together. */
  readonly maxUsdPerHour?: number | undefined;
  /** Spent and reserved, over all leases ever. */
  readonly budgetUsd?: number | undefined;
  /** Spent in the last 24 hours and reserved for the next 24. */
  readonly budgetDayUsd?: number | undefined;
  readonly maxPods?: number | undefined;
  /** A lease whose whole price is at most this needs no confirmation. */
  readonly autoApproveUsd?: number | undefined;
}

const DAY_MS = 86_400_000;
const DAY_HOURS = 24;

/**
 * Whether `wanted` may exist beside `others` (all leases but its older self). Call inside the transaction that writes it.
 * Throws `budget_exceeded` with the numbers of now.
 */
export function checkLimits(
  wanted: Lease,
  others: readonly Lease[],
  limits: Limits,
  now: Date,
): void {
  const all = [...others, wanted];
  const alive = all.filter(({ state }) => state !== 'closed');
  const pods = alive.length;
  if (limits.maxPods !== undefined && pods > limits.maxPods)
    refuse('GPU_LEASE_MAX_PODS', `${pods - 1} pods are alive and the limit is ${limits.maxPods}`);
  if (wanted.usdPerHour === 0) return;
  const perHour = alive.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0);
  if (exceeds(perHour, limits.maxUsdPerHour))
    refuse(
      'GPU_LEASE_MAX_USD_PER_HOUR',
      `all pods together would cost ${usd(perHour)} an hour (${usd(perHour - wanted.usdPerHour)} now) and the limit is ${usd(limits.maxUsdPerHour)}`,
    );
  const since = new Date(now.getTime() - DAY_MS);
  const commitments = (of: readonly Lease[]): number =>
    of.reduce((sum, lease) => sum + spentUsd(lease, now) + reservedUsd(lease, now), 0);
  const dayCommitments = (of: readonly Lease[]): number =>
    of.reduce(
      (sum, lease) =>
        sum +
        spentSince(lease, since, now) +
        (lease.state === 'closed'
          ? 0
          : lease.usdPerHour * Math.min(DAY_HOURS, hoursLeft(lease, now))),
      0,
    );
  checkSum('GPU_LEASE_BUDGET_USD', limits.budgetUsd, commitments(others), commitments([wanted]));
  checkSum(
    'GPU_LEASE_BUDGET_DAY_USD',
    limits.budgetDayUsd,
    dayCommitments(others),
    dayCommitments([wanted]),
  );
}

function checkSum(name: string, limit: number | undefined, before: number, wanted: number): void {
  if (exceeds(before + wanted, limit))
    refuse(
      name,
      `${usd(before)} is spent or reserved, this needs ${usd(wanted)} and the limit is ${usd(limit)}`,
    );
}

/** A thousandth of a cent is the noise of adding up fractions, not money. A sum that is no number is over any limit. */
function exceeds(amount: number, limit: number | undefined): limit is number {
  return limit !== undefined && !(amount <= limit + 0.000_01);
}

function refuse(name: string, why: string): never {
  throw new PolicyError('budget_exceeded', `${name} forbids this: ${why}.`);
}
