import type { Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import type { Gate } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { PodPower } from '../core/provider.ts';
import { limitOf, withinSeconds } from './deps.ts';
import type { EndRequest } from './end-pod.ts';
import { HEARD_SECONDS, isHeard } from './heard.ts';
import { handleOf } from './ledger.ts';
import { accrued, spentUsd, usd } from './money.ts';
import type { CareDeps } from './reconcile.ts';

export const TEARDOWN_WAIT_SECONDS = 20;
/** What is not home when the end is due is given so long. */
export const SAVE_SECONDS = 120;

interface Patience {
  /** To bring home what is declared. */
  readonly saveSeconds: number;
  /** To look at what is on the pod: what could not be checked in it is put on record as such. */
  readonly gatesSeconds: number;
  readonly farewellSeconds?: number;
}
const LONG: Patience = { saveSeconds: SAVE_SECONDS, gatesSeconds: 60 };
/** A pod that ends itself at its deadline gives less. */
const NEAR: Patience = { saveSeconds: 8, gatesSeconds: 6, farewellSeconds: 20 };
/** It is charged on while it is asked, and does not answer. */
const UNHEARD: Patience = { saveSeconds: 20, gatesSeconds: 6, farewellSeconds: 5 };
const NOT_CHECKED: Gate = {
  gate: 'not_checked',
  why: 'What is on the pod could not be checked in the time that was left.',
};

/**
 * The end of a lease whose deadline or money is over, by its own policy: stopped, or destroyed with its declared files home as far
 * as the pod gives them. Answers with what was done. A pod that is not heard is given half a minute, all in all.
 */
export async function expire(
  lease: Lease,
  why: string,
  deps: CareDeps,
  when: 'near' | 'due' = 'due',
): Promise<readonly string[]> {
  const { ledger, accounts, teardown, providers, clock } = deps;
  const id = handleOf(lease);
  const strange = await accounts.strangeness(lease).catch(() => undefined);
  if (strange !== undefined) return [`${id}: ${why}, and nothing can be done here. ${strange}.`];
  if (await isGoneAlready(lease, deps))
    return [`${id}: gone already, ${why}.${await words(lease, deps)}`];
  if (lease.mayReplace === true) await ledger.settleForGood(lease);
  const power = providers.get(lease.provider)?.power;
  if (lease.terms.onExpiry === 'stop' && power !== undefined && lease.podId !== undefined)
    return stop(lease, lease.podId, why, power, deps);
  const heard = isHeard(lease, deps);
  await save(lease, when === 'near' ? NEAR : LONG, heard, deps);
  if (await wasGivenTime(lease, deps)) return [];
  const patience = !(await heard) ? UNHEARD : when === 'near' ? NEAR : LONG;
  const gates = await withinSeconds(patience.gatesSeconds, clock, async (signal) =>
    teardown.gates(lease, { signal }),
  ).catch(() => [NOT_CHECKED]);
  const { farewellSeconds } = patience;
  const ending = { why: `${why}${boundByBudget(lease)}` };
  return endUnasked(lease, { why, gates, ending, farewellSeconds }, deps);
}

/** Destroys a pod that nobody asked to destroy: what stood open is waived, and said. Answers with what was done. */
export async function endUnasked(
  lease: Lease,
  { why, gates, ...request }: UnaskedEnd,
  deps: CareDeps,
): Promise<readonly string[]> {
  const { ledger, teardown, clock, actor } = deps;
  const waiver = {
    reason: `Ended without asking: ${why}.`,
    by: 'expiry' as const,
    at: clock.now().toISOString(),
    gates: [...gates],
  };
  const text = `Destroyed${byOf(actor)}: ${why}. ${count(gates.length, 'gate')} stood open.`;
  await ledger.note('expired', lease, text);
  const seen = await teardown.end(lease, {
    ...request,
    waitSeconds: TEARDOWN_WAIT_SECONDS,
    waiver: gates.length === 0 ? undefined : waiver,
  });
  const isGone = seen.kind === 'absent' && !seen.young;
  const done = isGone ? 'destroyed' : 'ordered to end, not yet seen gone';
  return [`${handleOf(lease)}: ${done}, ${why}.${await words(lease, deps)}`];
}

/** What it left and lost, once it is seen gone. */
const words = async ({ podId }: Lease, { left }: CareDeps): Promise<string> =>
  (await left?.words(podId)) ?? '';

/** A pod that ended itself while nobody of ours lived is not asked for anything any more. */
async function isGoneAlready(lease: Lease, { observer, clock }: CareDeps): Promise<boolean> {
  if (!(Date.parse(lease.deadlineAt) <= clock.now().getTime())) return false;
  const seen = await withinSeconds(HEARD_SECONDS, clock, async () => observer.look(lease)).catch(
    () => undefined,
  );
  if (seen?.kind !== 'absent') return false;
  return (await observer.settle(lease, seen)).state === 'closed';
}

interface UnaskedEnd extends Pick<EndRequest, 'checkedAt' | 'ending' | 'farewellSeconds'> {
  readonly why: string;
  readonly gates: readonly Gate[];
}

/** Who acts, for the log. */
export function byOf(actor: CareDeps['actor']): string {
  return actor === undefined ? '' : ` by ${actor()}`;
}

async function stop(
  lease: Lease,
  podId: PodId,
  why: string,
  power: PodPower,
  { ledger, observer, clock, actor }: CareDeps,
): Promise<readonly string[]> {
  const id = handleOf(lease);
  if (lease.stoppedAt !== undefined) return [];
  try {
    await power.stopPod(podId, { signal: limitOf(60) });
  } catch (failure) {
    // What is gone cannot be stopped: seen so, its lease ends.
    const settled = await observer.settle(lease, await observer.look(lease));
    if (settled.state === 'closed') return [`${id}: gone already, ${why}.`];
    throw failure;
  }
  await ledger.update(lease.leaseId, (before) => stopped(before, clock));
  await ledger.note('expired', lease, `Stopped${byOf(actor)}: ${why}.`);
  return [`${id}: stopped, ${why}.`];
}

/** Where nothing is heard meanwhile, it is waited for no longer than an unheard pod is given. */
async function save(
  lease: Lease,
  { saveSeconds }: Patience,
  heard: Promise<boolean>,
  { saveHome, clock }: CareDeps,
): Promise<void> {
  if (saveHome === undefined) return;
  const over = new AbortController();
  const silence = async (): Promise<void> => {
    if (await heard) return saved;
    const { signal } = over;
    await clock.sleep(UNHEARD.saveSeconds - HEARD_SECONDS, { signal }).catch(() => undefined);
  };
  const saved = saveHome.finish(lease, saveSeconds);
  try {
    await Promise.race([saved, silence()]);
  } finally {
    over.abort();
  }
}

/** A budget binds through the deadline: then that is what ended it. */
function boundByBudget(lease: Lease): string {
  const { budgetUsd, deadlineAt } = lease;
  return budgetUsd !== undefined && spentUsd(lease, new Date(deadlineAt)) >= budgetUsd * 0.999
    ? ` (set by its budget of ${usd(budgetUsd)})`
    : '';
}

/** Somebody may have prolonged it while we brought its files home, or while this process was held. */
async function wasGivenTime(lease: Lease, { ledger }: CareDeps): Promise<boolean> {
  const { state, deadlineAt, budgetUsd } = await ledger.fresh(lease);
  return state !== lease.state || deadlineAt !== lease.deadlineAt || budgetUsd !== lease.budgetUsd;
}

export function stopped(lease: Lease, clock: Clock): Lease {
  const now = clock.now();
  return { ...accrued(lease, now), stoppedAt: now.toISOString() };
}
