import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import type { Providers } from '../core/provider.ts';
import type { AccountBook } from './account-book.ts';
import { checkBudgets, keepBooks } from './budget-watch.ts';
import { expire, SAVE_SECONDS, TEARDOWN_WAIT_SECONDS } from './expire.ts';
import { createGhostLook } from './ghosts.ts';
import type { HearPod } from './heard.ts';
import type { IdleWatch } from './idle.ts';
import { endIdle } from './idle-end.ts';
import { createLateLook } from './late.ts';
import { handleOf, type Ledger } from './ledger.ts';
import type { Left } from './left.ts';
import { type Limits, WARNING_SHARE } from './limits.ts';
import type { Looks } from './looks.ts';
import { spentUsd, usd } from './money.ts';
import type { Observer } from './observer.ts';
import { createRounds } from './rounds.ts';
import { isTimeToSave, type SaveHome } from './save-home.ts';
import type { Teardown } from './teardown.ts';

/**
 * A pod ends itself at its deadline, with every log and transcript on it. The end by us comes this long before, or a
 * sixth of a short life: twice the pause between two rounds, so that one of them falls into it.
 */
const FAREWELL_SECONDS = 20;
/** What another process should have done by then, this one does. */
const LEFT_TO_OTHERS_SECONDS = 60;

export interface CareDeps {
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  readonly teardown: Teardown;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly isBeingCreated: (lease: Lease) => boolean;
  /** Absent: nothing is brought home before an end without asking. */
  readonly saveHome?: SaveHome | undefined;
  /** Whether the pod answers now. Never throws. Default: it does. */
  readonly isHeard?: HearPod | undefined;
  /** What was left and lost is told with the end. Default: it is not. */
  readonly left?: Left | undefined;
  /** Absent: no pod is ended for doing nothing. */
  readonly idle?: IdleWatch | undefined;
  /** Whether another process of ours watches this lease now. Default: none does. */
  readonly isLeftToOthers?: ((lease: Lease) => Promise<boolean>) | undefined;
  /** Who acts, for the log: "the watcher". */
  readonly actor?: (() => string) | undefined;
}

/** Finds what a crash left half done and mends it. Never touches a machine that no lease speaks of. */
export function createReconcile({
  ledger,
  observer,
  looks,
  teardown,
  providers,
  clock,
  isBeingCreated,
}: CareDeps): Pods['reconcile'] {
  const lookForLate = createLateLook({ ledger, observer, looks, clock });
  const rounds = createRounds<unknown>(clock);
  const lookForGhosts = createGhostLook({ observer, looks, providers, clock });

  /** What was ordered to end is ended again; what was only thought gone goes on under its own deadline. */
  async function mendLate(leases: readonly Lease[]): Promise<void> {
    const again = await lookForLate(leases);
    await Promise.all(again.filter(({ state }) => state === 'closing').map(mend));
  }

  async function mend(lease: Lease): Promise<void> {
    if (lease.state === 'closing') {
      await teardown.end(lease, { waitSeconds: TEARDOWN_WAIT_SECONDS });
    } else if (lease.podId === undefined && !isBeingCreated(lease)) {
      await observer.settle(lease, await observer.look(lease));
    }
  }
  return async (options) => {
    const leases = await ledger.all();
    const broken = leases.filter(
      ({ state, podId }) => state === 'closing' || (state !== 'closed' && podId === undefined),
    );
    await rounds.run(
      new Map([
        ...broken.map((lease) => [lease.leaseId, async () => mend(lease)] as const),
        ['late', async () => mendLate(leases)],
        ['ghosts', async () => lookForGhosts(leases)],
      ]),
      options,
    );
  };
}

/** Acts on deadlines and budgets that are due, and says what it did. One lease that fails stops no other. */
export function createEnforce(deps: CareDeps): Pods['enforce'] {
  const { ledger, clock } = deps;
  const rounds = createRounds<readonly string[]>(clock);
  return async (options) => {
    const isOpen = ({ state }: Lease): boolean => state === 'open' || state === 'intended';
    await keepBooks((await ledger.all()).filter(isOpen), deps);
    const all = await ledger.all();
    const works = all
      .filter(isOpen)
      .map((lease) => [lease.leaseId, async () => checkOrSay(lease, all)] as const);
    const said = await rounds.run(new Map(works), options);
    return said.flat();
  };

  async function checkOrSay(lease: Lease, all: readonly Lease[]): Promise<readonly string[]> {
    try {
      return await check(lease, all);
    } catch (failure) {
      const code = isAppError(failure) ? failure.code : 'internal';
      return [`${handleOf(lease)}: could not be looked after now (${code}). It is tried again.`];
    }
  }

  async function check(lease: Lease, all: readonly Lease[]): Promise<readonly string[]> {
    const id = handleOf(lease);
    const deadline = Date.parse(lease.deadlineAt);
    if (Number.isNaN(deadline)) return [`${id}: its deadline cannot be read. Nothing was done.`];
    const now = clock.now();
    const spent = spentUsd(lease, now);
    const { budgetUsd } = lease;
    if (deadline <= Date.parse(lease.createdAt) || deadline <= Date.parse(lease.bootAt ?? ''))
      return [
        `${id}: its deadline is older than its present run. Nothing was done: give it another.`,
      ];
    if (isDue(lease, deadline, spent, now) && (await isLeft(lease, deadline, spent))) return [];
    if (isTimeToSave(lease, now)) deps.saveHome?.begin(lease);
    if (deadline <= now.getTime()) return expire(lease, 'its deadline has come', deps);
    if (deadline - farewellMilliseconds(lease) <= now.getTime())
      return expire(lease, 'its deadline is near', deps, 'near');
    if (budgetUsd !== undefined && spent >= budgetUsd)
      return expire(lease, `its budget of ${usd(budgetUsd)} is spent`, deps);
    const { why, said } = await checkBudgets(lease, all, deps);
    if (why !== undefined) return expire(lease, why, deps);
    const idle = await deps.idle?.check(lease);
    if (idle?.isOver === true) return endIdle(lease, deps);
    if (
      budgetUsd === undefined ||
      lease.warnedAt !== undefined ||
      spent < budgetUsd * WARNING_SHARE
    )
      return [...said, ...(idle?.said ?? [])];
    await ledger.update(lease.leaseId, (before) => ({ ...before, warnedAt: now.toISOString() }));
    await ledger.note('budget_warning', lease, `${usd(spent)} of ${usd(budgetUsd)} are spent.`);
    return [...said, `${id}: ${usd(spent)} of its budget of ${usd(budgetUsd)} are spent.`];
  }

  function isDue(lease: Lease, deadline: number, spent: number, now: Date): boolean {
    const { budgetUsd = Infinity } = lease;
    return deadline - farewellMilliseconds(lease) <= now.getTime() || spent >= budgetUsd;
  }

  /** Another process acts now; where it did not, in the time it has, this one does. */
  async function isLeft(lease: Lease, deadline: number, spent: number): Promise<boolean> {
    const { budgetUsd = Infinity, usdPerHour } = lease;
    const patience = LEFT_TO_OTHERS_SECONDS + (deps.saveHome === undefined ? 0 : SAVE_SECONDS);
    const isLate =
      deadline + patience * 1000 <= clock.now().getTime() ||
      spent >= budgetUsd + (usdPerHour * patience) / 3600;
    return !isLate && (await deps.isLeftToOthers?.(lease)) === true;
  }
}

/** Nothing for a pod that only stops: what is on it stays. */
function farewellMilliseconds({ podId, terms, createdAt, deadlineAt }: Lease): number {
  if (podId === undefined || terms.onExpiry === 'stop') return 0;
  const life = Date.parse(deadlineAt) - Date.parse(createdAt);
  return Number.isNaN(life) ? 0 : Math.min(FAREWELL_SECONDS * 1000, life / 6);
}
