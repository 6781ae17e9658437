import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, isAppError, PolicyError } from '../core/errors.ts';
import type { Files, Gate } from '../core/files.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import type { Lease, Receipt, Waiver } from '../core/lease.ts';
import type { Answer, Ask, DestroyOutcome, Pods } from '../core/pods.ts';
import { poll } from '../core/poll.ts';
import type { Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import { limitOf, untilAborted, withinSeconds } from './deps.ts';
import { handleOf, type Ledger } from './ledger.ts';
import type { Looks } from './looks.ts';
import type { Observer, Reading } from './observer.ts';
import { podOf } from './view.ts';
import { isVolumeId, removeVolume, volumesOf } from './volume-end.ts';

const FAREWELL_LIMIT_SECONDS = 120;
const ORDER_LIMIT_SECONDS = 60;
/** A machine that is still being made refuses to go at first: the order is given again (TD-06). */
const REORDER_SECONDS = 15;
/** An order that was not accepted is repeated sooner. */
const RETRY_SECONDS = 5;

export interface Teardown {
  readonly destroy: Pods['destroy'];
  /**
   * Ends a pod without asking: farewell on the pod, intent on disk, the order, then looks until it is seen gone or
   * the time is over. May be called again at any time, by any process.
   */
  end(lease: Lease, request: EndRequest): Promise<Reading>;
  /** What forbids the end. A look that fails is itself a gate. */
  gates(lease: Lease, options: CallOptions): Promise<readonly Gate[]>;
}
export interface EndRequest {
  readonly waitSeconds: number;
  readonly waiver?: Waiver | undefined;
  /** When the gates were looked at: a job started after that forbids the end (`job_running`). */
  readonly checkedAt?: string;
}
export interface TeardownDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly remote: Remote;
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly files: Files;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
}

export function createTeardown(deps: TeardownDeps): Teardown {
  const { store, providers, remote, sessions, jobs, files, clock, ledger, observer, looks } = deps;
  const lock = new KeyedLock();

  async function gates(lease: Lease, options: CallOptions): Promise<readonly Gate[]> {
    if (lease.podId === undefined || lease.state === 'closing') return [];
    try {
      return await files.gates(lease.podId, options);
    } catch (failure) {
      options.signal.throwIfAborted();
      const code = isAppError(failure) ? failure.code : 'internal';
      return [{ gate: 'not_checked', why: `What is on the pod could not be checked (${code}).` }];
    }
  }

  /** What the pod still holds for us, as far as it lets us. */
  async function farewell(podId: PodId): Promise<void> {
    const signal = limitOf(FAREWELL_LIMIT_SECONDS);
    const quietly = async (work: Promise<void>): Promise<void> =>
      untilAborted(work, signal).catch(() => undefined);
    await quietly(jobs.collectLogs(podId, { signal }));
    await quietly(sessions.closePod(podId, { signal }));
    await quietly(remote.disconnect(podId));
  }

  /** Whether the order was accepted. Only the next look tells what came of it; a call that hangs is left alone. */
  async function order(lease: Lease): Promise<boolean> {
    const provider = providers.get(lease.provider);
    if (lease.podId === undefined || provider === undefined) return false;
    const { podId } = lease;
    looks.forget(podId);
    return withinSeconds(ORDER_LIMIT_SECONDS, clock, async (signal) =>
      provider.terminatePod(podId, { signal }),
    ).then(
      () => true,
      () => false,
    );
  }

  /** Another agent may have started work while we said farewell; nobody has looked at its files. */
  async function refuseLateJob({ podId }: Lease, checkedAt: string): Promise<void> {
    if (podId === undefined) return;
    const late = (await jobs.list(podId)).find(({ createdAt }) => createdAt > checkedAt);
    if (late !== undefined)
      throw new PolicyError('job_running', `Job ${late.jobId} was started in the meantime.`);
  }

  async function end(
    first: Lease,
    { waitSeconds, waiver, checkedAt }: EndRequest,
  ): Promise<Reading> {
    return lock.run(first.leaseId, async () => {
      // Looked up first where the answer to its creation was lost: there may be a machine to end.
      const closing = (before: Lease) => ({
        closingAt: before.closingAt ?? clock.now().toISOString(),
      });
      // On record before the look that may give the pod up: should it turn up after that, it is not wanted.
      if (first.podId === undefined)
        await ledger.update(first.leaseId, (before) => ({ ...before, ...closing(before) }));
      const found = await observer.look(first);
      let lease = await observer.settle(first, found);
      if (lease.state === 'closed') {
        if (found.kind !== 'present') return goneOf();
        lease = await ledger.reopen(lease.leaseId, found.pod.podId);
      }
      // Said already before a lease is closing.
      if (lease.podId !== undefined && lease.state !== 'closing') await farewell(lease.podId);
      if (checkedAt !== undefined && lease.state === 'open') await refuseLateJob(lease, checkedAt);
      const volumes = await volumesOf(lease, providers.get(lease.provider));
      lease = await ledger.update(lease.leaseId, (before) => ({
        ...before,
        state: 'closing',
        ...closing(before),
        ...(volumes === undefined || volumes.length === 0 ? {} : { volumes }),
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

  async function waive(
    lease: Lease,
    missing: readonly Gate[],
    reason: string,
    ask: Ask,
  ): Promise<Waiver | Extract<Answer, 'declined'>> {
    const answer = await ask({
      message: `Destroy pod ${handleOf(lease)} although work on it would be lost (${countsOf(missing)})?`,
      field: 'discardUnfetched',
    });
    if (answer === 'declined') return answer;
    const by = answer === 'accepted' ? 'person' : 'caller';
    return { reason, by, at: clock.now().toISOString(), gates: [...missing] };
  }

  async function destroy(
    podId: PodId,
    { discardUnfetched, reason = '', waitSeconds }: Parameters<Pods['destroy']>[1],
    { ask, ...options }: Parameters<Pods['destroy']>[2],
  ): Promise<DestroyOutcome> {
    if (isVolumeId(podId) && (await ledger.find(podId)) === undefined)
      return removeVolume(
        podId,
        { discardUnfetched, reason: reason.trim(), waitSeconds },
        { ask, ...options },
        deps,
      );
    const lease = await reopenedIfSeen(await leaseToEnd(podId));
    const facts = providers.get(lease.provider)?.facts;
    if (lease.state === 'closed') return { outcome: 'gone', receipt: await receiptOf(lease) };
    options.progress?.('Checking what is on the pod');
    const checkedAt = clock.now().toISOString();
    const missing = await gates(lease, options);
    let waiver: Waiver | undefined;
    if (missing.length > 0) {
      const blocked = async (): Promise<DestroyOutcome & { outcome: 'blocked' }> => ({
        outcome: 'blocked',
        pod: podOf({ lease, facts, reading: await observer.look(lease) }, clock),
        missing,
      });
      if (!discardUnfetched) return blocked();
      if (reason.trim() === '')
        throw new InputError('invalid_input', 'discardUnfetched needs a reason.');
      const decision = await waive(lease, missing, reason.trim(), ask);
      if (decision === 'declined') {
        await ledger.note('waiver_declined', lease, reason.trim());
        return { ...(await blocked()), declined: true };
      }
      waiver = decision;
    }
    options.signal.throwIfAborted();
    // Whoever ends a pod does not want another in its place; one that has come meanwhile is ended instead.
    await ledger.settleForGood(lease);
    const last = await ledger.newest(lease);
    if (last.leaseId !== lease.leaseId && last.state !== 'closed')
      return destroy(
        handleOf(last),
        { discardUnfetched, reason, waitSeconds },
        { ask, ...options },
      );
    options.progress?.('Ending the pod and looking until it is gone');
    const seen = await untilAborted(end(lease, { waitSeconds, waiver, checkedAt }), options.signal);
    const after = await ledger.fresh(lease);
    if (after.state === 'closed') return { outcome: 'gone', receipt: await receiptOf(after) };
    return {
      outcome: seen.kind === 'present' ? 'present' : 'unknown',
      pod: podOf({ lease: after, facts, reading: seen }, clock),
    };
  }

  const receiptOf = async ({ podId }: Lease): Promise<Receipt | undefined> =>
    podId === undefined ? undefined : store.receipts.get(podId);

  /** A pod that was seen gone and is there again is ended again, whatever its receipt says. */
  async function reopenedIfSeen(lease: Lease): Promise<Lease> {
    if (lease.state !== 'closed') return lease;
    const seen = await observer.look(lease);
    return seen.kind === 'present' ? ledger.reopen(lease.leaseId, seen.pod.podId) : lease;
  }

  async function leaseToEnd(podId: PodId): Promise<Lease> {
    const notOurs = 'This server did not rent that machine, so it does not end it.';
    if (providerOf(podId) === 'ssh') throw new PolicyError('not_owned', notOurs);
    const lease = await ledger.find(podId);
    // The pod that took its place is what goes on costing money.
    if (lease !== undefined) return ledger.newest(lease);
    const provider = providers.get(providerOf(podId));
    if ((await provider?.getPod(podId, { signal: limitOf(30) })) === undefined)
      throw new InputError('not_found', 'There is no such pod.');
    throw new PolicyError('not_owned', notOurs, {
      hint: 'Ask the user. update_pod with adopt takes it over, then destroy works.',
    });
  }

  return { destroy, end, gates };
}

/** Kinds and numbers only: paths come from the pod. */
function countsOf(gates: readonly Gate[]): string {
  const kinds = [...new Set(gates.map(({ gate }) => gate))];
  return kinds
    .map(
      (kind) => `${gates.filter(({ gate }) => gate === kind).length} ${kind.replaceAll('_', ' ')}`,
    )
    .join(', ');
}

const goneOf = (): Reading => ({ kind: 'absent', young: false, how: 'It was closed before.' });
