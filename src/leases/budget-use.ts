import type { Lease } from '../core/lease.ts';
import type { LimitUse } from '../core/pods.ts';
import { bookedUsd, dayBooks, wholeUsd } from './books.ts';
import { handleOf } from './ledger.ts';
import { type Limits, predecessorsOf, WARNING_SHARE } from './limits.ts';
import { rateOf, roundUsd, spentUsd, usd } from './money.ts';

/** A sum of money that may not grow beyond a limit. */
interface Spending {
  /** "GPU_LEASE_BUDGET_USD ($10.00 in all)". */
  readonly words: string;
  readonly limitUsd: number;
  readonly spentUsd: number;
  /** What it grows by in an hour. */
  readonly usdPerHour: number;
}

/** How much of each limit is used. A limit that nobody set is not among them. */
export function limitUses(
  leases: readonly Lease[],
  limits: Limits,
  now: Date,
): readonly LimitUse[] {
  const alive = leases.filter(({ state }) => state !== 'closed');
  const perHour = alive.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0);
  const dearest = Math.max(0, ...alive.map((lease) => wholeUsd(lease, now)));
  const [today, tomorrow] = dayBooks(leases, now);
  const days = tomorrow.usd > 0 ? [today, tomorrow] : [today];
  const uses: readonly (Omit<LimitUse, 'limit'> & { readonly limit: number | undefined })[] = [
    { name: 'GPU_LEASE_MAX_PODS', limit: limits.maxPods, used: alive.length, scope: 'pods' },
    {
      name: 'GPU_LEASE_MAX_USD_PER_HOUR',
      limit: limits.maxUsdPerHour,
      used: roundUsd(perHour),
      scope: 'an hour',
    },
    {
      name: 'GPU_LEASE_BUDGET_POD_USD',
      limit: limits.budgetPodUsd,
      used: roundUsd(dearest),
      scope: 'by the dearest pod',
    },
    ...days.map(({ day, usd: used }) => ({
      name: 'GPU_LEASE_BUDGET_DAY_USD',
      limit: limits.budgetDayUsd,
      used: roundUsd(used),
      scope: `spent or reserved for ${day} (UTC)`,
    })),
    {
      name: 'GPU_LEASE_BUDGET_USD',
      limit: limits.budgetUsd,
      used: roundUsd(bookedUsd(leases, now)),
      scope: 'spent or reserved in all',
    },
    {
      name: 'GPU_LEASE_IDLE_MINUTES',
      limit: limits.idleMinutes,
      used: Math.floor(Math.max(0, ...alive.map((lease) => idleMinutesOf(lease, now)))),
      scope: 'minutes',
    },
  ];
  return uses.flatMap(({ limit, ...use }) => (limit === undefined ? [] : [{ ...use, limit }]));
}

/** As far as it was seen. A pod that nobody looked at yet counts as used. */
function idleMinutesOf({ idle }: Lease, now: Date): number {
  const minutes = (now.getTime() - Date.parse(idle?.since ?? '')) / 60_000;
  return Number.isNaN(minutes) ? 0 : minutes;
}

/** What of the money that this lease may use is spent by 80 % or more, in our own words. */
export function warningsOf(
  lease: Lease,
  leases: readonly Lease[],
  limits: Limits,
  now: Date,
): readonly string[] {
  if (lease.state === 'closed' || lease.usdPerHour === 0) return [];
  const { budgetUsd, budgetEndAt, deadlineAt } = lease;
  const own: readonly Spending[] =
    budgetUsd === undefined
      ? []
      : [
          {
            words: `the budget of ${usd(budgetUsd)} of ${handleOf(lease)}`,
            limitUsd: budgetUsd,
            spentUsd: spentUsd(lease, now),
            usdPerHour: rateOf(lease),
          },
        ];
  const end = budgetEndAt !== undefined && budgetEndAt < deadlineAt ? budgetEndAt : deadlineAt;
  const what = lease.terms.onExpiry === 'stop' ? 'stopped' : 'destroyed';
  return [...own, ...spendingsOf(lease, leases, limits, now)]
    .filter(({ spentUsd: spent, limitUsd }) => spent >= limitUsd * WARNING_SHARE)
    .map(
      ({ words, spentUsd: spent }) =>
        `Budget: ${usd(spent)} of ${words} are spent; ${handleOf(lease)} is ${what} at ${end} at the latest. Bring results home before that.`,
    );
}

/** Which limit of the person is used up first by what goes on being charged now, and in how many seconds. */
export function nextExhausted(
  lease: Lease,
  leases: readonly Lease[],
  limits: Limits,
  now: Date,
): { readonly words: string; readonly seconds: number } | undefined {
  return spendingsOf(lease, leases, limits, now)
    .filter(({ usdPerHour }) => usdPerHour > 0)
    .map(({ words, limitUsd, spentUsd: spent, usdPerHour }) => ({
      words,
      seconds: ((limitUsd - spent) / usdPerHour) * 3600,
    }))
    .sort((a, b) => a.seconds - b.seconds)[0];
}

function spendingsOf(
  lease: Lease,
  leases: readonly Lease[],
  { budgetUsd, budgetDayUsd, budgetPodUsd }: Limits,
  now: Date,
): readonly Spending[] {
  const usdPerHour = leases.reduce((sum, each) => sum + rateOf(each), 0);
  const sum = (some: readonly Lease[]): number =>
    some.reduce((total, each) => total + spentUsd(each, now), 0);
  const found: Spending[] = [];
  if (budgetPodUsd !== undefined)
    found.push({
      words: `GPU_LEASE_BUDGET_POD_USD (${usd(budgetPodUsd)} for one pod)`,
      limitUsd: budgetPodUsd,
      spentUsd: sum([lease, ...predecessorsOf(lease, leases)]),
      usdPerHour: rateOf(lease),
    });
  if (budgetDayUsd !== undefined) {
    const [{ day, spentUsd: spent }] = dayBooks(leases, now);
    found.push({
      words: `GPU_LEASE_BUDGET_DAY_USD (${usd(budgetDayUsd)} for ${day}, UTC)`,
      limitUsd: budgetDayUsd,
      spentUsd: spent,
      usdPerHour,
    });
  }
  if (budgetUsd !== undefined)
    found.push({
      words: `GPU_LEASE_BUDGET_USD (${usd(budgetUsd)} in all)`,
      limitUsd: budgetUsd,
      spentUsd: sum(leases),
      usdPerHour,
    });
  return found;
}
