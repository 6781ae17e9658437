import type { Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import type { Collections, Store } from '../core/store.ts';
import { hours } from './cost-notes.ts';
import { handleOf, isLeaseOf, type Ledger } from './ledger.ts';
import type { Limits } from './limits.ts';
import { rateNow, usd } from './money.ts';

/** So long a pod that costs money may do nothing before that is mentioned (CO-07). */
const MENTION_SECONDS = 15 * 60;
const MARK_SECONDS = 30;
const MOST_MARKS = 1000;

/** The pod that a job or a session lives on; the id itself where it is of a pod. */
export async function podOf(
  id: string,
  store: Pick<Collections, 'jobs' | 'sessions'>,
): Promise<string> {
  const record = id.startsWith('job_')
    ? await store.jobs.get(id)
    : id.startsWith('ses_')
      ? await store.sessions.get(id)
      : undefined;
  return record?.podId ?? id;
}

/** Writes the time of use into the leases, at most every half minute for each id. */
export function createUsed({
  ledger,
  store,
  clock,
  limits,
}: {
  readonly ledger: Ledger;
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
}): NonNullable<Pods['used']> {
  const marked = new Map<string, number>();
  const pause = Math.min(MARK_SECONDS, (limits.idleMinutes ?? Infinity) * 15) * 1000;
  return async (ids) => {
    const now = clock.now();
    const due = ids.filter((id) => !(Math.abs(now.getTime() - (marked.get(id) ?? 0)) < pause));
    if (due.length === 0) return;
    if (marked.size > MOST_MARKS) marked.clear();
    for (const id of due) marked.set(id, now.getTime());
    try {
      const pods = await Promise.all(due.map(async (id) => podOf(id, store)));
      const leases = (await store.leases.list()).filter(
        (lease) => lease.state !== 'closed' && pods.some((podId) => isLeaseOf(lease, podId)),
      );
      const usedAt = now.toISOString();
      for (const { leaseId } of leases)
        await ledger.update(leaseId, (before) => ({ ...before, usedAt }));
    } catch {
      for (const id of due) marked.delete(id);
    }
  };
}

/** Whether a lease is of a pod that runs, costs money, and could do something. */
export function isWatchable(lease: Lease): boolean {
  const { state, podId, readyAt, stoppedAt, observedStatus } = lease;
  return (
    state === 'open' &&
    podId !== undefined &&
    readyAt !== undefined &&
    stoppedAt === undefined &&
    observedStatus !== 'stopped' &&
    rateNow(lease) > 0
  );
}

/** When it was last used as far as the records tell, milliseconds. Times of the pod's own clock are not among them. Pure. */
export function lastUse(lease: Lease, jobs: readonly Job[]): number {
  const { createdAt, readyAt, bootAt, usedAt, podId } = lease;
  const ofJobs = jobs
    .filter((job) => job.podId === podId)
    .flatMap((job) => [job.createdAt, job.observedAt ?? job.createdAt]);
  const times = [createdAt, readyAt, bootAt, usedAt, ...ofJobs].flatMap((iso) =>
    iso === undefined ? [] : [Date.parse(iso)],
  );
  return Math.max(...times.filter((time) => !Number.isNaN(time)));
}

/** Whether it is worth while to look at the jobs. */
export function mayBeIdle(lease: Lease, now: Date): boolean {
  return (
    isWatchable(lease) &&
    (lease.idle?.endAt !== undefined || isLong(lastUse(lease, []), now.getTime()))
  );
}
const isLong = (since: number, now: number): boolean => now - since >= MENTION_SECONDS * 1000;

/** What is said of a pod that costs money and does nothing, in every result about it (CO-07). Pure. */
export function idleWords(
  lease: Lease,
  jobs: readonly Job[],
  { idleMinutes }: Pick<Limits, 'idleMinutes'>,
  now: Date,
): readonly string[] {
  const id = handleOf(lease);
  const end = lease.terms.onExpiry === 'stop' ? 'stopped' : 'destroyed';
  const { idle } = lease;
  const last = lastUse(lease, jobs);
  if (idle?.endAt !== undefined && last <= Date.parse(idle.since))
    return [
      `Idle: nothing has run on ${id} since ${idle.since}. It is ${end} at ${idle.endAt} unless it is used.`,
    ];
  const mine = jobs.filter((job) => job.podId === lease.podId);
  if (mine.some(({ status }) => !isTerminal(status))) return [];
  // Where it is looked at, its GPUs and sessions count too.
  const since = idle === undefined ? last : Math.max(last, Date.parse(idle.since));
  if (!isLong(since, now.getTime())) return [];
  const seconds = (now.getTime() - since) / 1000;
  const rate = rateNow(lease);
  const policy =
    idleMinutes === undefined ? '' : ` After ${count(idleMinutes, 'idle minute')} it is ${end}.`;
  return [
    `Idle? No job runs on ${id} and nothing was asked of it for ${hours(seconds / 3600)}, at ${usd(rate)} an hour (${usd((rate * seconds) / 3600)}): give it work, or destroy it.${policy}`,
  ];
}
