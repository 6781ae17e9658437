import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import { nextExhausted } from './budget-use.ts';
import { handleOf, type Ledger, without } from './ledger.ts';
import type { Limits } from './limits.ts';
import { accrued, rateOf } from './money.ts';

/** From the word that the money ends until the end: time to bring home what is on the pod. */
const GRACE_SECONDS = 120;
/** The end comes this long before the last cent: twice the pause between two rounds. */
const MARGIN_SECONDS = 20;
/** What was spent is on disk at least so often: a clock that is set back takes no more than that off the books. */
const BOOK_SECONDS = 60;

export interface BudgetWatchDeps {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly limits: Limits;
}
export interface BudgetVerdict {
  /** The lease has to end now, for this reason. */
  readonly why?: string;
  /** To be told. */
  readonly said: readonly string[];
}

/** Writes down what open leases have spent, so that nothing that was counted is ever given back. */
export async function keepBooks(
  leases: readonly Lease[],
  { ledger, clock }: Pick<BudgetWatchDeps, 'ledger' | 'clock'>,
): Promise<void> {
  for (const lease of leases) {
    const until = bookableUntil(lease, clock.now());
    const from = Date.parse(lease.accruedAt ?? lease.createdAt);
    if (lease.podId === undefined || rateOf(lease) === 0) continue;
    if (!(until.getTime() - from >= BOOK_SECONDS * 1000)) continue;
    await ledger.update(lease.leaseId, (before) =>
      accrued(before, bookableUntil(before, clock.now())),
    );
  }
}

/** A pod that ended itself at its deadline cost nothing after it, also when nobody has looked yet. */
function bookableUntil({ deadlineAt, stoppedAt }: Lease, now: Date): Date {
  const deadline = Date.parse(deadlineAt);
  return stoppedAt === undefined && deadline < now.getTime() ? new Date(deadline) : now;
}

/**
 * Whether a limit of the person is used up by this lease and the others. First comes a grace in which results can be brought home;
 * it begins early enough to be over when the money is.
 */
export async function checkBudgets(
  lease: Lease,
  leases: readonly Lease[],
  { ledger, clock, limits }: BudgetWatchDeps,
): Promise<BudgetVerdict> {
  if (rateOf(lease) === 0) return { said: [] };
  const now = clock.now();
  const next = nextExhausted(lease, leases, limits, now);
  const { budgetEndAt } = lease;
  if (next === undefined || next.seconds > GRACE_SECONDS) {
    // It was raised, or another day has begun.
    if (budgetEndAt !== undefined)
      await ledger.update(lease.leaseId, (before) => without(before, 'budgetEndAt'));
    return { said: [] };
  }
  const { words } = next;
  if (budgetEndAt === undefined) {
    const graceAt = new Date(now.getTime() + GRACE_SECONDS * 1000).toISOString();
    const endAt = lease.deadlineAt < graceAt ? lease.deadlineAt : graceAt;
    await ledger.update(lease.leaseId, (before) => ({ budgetEndAt: endAt, ...before }));
    const text = `${words} is as good as spent: it ends at ${endAt}.`;
    await ledger.note('budget_end', lease, text);
    return { said: [`${handleOf(lease)}: ${text}`] };
  }
  const isOver =
    Date.parse(budgetEndAt) <= now.getTime() + MARGIN_SECONDS * 1000 &&
    next.seconds <= MARGIN_SECONDS;
  // What is stopped already only costs its disk, and nobody throws that away unasked.
  return isOver && lease.stoppedAt === undefined
    ? { why: `${words} is spent`, said: [] }
    : { said: [] };
}
