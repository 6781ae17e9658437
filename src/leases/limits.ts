import { PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import { bookedUsd, dayBooks, wholeUsd } from './books.ts';
import { isLeaseOf } from './ledger.ts';
import { spentUsd, usd } from './money.ts';

/** From this share of a limit on, its use is told. */
export const WARNING_SHARE = 0.8;

/** Set by the person who runs the server; no agent can lift them. */
export interface Limits {
  /** Of all pods together. */
  readonly maxUsdPerHour?: number | undefined;
  /** Spent and reserved, over all leases ever. */
  readonly budgetUsd?: number | undefined;
  /** Spent and reserved in one UTC day. A lease over midnight counts in both days. */
  readonly budgetDayUsd?: number | undefined;
  /** Spent and reserved for one pod and those whose place it took. */
  readonly budgetPodUsd?: number | undefined;
  readonly maxPods?: number | undefined;
  /** A pod with a price on which nothing was seen to run for so long is ended by its own policy. Absent: none is. */
  readonly idleMinutes?: number | undefined;
  /** A lease whose whole price is at most this needs no confirmation. */
  readonly autoApproveUsd?: number | undefined;
}

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
    refuse(
      'GPU_LEASE_MAX_PODS',
      `${pods - 1} pods are alive and the limit is ${limits.maxPods}`,
      'Destroy a pod that is not needed any more',
    );
  if (wanted.usdPerHour === 0) return;
  const isNew = wanted.podId === undefined;
  const less = isNew ? 'Choose a cheaper offer or a shorter ttlMinutes' : 'Give fewer ttlMinutes';
  const perHour = alive.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0);
  if (exceeds(perHour, limits.maxUsdPerHour))
    refuse(
      'GPU_LEASE_MAX_USD_PER_HOUR',
      `all pods together would cost ${usd(perHour)} an hour (${usd(perHour - wanted.usdPerHour)} now) and the limit is ${usd(limits.maxUsdPerHour)}`,
      `${isNew ? 'Choose a cheaper offer, destroy' : 'Destroy'} a pod that is not needed any more`,
    );
  checkSum(
    'GPU_LEASE_BUDGET_POD_USD',
    limits.budgetPodUsd,
    predecessorsOf(wanted, others).reduce((sum, lease) => sum + spentUsd(lease, now), 0),
    wholeUsd(wanted, now),
    'for this pod',
    less,
  );
  checkSum(
    'GPU_LEASE_BUDGET_USD',
    limits.budgetUsd,
    bookedUsd(others, now),
    bookedUsd([wanted], now),
    'in all',
    `${less}, destroy a pod that is not needed any more`,
  );
  const [before, own] = [dayBooks(others, now), dayBooks([wanted], now)];
  for (const [index, { day, usd: mine }] of own.entries())
    checkSum(
      'GPU_LEASE_BUDGET_DAY_USD',
      limits.budgetDayUsd,
      before[index]?.usd ?? Number.NaN,
      mine,
      `for ${day} (UTC)`,
      `${less}, destroy a pod that is not needed any more`,
    );
}

/** Throws `budget_exceeded` for a budget that a limit of the person binds before it: it would promise what nobody may spend. */
export function checkBudget(
  lease: Lease,
  budgetUsd: number,
  others: readonly Lease[],
  { budgetPodUsd }: Limits,
  now: Date,
): void {
  const left = podBudgetLeft(lease, others, { budgetPodUsd }, now);
  if (lease.usdPerHour === 0 || !exceeds(budgetUsd, left)) return;
  refuse(
    'GPU_LEASE_BUDGET_POD_USD',
    `it leaves this pod ${usd(left)}, and a budget of ${usd(budgetUsd)} would never be reached`,
    `Give a budgetUsd of at most ${usd(left)}`,
  );
}

/** What the limit of one pod leaves for this one: failed ones before it were paid for the same purpose. */
export function podBudgetLeft(
  lease: Lease,
  others: readonly Lease[],
  { budgetPodUsd }: Pick<Limits, 'budgetPodUsd'>,
  now: Date,
): number | undefined {
  if (budgetPodUsd === undefined) return undefined;
  const before = predecessorsOf(lease, others).reduce((sum, each) => sum + spentUsd(each, now), 0);
  return Math.max(0, budgetPodUsd - before);
}

/** Those that failed before it, one after the other: they were paid for the same purpose. */
export function predecessorsOf(lease: Lease, others: readonly Lease[]): readonly Lease[] {
  const found: Lease[] = [];
  for (let { replaces } = lease; replaces !== undefined; ) {
    const handle = replaces;
    const one = others.find((other) => isLeaseOf(other, handle) && !found.includes(other));
    if (one === undefined) return found;
    found.push(one);
    ({ replaces } = one);
  }
  return found;
}

function checkSum(
  name: string,
  limit: number | undefined,
  before: number,
  wanted: number,
  scope: string,
  way: string,
): void {
  if (exceeds(before + wanted, limit))
    refuse(
      name,
      `${usd(before)} is spent or reserved ${scope}, this needs ${usd(wanted)} and the limit is ${usd(limit)}`,
      way,
    );
}

/** A thousandth of a cent is the noise of adding up fractions, not money. A sum that is no number is over any limit. */
function exceeds(amount: number, limit: number | undefined): limit is number {
  return limit !== undefined && !(amount <= limit + 0.000_01);
}

/** `way`: what the caller can do about it; only a person lifts a limit. */
function refuse(name: string, why: string, way: string): never {
  throw new PolicyError('budget_exceeded', `${name} forbids this: ${why}.`, {
    hint: `${way}, or ask the user to raise ${name} and start the server again.`,
  });
}
