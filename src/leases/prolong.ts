import { InputError, PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import { atMostUsd } from '../core/usd.ts';
import { handleOf, without } from './ledger.ts';
import { checkBudget, checkLimits } from './limits.ts';
import { bindingMinutes, minutesAfter, reservedUsd, spentUsd, usd } from './money.ts';
import { approve, othersOf } from './spend-more.ts';
import type { Change, UpdateDeps, UpdateOptions } from './update.ts';

export type ProlongDeps = Pick<
  UpdateDeps,
  'store' | 'providers' | 'clock' | 'limits' | 'ledger' | 'timer'
>;

/** A new deadline, from now, within budget and limits. What may cost more than before is asked for first. */
export async function prolong(
  lease: Lease,
  { ttlMinutes, budgetUsd }: Change,
  { ask, signal }: UpdateOptions,
  { store, providers, clock, limits, ledger, timer }: ProlongDeps,
): Promise<Lease> {
  const change = (before: Lease): Lease => {
    const now = clock.now();
    const budget = budgetUsd ?? before.budgetUsd;
    const spent = spentUsd(before, now);
    const left = Math.max(0, Date.parse(before.deadlineAt) - now.getTime()) / 60_000;
    const minutes = bindingMinutes(
      {
        ttlMinutes: ttlMinutes ?? left,
        ...(budget === undefined ? {} : { budgetUsd: Math.max(0, budget - spent) }),
      },
      before.usdPerHour,
    );
    if (minutes < 1)
      throw new PolicyError(
        'budget_exceeded',
        `${usd(spent)} are spent already: that leaves no time.`,
        { hint: 'Give a higher budgetUsd, which the user is asked about.' },
      );
    return {
      ...without(before, 'warnedAt'),
      deadlineAt: minutesAfter(now, minutes),
      ...(budget === undefined ? {} : { budgetUsd: budget }),
    };
  };
  if (budgetUsd !== undefined)
    checkBudget(lease, budgetUsd, await othersOf(lease, store), limits, clock.now());
  const wanted = change(lease);
  const now = clock.now();
  refuseNoGain(wanted, lease, ttlMinutes, now);
  const whole = spentUsd(wanted, now) + reservedUsd(wanted, now);
  const costsMore =
    isDearer(wanted, lease, now) ||
    (wanted.usdPerHour > 0 && (budgetUsd ?? 0) > (lease.budgetUsd ?? Infinity));
  if (costsMore && whole > (limits.autoApproveUsd ?? -1)) {
    checkLimits(wanted, await othersOf(lease, store), limits, now);
    const what = `keep it until ${wanted.deadlineAt}, at most ${usd(atMostUsd(whole))} in all${budgetWords(wanted, { ttlMinutes, budgetUsd })}`;
    await approve({ lease: wanted, what, maxUsd: whole }, `Pod ${handleOf(lease)}: ${what}?`, ask);
  }
  const after = await store.transaction(async (tx) => {
    const before = (await tx.leases.get(lease.leaseId)) ?? lease;
    if (before.state !== 'open' && before.state !== 'intended')
      throw new InputError('unsupported', 'This pod is being destroyed.');
    const next = change(before);
    // Measured against what it is by now: another process may have shortened it, and what that freed be spent.
    if (costsMore || isDearer(next, before, clock.now()))
      checkLimits(next, await othersOf(lease, tx), limits, clock.now());
    await tx.leases.put(lease.leaseId, next);
    return next;
  });
  try {
    if (after.podId !== undefined)
      await providers
        .get(lease.provider)
        ?.deadlines?.setDeadline(after.podId, after.deadlineAt, { signal });
  } catch (failure) {
    // The provider keeps the old time: so do we, or the earlier of the two when that is the new one.
    await ledger.update(lease.leaseId, (before) => ({
      ...before,
      deadlineAt: lease.deadlineAt < after.deadlineAt ? lease.deadlineAt : after.deadlineAt,
    }));
    throw failure;
  }
  return timer.tell(after);
}

/** A raised budget buys no time by itself. */
function budgetWords(
  { budgetUsd: budget }: Lease,
  { ttlMinutes, budgetUsd }: Pick<Change, 'ttlMinutes' | 'budgetUsd'>,
): string {
  if (budgetUsd === undefined || budget === undefined) return '';
  const words = `, with a budget of ${usd(budget)}`;
  return ttlMinutes === undefined ? `${words} (more time needs ttlMinutes too)` : words;
}

/** Throws `budget_exceeded` for more time that the budget does not pay for: nothing would change, and nobody would be told. */
function refuseNoGain(
  wanted: Lease,
  lease: Lease,
  ttlMinutes: number | undefined,
  now: Date,
): void {
  if (ttlMinutes === undefined || wanted.budgetUsd === undefined) return;
  const asked = now.getTime() + ttlMinutes * 60_000;
  const [before, after] = [Date.parse(lease.deadlineAt), Date.parse(wanted.deadlineAt)];
  if (asked <= before + NO_GAIN_MS || after > before + NO_GAIN_MS) return;
  throw new PolicyError(
    'budget_exceeded',
    `The budget of this pod, ${usd(wanted.budgetUsd)}, is spent at ${wanted.deadlineAt}: ttlMinutes alone gives no more time.`,
    { hint: 'Ask the user for a higher budgetUsd, and give it in the same call.' },
  );
}
const NO_GAIN_MS = 1000;

/** More than rounding. */
function isDearer(after: Lease, before: Lease, now: Date): boolean {
  return reservedUsd(after, now) > reservedUsd(before, now) + 0.005;
}
