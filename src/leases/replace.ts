import type { Clock } from '../core/call.ts';
import { ConfigError, isAppError } from '../core/errors.ts';
import type { Hosts } from '../core/host.ts';
import type { Attempt, Lease } from '../core/lease.ts';
import type { BootLogKeeper } from './boot-log.ts';
import type { Looks } from './looks.ts';
import { isVolumeUnused } from './new-volume.ts';
import { type Rented, type RentNextDeps, rentNext } from './rent-next.ts';
import { bootOf } from './rungs.ts';
import { CONTINUE_WITHIN_SECONDS } from './succession.ts';

const CLEANUP_SECONDS = 60;
/** Whoever ended the pod is given so long to go on. */
const TAKE_OVER_SECONDS = 20;
const QUOTED_CHARS = 600;

export interface Replacer {
  /**
   * Ends a pod that failed before it was ever ready, and, once it is proven gone, rents the next candidate in its place, within
   * what was agreed. Called for one lease by many, it is done once. `over`: nothing follows; the attempts say why.
   */
  replace(lease: Lease): Promise<Rented>;
  /** Whether `replace` has something to do: a failed first boot, or one that a server of ours left half done. */
  isDue(lease: Lease): Promise<boolean>;
}
export interface ReplacerDeps extends RentNextDeps {
  readonly bootLogs: BootLogKeeper;
  readonly looks: Looks;
  readonly hosts?: Hosts | undefined;
}

export function createReplacer(deps: ReplacerDeps): Replacer {
  const { ledger, store, observer, looks, teardown, clock, bootLogs, hosts } = deps;
  const running = new Map<string, Promise<Rented>>();

  async function replace(given: Lease): Promise<Rented> {
    let lease = await ledger.fresh(given);
    if (lease.replacedBy !== undefined)
      return { kind: 'taken', lease: await ledger.newest(lease), attempts: lease.attempts };
    let attempt = attemptOf(lease, 'gone', clock);
    if (lease.state !== 'closed') {
      const seen = await observer.look(lease, looks.paceSeconds(lease.provider));
      const pod = seen.kind === 'present' ? seen.pod : undefined;
      const log = await bootLogs.keep(lease, pod?.detail);
      const { failure: reason = 'The pod failed.', blame = 'unknown', stage } = lease;
      await hosts
        ?.failed(lease, { stage: missedRung(lease), reason, blame })
        .catch(() => undefined);
      await ledger.note('failed', lease, `On the rung "${stage}": ${reason}`);
      const end = await teardown.end(lease, {
        waitSeconds: CLEANUP_SECONDS,
        ending: { why: 'it failed before it was ready' },
      });
      const cleanup =
        end.kind === 'absent' && !end.young
          ? 'gone'
          : end.kind === 'present'
            ? 'present'
            : 'unknown';
      lease = await ledger.fresh(lease);
      attempt = {
        ...attemptOf(lease, cleanup, clock),
        ...(log === undefined ? {} : { foreignText: log.slice(-QUOTED_CHARS) }),
      };
    }
    const attempts = [...lease.attempts, attempt];
    const over = async (why: string): Promise<Rented> => {
      const mightFollow = lease.mayReplace === true;
      await ledger.settleForGood(lease);
      if (mightFollow) {
        await ledger.note('not_replaced', lease, why);
        lease = await ledger.update(lease.leaseId, (before) => ({
          ...before,
          failure: `${before.failure ?? 'The pod failed.'} ${why}`,
        }));
      }
      return { kind: 'over', attempts, why };
    };
    if (attempt.cleanup !== 'gone')
      return over('The failed pod is not proven gone, so no other is rented.');
    if (lease.blame === 'image' || lease.blame === 'ours')
      return over('Another host would fail in the same way.');
    const quote = lease.quoteId === undefined ? undefined : await store.quotes.get(lease.quoteId);
    const { approvedBy } = lease;
    if (lease.mayReplace !== true || quote === undefined || approvedBy === 'adopted')
      return over('No other candidate was agreed to.');
    try {
      return await rentNext({ quote, approvedBy, attempts, before: lease }, deps);
    } catch (failure) {
      // What only this server lacks, another one may have.
      if (!(failure instanceof ConfigError)) await ledger.settleForGood(lease);
      const why = isAppError(failure) ? `${failure.code}: ${failure.message}` : 'internal';
      await ledger.note('not_replaced', lease, why);
      return { kind: 'over', attempts, why };
    }
  }

  /** Somebody may have begun to work on it before it was found wanting: that is not ours to throw away. */
  async function hasWork({ podId }: Lease): Promise<boolean> {
    const [jobs, sessions] = await Promise.all([store.jobs.list(), store.sessions.list()]);
    return [...jobs, ...sessions].some((one) => one.podId === podId);
  }

  return {
    async replace(lease) {
      const known = running.get(lease.leaseId);
      if (known !== undefined) return known;
      const work = replace(lease).finally(() => running.delete(lease.leaseId));
      running.set(lease.leaseId, work);
      return work;
    },
    async isDue(lease) {
      if (running.has(lease.leaseId) || lease.podId === undefined) return false;
      if (lease.state === 'open') {
        if (!hasFailedToBoot(lease)) return false;
        if (!(await hasWork(lease))) return true;
        // For good, so that nobody is told to wait for another.
        await ledger.settleForGood(lease);
        return false;
      }
      if (lease.state !== 'closed' || lease.mayReplace !== true) return false;
      const seconds = (clock.now().getTime() - Date.parse(lease.endedAt ?? '')) / 1000;
      return seconds >= TAKE_OVER_SECONDS && seconds < CONTINUE_WITHIN_SECONDS;
    },
  };
}

/** Failed on its first way up. What a person stopped, started again or brought along is never taken away from them. */
export function hasFailedToBoot(lease: Lease): boolean {
  return lease.failure !== undefined && isOnFirstWayUp(lease);
}
export function isOnFirstWayUp(lease: Lease): boolean {
  return (
    lease.state === 'open' &&
    lease.podId !== undefined &&
    lease.readyAt === undefined &&
    lease.bootAt === undefined &&
    lease.stoppedAt === undefined &&
    lease.approvedBy !== 'adopted'
  );
}

function attemptOf(lease: Lease, cleanup: Attempt['cleanup'], clock: Clock): Attempt {
  const end = lease.endedAt === undefined ? clock.now().getTime() : Date.parse(lease.endedAt);
  return {
    offerId: lease.offer.offerId,
    reason: `${lease.failure ?? 'The pod failed.'}${volumeWords(lease)}`,
    cleanup,
    stage: lease.stage,
    seconds: Math.max(0, Math.round((end - bootOf(lease)) / 1000)),
    ...(lease.podId === undefined ? {} : { podId: lease.podId }),
  };
}

/** What becomes of the disk that was made for it (VO-03). */
function volumeWords(lease: Lease): string {
  const { newVolume } = lease;
  if (newVolume === undefined || !isVolumeUnused(lease)) return '';
  const which = newVolume.volumeId ?? `"${newVolume.name}"`;
  return ` Its new volume ${which} is removed as soon as the cloud frees it; list_pods shows it until then.`;
}

/** The rung that it failed to take. */
function missedRung({ stage }: Lease): string {
  return stage === 'command' ? 'gpu' : stage === 'gpu' ? 'disk' : stage;
}
