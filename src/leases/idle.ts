import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import { limitOf, untilAborted } from './deps.ts';
import { type IdleLookDeps, type IdleReading, lookForUse } from './idle-look.ts';
import { isWatchable, lastUse } from './idle-use.ts';
import { handleOf, type Ledger, without } from './ledger.ts';
import type { Limits } from './limits.ts';

/** A pod that may be idle is looked at so often, or five times in a shorter limit. */
const LOOK_SECONDS = 60;
/** Between the word that it ends and the end. */
const GRACE_SECONDS = 120;
/** Looks further apart say nothing about the time between them. */
const MOST_GAP_LOOKS = 5;
const LOOK_LIMIT_SECONDS = 60;
/** From here on the deadline itself brings home what is there, and nothing may hold it up. */
const NEAR_DEADLINE_SECONDS = 900;

export interface IdleDeps extends IdleLookDeps {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly isLeftToOthers?: ((lease: Lease) => Promise<boolean>) | undefined;
}

export interface IdleWatch {
  /** Looks at a pod when it is time. `isOver`: it was announced, and nothing has run since. */
  check(lease: Lease): Promise<{ readonly isOver: boolean; readonly said: readonly string[] }>;
  /** One more look. Writes down what it saw, and answers whether it is idle as before. */
  isStillIdle(lease: Lease): Promise<boolean>;
}

type Idle = NonNullable<Lease['idle']>;
interface Times {
  readonly now: number;
  /** As far as the records tell. */
  readonly usedAt: number;
  readonly idleSeconds: number;
}

const lookSeconds = (idleSeconds: number): number => Math.min(LOOK_SECONDS, idleSeconds / 5);
const graceSeconds = (idleSeconds: number): number => Math.min(GRACE_SECONDS, idleSeconds);

/** What is known after a look. Time over which nobody looked, or nothing could be seen, is not idle time. Pure. */
export function idleAfter(
  before: Idle | undefined,
  reading: IdleReading,
  { now, usedAt, idleSeconds }: Times,
): Idle {
  const at = new Date(now).toISOString();
  const anew = { since: at, checkedAt: at };
  if (reading.kind === 'busy') return anew;
  if (reading.kind === 'unreadable') return { ...anew, unread: reading.code };
  const gap = now - Date.parse(before?.checkedAt ?? '');
  const isKnown =
    before !== undefined &&
    before.unread === undefined &&
    gap >= 0 &&
    gap <= lookSeconds(idleSeconds) * MOST_GAP_LOOKS * 1000 + LOOK_LIMIT_SECONDS * 1000;
  if (!isKnown) return anew;
  const began = Date.parse(before.since);
  const since = Math.max(began, usedAt);
  const idle = { since: new Date(since).toISOString(), checkedAt: at };
  if (now - since < idleSeconds * 1000) return idle;
  const announced = since === began ? before.endAt : undefined;
  const graceAt = new Date(now + graceSeconds(idleSeconds) * 1000).toISOString();
  return { ...idle, endAt: announced ?? graceAt };
}

/** Absent limit: nothing is looked at. */
export function createIdleWatch(deps: IdleDeps): IdleWatch {
  const { ledger, clock, limits, isLeftToOthers } = deps;
  const idleSeconds = (limits.idleMinutes ?? Infinity) * 60;

  /** Looks, and writes down what was seen. */
  async function look(lease: Lease): Promise<readonly [Idle | undefined, Idle | undefined]> {
    const { podId } = lease;
    if (podId === undefined) return [undefined, undefined];
    const signal = limitOf(LOOK_LIMIT_SECONDS);
    const reading = await untilAborted(lookForUse(podId, deps, { signal }), signal).catch(
      (): IdleReading => ({ kind: 'unreadable', code: 'ssh_unreachable' }),
    );
    const jobs = await deps.jobs.list(podId);
    let before: Idle | undefined;
    const after = await ledger.update(lease.leaseId, (now) => {
      before = now.idle;
      const times = { now: clock.now().getTime(), usedAt: lastUse(now, jobs), idleSeconds };
      return { ...now, idle: idleAfter(now.idle, reading, times) };
    });
    return [before, after.idle];
  }

  async function tell(lease: Lease, kind: string, text: string): Promise<readonly string[]> {
    await ledger.note(kind, lease, text);
    return [`${handleOf(lease)}: ${text}`];
  }

  async function sayOf(
    lease: Lease,
    before: Idle | undefined,
    after: Idle | undefined,
  ): Promise<readonly string[]> {
    const end = lease.terms.onExpiry === 'stop' ? 'stopped' : 'destroyed';
    if (after?.endAt !== undefined && after.endAt !== before?.endAt)
      return tell(
        lease,
        'idle_end',
        `nothing has run on it since ${after.since}: it is ${end} at ${after.endAt} unless it is used.`,
      );
    if (after?.unread !== undefined && before?.unread === undefined)
      return tell(
        lease,
        'idle_unread',
        `whether it is idle cannot be seen (${after.unread}). It is kept.`,
      );
    if (before?.endAt !== undefined && after?.endAt === undefined)
      return tell(lease, 'idle_over', 'it is used again, so it is kept.');
    return [];
  }

  return {
    async check(lease) {
      const nothing = { isOver: false, said: [] };
      const { podId, idle } = lease;
      if (limits.idleMinutes === undefined || podId === undefined || !isWatchable(lease))
        return nothing;
      if ((await isLeftToOthers?.(lease)) === true) return nothing;
      const now = clock.now().getTime();
      const left = (Date.parse(lease.deadlineAt) - now) / 1000;
      if (lease.budgetEndAt !== undefined || left < NEAR_DEADLINE_SECONDS) return nothing;
      const every = lookSeconds(idleSeconds) * 1000;
      if (Math.abs(now - lastUse(lease, await deps.jobs.list(podId))) < every) {
        if (idle === undefined) return nothing;
        const after = await ledger.update(lease.leaseId, (before) => without(before, 'idle'));
        return { isOver: false, said: await sayOf(lease, idle, after.idle) };
      }
      const isDue = idle?.endAt !== undefined && Date.parse(idle.endAt) <= now;
      if (!isDue && Math.abs(now - Date.parse(idle?.checkedAt ?? '')) < every) return nothing;
      const [before, after] = await look(lease);
      const isOver = isDue && after?.endAt !== undefined && after.endAt === idle.endAt;
      return { isOver, said: await sayOf(lease, before, after) };
    },
    async isStillIdle(lease) {
      const [before, after] = await look(lease);
      return before?.endAt !== undefined && after?.endAt === before.endAt;
    },
  };
}
