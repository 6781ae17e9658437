import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import type { Ending, Lease, Waiver } from '../core/lease.ts';
import { poll } from '../core/poll.ts';
import type { Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { AccountBook } from './account-book.ts';
import { untilAborted, withinSeconds } from './deps.ts';
import { HEARD_SECONDS, type HearPod, isHeard } from './heard.ts';
import { type Ledger, without } from './ledger.ts';
import type { Looks } from './looks.ts';
import { isVolumeUnused } from './new-volume.ts';
import type { Observer, Reading } from './observer.ts';
import { type AttachedVolume, volumesOf } from './volume-end.ts';

const FAREWELL_LIMIT_SECONDS = 120;
/** Near its deadline, and after it. */
const SHORT_FAREWELL_SECONDS = 20;
const ORDER_LIMIT_SECONDS = 60;
/** A machine that is still being made refuses to go at first: the order is given again (TD-06). */
const REORDER_SECONDS = 15;
/** An order that was not accepted is repeated sooner. */
const RETRY_SECONDS = 5;

export interface EndRequest {
  readonly waitSeconds: number;
  readonly waiver?: Waiver | undefined;
  /** For what the pod still holds. Default: two minutes, near and after the deadline 20 s. */
  readonly farewellSeconds?: number | undefined;
  /** Why, and who wants it where somebody asked. Absent: an end that was ordered before goes on. */
  readonly ending?: { readonly by?: 'agent' | 'person'; readonly why: string };
  /** When the gates were looked at: a job started after that forbids the end (`job_running`). */
  readonly checkedAt?: string;
}
/**
 * Ends a pod without asking: farewell on the pod, intent on disk, the order, then looks until it is seen gone or the time is
 * over. May be called again at any time, by any process.
 */
export type EndPod = (lease: Lease, request: EndRequest) => Promise<Reading>;

export interface EndDeps {
  readonly providers: Providers;
  readonly remote: Remote;
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  /** Whether the pod answers now. Default: it does. */
  readonly isHeard?: HearPod | undefined;
  /** Who acts when nobody asked: "the watcher". */
  readonly actor?: (() => string) | undefined;
}

export function createEnd(deps: EndDeps): EndPod {
  const { providers, remote, sessions, jobs, clock, ledger, observer, looks, accounts } = deps;
  const lock = new KeyedLock();

  /** What the pod still holds for us, as far as it lets us. */
  async function farewell(lease: Lease, podId: PodId, seconds: number): Promise<void> {
    // Asked first: one that takes every call and answers none is given no longer than near its deadline.
    const isMute = seconds > SHORT_FAREWELL_SECONDS && !(await isHeard(lease, deps));
    const left = isMute ? SHORT_FAREWELL_SECONDS - HEARD_SECONDS : seconds;
    await withinSeconds(left, clock, async (signal) => {
      const quietly = async (work: Promise<void>): Promise<void> =>
        untilAborted(work, signal).catch(() => undefined);
      await quietly(jobs.collectLogs(podId, { signal }));
      await quietly(sessions.closePod(podId, { signal }));
      await quietly(remote.disconnect(podId));
    }).catch(() => undefined);
  }
  /** A machine that does not answer would be charged on past its deadline while it is asked for its logs. */
  function farewellSecondsOf({ deadlineAt }: Lease): number {
    const left = (Date.parse(deadlineAt) - clock.now().getTime()) / 1000;
    if (Number.isNaN(left)) return FAREWELL_LIMIT_SECONDS;
    return Math.min(FAREWELL_LIMIT_SECONDS, Math.max(SHORT_FAREWELL_SECONDS, left));
  }

  /** Whether the order was accepted. Only the next look tells what came of it; a call that hangs is left alone. */
  async function order(lease: Lease): Promise<boolean> {
    const provider = providers.get(lease.provider);
    if (lease.podId === undefined || provider === undefined) return false;
    const { podId } = lease;
    looks.forget(podId);
    looks.forgetVolumes(lease.provider);
    accounts.forget(lease.provider);
    return withinSeconds(ORDER_LIMIT_SECONDS, clock, async (signal) =>
      provider.terminatePod(podId, { signal }),
    ).then(
      () => true,
      () => false,
    );
  }

  /** Another agent may have started work while we said farewell; nobody has looked at its files. */
  async function refuseLateJob({ podId, leaseId }: Lease, checkedAt: string): Promise<void> {
    if (podId === undefined) return;
    const late = (await jobs.list(podId)).find(({ createdAt }) => createdAt > checkedAt);
    if (late === undefined) return;
    await ledger.update(leaseId, (before) => without(before, 'closingAt', 'ending'));
    throw new PolicyError('job_running', `Job ${late.jobId} was started in the meantime.`);
  }

  const acting = (): Ending['by'] => (deps.actor?.() === 'the watcher' ? 'watcher' : 'server');

  async function end(
    first: Lease,
    { waitSeconds, waiver, ending, checkedAt, farewellSeconds }: EndRequest,
  ): Promise<Reading> {
    return lock.run(first.leaseId, async () => {
      // Under the same number another account may have a machine of somebody else.
      const strange = await accounts.strangeness(first).catch(() => undefined);
      if (strange !== undefined) return { kind: 'unknown', why: strange };
      const closing = (before: Lease) => ({
        closingAt: before.closingAt ?? clock.now().toISOString(),
        ...(ending === undefined || before.ending !== undefined
          ? {}
          : { ending: { by: ending.by ?? acting(), why: ending.why } }),
      });
      // On record before the look that may give the pod up: should it turn up after that, it is not wanted.
      await ledger.update(first.leaseId, (before) => ({ ...before, ...closing(before) }));
      // Looked up first where the answer to its creation was lost: there may be a machine to end.
      const found = await observer.look(first);
      let lease = await observer.settle(first, found);
      if (lease.state === 'closed') {
        if (found.kind !== 'present') {
          // Whoever shows nothing may know it all the same.
          if (first.state !== 'closed') await order(lease);
          return goneOf();
        }
        lease = await ledger.reopen(lease.leaseId, found.pod.podId);
      }
      // Said already before a lease is closing.
      if (lease.podId !== undefined && lease.state !== 'closing')
        await farewell(lease, lease.podId, farewellSeconds ?? farewellSecondsOf(lease));
      if (checkedAt !== undefined && lease.state === 'open') await refuseLateJob(lease, checkedAt);
      const volumes = await volumesOf(lease, providers.get(lease.provider));
      lease = await ledger.update(lease.leaseId, (before) => ({
        ...before,
        state: 'closing',
        ...closing(before),
        ...volumesOn({ ...before, ...closing(before) }, volumes),
        ...(waiver === undefined || before.waiver !== undefined ? {} : { waiver }),
      }));
      let nextOrder = 0;
      let absences = 0;
      let last: Reading = { kind: 'unknown', why: 'not looked yet' };
      const look = async (): Promise<Reading | undefined> => {
        if (clock.now().getTime() >= nextOrder) {
          const isAccepted = await order(lease);
          const seconds = isAccepted ? REORDER_SECONDS : RETRY_SECONDS;
          nextOrder = clock.now().getTime() + seconds * 1000;
        }
        last = await observer.look(lease);
        absences = last.kind === 'absent' ? absences + 1 : 0;
        // A young pod may be missing from one list and back in the next.
        if (last.kind === 'absent' && lease.podId !== undefined && absences >= 2)
          last = { ...last, young: false };
        lease = await observer.settle(lease, last);
        return lease.state === 'closed' ? last : undefined;
      };
      const every = lease.provider === 'local' ? 0.2 : 2;
      const wait = { clock, timeoutSeconds: waitSeconds, everySeconds: every };
      const seen = await poll(look, { ...wait, signal: new AbortController().signal });
      return seen ?? last;
    });
  }

  return end;
}

/** What a lease keeps of the volumes at the end of its pod. What was seen before stays when this look saw nothing. */
function volumesOn(
  lease: Lease,
  seen: readonly AttachedVolume[] | undefined,
): Pick<Lease, 'volumes' | 'newVolume'> {
  if (seen === undefined || seen.length === 0) return {};
  const made = seen.find(({ isNew }) => isNew === true)?.volumeId;
  const goes = isVolumeUnused(lease);
  const { newVolume } = lease;
  return {
    volumes: seen.map(({ isNew = false, ...volume }) => ({
      ...volume,
      ...(isNew && goes ? { isBeingRemoved: true } : {}),
    })),
    ...(newVolume === undefined || made === undefined
      ? {}
      : { newVolume: { ...newVolume, volumeId: made } }),
  };
}

const goneOf = (): Reading => ({ kind: 'absent', young: false, how: 'It was closed before.' });
