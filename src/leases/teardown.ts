import type { CallOptions } from '../core/call.ts';
import { InputError, isAppError, PolicyError } from '../core/errors.ts';
import type { Files, Gate } from '../core/files.ts';
import { type PodId, providerOf } from '../core/ids.ts';
import type { Lease, Receipt, Waiver } from '../core/lease.ts';
import type { Answer, Ask, DestroyOutcome, Pods } from '../core/pods.ts';
import type { Store } from '../core/store.ts';
import { limitOf, untilAborted } from './deps.ts';
import { endElsewhere } from './elsewhere.ts';
import { createEnd, type EndDeps, type EndPod } from './end-pod.ts';
import { handleOf } from './ledger.ts';
import { podOf } from './view.ts';
import { isVolumeId, removeVolume } from './volume-end.ts';

export interface Teardown {
  readonly destroy: Pods['destroy'];
  readonly end: EndPod;
  /** What forbids the end. A look that fails is itself a gate. */
  gates(lease: Lease, options: CallOptions): Promise<readonly Gate[]>;
}
export interface TeardownDeps extends EndDeps {
  readonly store: Store;
  readonly files: Files;
}

export function createTeardown(deps: TeardownDeps): Teardown {
  const { store, providers, files, clock, ledger, observer } = deps;
  const end = createEnd(deps);

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
    { discardUnfetched, reason = '', waitSeconds, by = 'agent' }: Parameters<Pods['destroy']>[1],
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
    const strange =
      lease.state === 'closed'
        ? undefined
        : await deps.accounts.strangeness(lease).catch(() => undefined);
    if (strange !== undefined) {
      const request = { discardUnfetched, reason, waitSeconds };
      return endElsewhere(lease, strange, request, { ask }, deps);
    }
    if (lease.state === 'closed') {
      // It is gone, and another may be about to take its place: that is not wanted any more.
      await ledger.settleForGood(lease);
      const last = await ledger.newest(lease);
      return last.leaseId === lease.leaseId || last.state === 'closed'
        ? { outcome: 'gone', receipt: await receiptOf(lease) }
        : destroy(
            handleOf(last),
            { discardUnfetched, reason, waitSeconds, by },
            { ask, ...options },
          );
    }
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
        { discardUnfetched, reason, waitSeconds, by },
        { ask, ...options },
      );
    options.progress?.('Ending the pod and looking until it is gone');
    const seen = await untilAborted(
      end(lease, { waitSeconds, waiver, checkedAt, ending: { by, why: 'destroy was called' } }),
      options.signal,
    );
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
