import type { Clock } from '../core/call.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import { bookedUsd, dayBooks, wholeUsd } from './books.ts';
import { type Limits, podBudgetLeft, predecessorsOf, WARNING_SHARE } from './limits.ts';
import { spentUsd, usd } from './money.ts';

/** Which limits of the person are used by 80 % or more, reserved money counted, by this lease beside the others. Pure. */
export function crossingWords(
  lease: Lease,
  others: readonly Lease[],
  { budgetUsd, budgetDayUsd, budgetPodUsd }: Limits,
  now: Date,
): readonly string[] {
  if (lease.usdPerHour === 0 || lease.state === 'closed') return [];
  const [today, tomorrow] = dayBooks([...others, lease], now);
  const own = dayBooks([lease], now);
  const before = predecessorsOf(lease, others).reduce((sum, each) => sum + spentUsd(each, now), 0);
  const uses: readonly (readonly [string, number | undefined, number, string])[] = [
    [
      'GPU_LEASE_BUDGET_POD_USD',
      budgetPodUsd,
      before + wholeUsd(lease, now),
      'spent or reserved for it',
    ],
    ...[today, tomorrow].flatMap(({ day, usd: used }, index) =>
      (own[index]?.usd ?? 0) > 0
        ? [
            [
              'GPU_LEASE_BUDGET_DAY_USD',
              budgetDayUsd,
              used,
              `spent or reserved for ${day} (UTC)`,
            ] as const,
          ]
        : [],
    ),
    [
      'GPU_LEASE_BUDGET_USD',
      budgetUsd,
      bookedUsd([...others, lease], now),
      'spent or reserved in all',
    ],
  ];
  const crossed = uses.flatMap(([name, limit, used, scope]) =>
    limit === undefined || !(used >= limit * WARNING_SHARE)
      ? []
      : [
          `Budget: with this pod ${usd(used)} of ${name} (${usd(limit)}) are ${scope}, ${Math.floor((used / limit) * 100)} %.`,
        ],
  );
  const podLeft = podBudgetLeft(lease, others, { budgetPodUsd }, now);
  const left = budgetUsd === undefined ? undefined : budgetUsd - bookedUsd(others, now);
  return [
    ...crossed,
    ...boundWords(lease, podLeft, 'GPU_LEASE_BUDGET_POD_USD'),
    ...boundWords(lease, left, 'GPU_LEASE_BUDGET_USD'),
  ];
}

/** A budget of its own that a limit of the person binds before it. */
function boundWords(
  { budgetUsd }: Lease,
  left: number | undefined,
  name: string,
): readonly string[] {
  return budgetUsd === undefined || left === undefined || budgetUsd <= left
    ? []
    : [
        `Budget: ${name} leaves this pod ${usd(left)}, so that binds, not its budget of ${usd(budgetUsd)}.`,
      ];
}

/** The same, beside all other leases that can be read now. */
export async function crossedBy(
  lease: Lease,
  {
    store,
    limits,
    clock,
  }: { readonly store: Store; readonly limits: Limits; readonly clock: Clock },
): Promise<readonly string[]> {
  const others = (await store.leases.list()).filter(({ leaseId }) => leaseId !== lease.leaseId);
  return crossingWords(lease, others, limits, clock.now());
}

export interface MeterDeps {
  readonly providers: Providers;
  readonly isWatched?: ((provider: ProviderName) => Promise<boolean>) | undefined;
}

/** Said of a cloud on which nothing ends a pod but this very server: no time limit, no timer, no watcher. */
export async function meterWords(
  provider: ProviderName,
  usdPerHour: number,
  { providers, isWatched }: MeterDeps,
): Promise<readonly string[]> {
  const cloud = providers.get(provider);
  if (usdPerHour === 0 || isWatched === undefined || cloud === undefined) return [];
  if (cloud.deadlines !== undefined || cloud.facts.deadlineFile !== undefined) return [];
  if (await isWatched(provider)) return [];
  return [
    `Nothing outside this server stops the meter: ${provider} keeps no time limit and the watcher is off (GPU_LEASE_WATCHER). While no server runs, the pod is charged beyond its deadline.`,
  ];
}
