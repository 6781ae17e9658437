import type { Clock } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import { type PodId, podIdSchema } from '../core/ids.ts';
import { type Lease, leaseSchema, type Receipt } from '../core/lease.ts';
import type { ProviderPod } from '../core/provider.ts';
import type { Collections, Store } from '../core/store.ts';
import { accrued } from './money.ts';
import { amendReceipt, type ReceiptDeps, withdrawReceipt, writeReceipt } from './receipts.ts';

/** The leases of this machine, changed only in transactions, so that no process undoes what another one wrote. */
export interface Ledger {
  all(): Promise<readonly Lease[]>;
  find(podId: PodId): Promise<Lease | undefined>;
  /** The lease as it is now. */
  fresh(lease: Lease): Promise<Lease>;
  /** The last of those that took its place, one after the other: itself where none did. */
  newest(lease: Lease): Promise<Lease>;
  /** Nothing follows this lease any more, whatever becomes of it. */
  settleForGood(lease: Lease): Promise<void>;
  /** Answers with the lease as it is now. A closed lease is never changed; `change` may answer `undefined` for "leave it". */
  update(leaseId: string, change: (lease: Lease) => Lease | undefined): Promise<Lease>;
  /** Ends the lease and writes its receipt, once. A lease that never had a pod leaves none. */
  close(leaseId: string, end: Ending): Promise<Lease>;
  /**
   * The pod of a closed lease was seen all the same. One that was ordered to end is closing again. One that was only thought
   * gone, or never to have come to be, is open again under its own deadline: nobody has said that what is on it may go. A
   * receipt that spoke too early is withdrawn.
   */
  reopen(leaseId: string, podId: PodId): Promise<Lease>;
  /** Which volume was made with the pod; also of a closed lease. */
  nameVolume(leaseId: string, volumeId: PodId): Promise<void>;
  /** What becomes of it; also of a closed lease. One that is removed is left by nobody's receipt. */
  settleVolume(leaseId: string, state: NonNullable<Lease['newVolume']>['state']): Promise<void>;
  note(kind: string, lease: Lease, text: string): Promise<void>;
}
export interface LedgerDeps extends ReceiptDeps {
  readonly store: Store;
  readonly clock: Clock;
  /** Told after a receipt was written. Does not fail. */
  readonly sealed?: (() => Promise<void>) | undefined;
}
export interface Ending {
  /** The pod this is about, `undefined` for none: an ending found for another state of the lease is not written. */
  readonly podId: PodId | undefined;
  /** How we know that the pod is gone, or never was. */
  readonly how: string;
  readonly failure?: string | undefined;
  /** It went by itself at a time nobody saw: it cost nothing after its deadline. */
  readonly unseen?: boolean;
  /** It was given up: nobody saw it gone. */
  readonly unproven?: boolean;
  /** Nothing came of the order, and whoever gave it goes on to the next candidate. */
  readonly isFollowed?: boolean;
}

type Clearable =
  | 'blame'
  | 'bootAt'
  | 'closingAt'
  | 'ending'
  | 'accruedAt'
  | 'accruedByDay'
  | 'budgetEndAt'
  | 'absentSince'
  | 'creator'
  | 'deniedSince'
  | 'endpoint'
  | 'keyAttachedAt'
  | 'mayReplace'
  | 'endedAt'
  | 'failure'
  | 'idle'
  | 'observedStatus'
  | 'readyAt'
  | 'stoppedAt'
  | 'warnedAt';
/** The lease with these facts forgotten. */
export function without(lease: Lease, ...names: readonly Clearable[]): Lease {
  const forgotten = new Set<string>(names);
  return leaseSchema.parse(
    Object.fromEntries(Object.entries(lease).filter(([name]) => !forgotten.has(name))),
  );
}

/** The id callers use: the pod's own, or one made of the label while no pod is known. */
export function handleOf({ podId, provider, label }: Lease): PodId {
  return podId ?? podIdSchema.parse(`${provider}:${label}`);
}

/**
 * Whether the provider's pod is the one of this lease. Its label counts only while no id is known: labels of adopted pods
 * were given by others, and two machines may share one.
 */
export function isPodOf(lease: Lease, pod: Pick<ProviderPod, 'podId' | 'label'>): boolean {
  return lease.podId === undefined ? lease.label === pod.label : lease.podId === pod.podId;
}

export function isLeaseOf(lease: Lease, podId: string): boolean {
  return lease.podId === podId || `${lease.provider}:${lease.label}` === podId;
}

export function createLedger(deps: LedgerDeps): Ledger {
  const { store, clock, sealed } = deps;
  const noteIn = async (
    tx: Pick<Collections, 'log'>,
    kind: string,
    lease: Lease,
    text: string,
  ): Promise<void> => {
    await tx.log.append({ at: clock.now().toISOString(), kind, podId: handleOf(lease), text });
  };
  const present = async (tx: Pick<Collections, 'leases'>, leaseId: string): Promise<Lease> => {
    const lease = await tx.leases.get(leaseId);
    if (lease === undefined) throw new InputError('not_found', 'There is no such lease.');
    return lease;
  };
  const thenPublished = async <T>(work: (tx: Collections) => Promise<T>): Promise<T> => {
    const done = await store.transaction(work);
    await sealed?.();
    return done;
  };
  return {
    all: async () => store.leases.list(),
    async find(podId) {
      const mine = (await store.leases.list()).filter((lease) => isLeaseOf(lease, podId));
      return mine.find(({ state }) => state !== 'closed') ?? mine.at(-1);
    },
    fresh: async ({ leaseId }) => present(store, leaseId),
    async newest(lease) {
      const all = await store.leases.list();
      const after = (one: Lease): Lease | undefined => {
        const { replacedBy } = one;
        return replacedBy === undefined
          ? undefined
          : all.find((other) => isLeaseOf(other, replacedBy));
      };
      let last = all.find(({ leaseId }) => leaseId === lease.leaseId) ?? lease;
      for (let next = after(last); next !== undefined; next = after(next)) last = next;
      return last;
    },
    async settleForGood({ leaseId }) {
      await store.transaction(async (tx) => {
        const before = await present(tx, leaseId);
        if (before.mayReplace !== undefined)
          await tx.leases.put(leaseId, without(before, 'mayReplace'));
      });
    },
    async update(leaseId, change) {
      return store.transaction(async (tx) => {
        const before = await present(tx, leaseId);
        const after = before.state === 'closed' ? undefined : change(before);
        if (after !== undefined) await tx.leases.put(leaseId, after);
        return after ?? before;
      });
    },
    async close(leaseId, { podId, how, failure, unseen = false, unproven = false, isFollowed }) {
      return thenPublished(async (tx) => {
        const before = await present(tx, leaseId);
        if (before.state === 'closed' || before.podId !== podId) return before;
        const now = clock.now();
        const ended = unseen ? new Date(Math.min(now.getTime(), lastBilled(before))) : now;
        // A pod that went without our order was not ours to replace: somebody may have ended it by hand (RE-19).
        const mayFollow = podId === undefined ? isFollowed === true : before.state === 'closing';
        const settled = mayFollow ? before : without(before, 'mayReplace');
        const closed: Lease = {
          ...without(accrued(settled, ended), 'creator'),
          ...(before.podId === undefined ? { accruedUsd: 0, accruedByDay: {} } : {}),
          ...(failure === undefined ? {} : { failure }),
          state: 'closed',
          endedAt: ended.toISOString(),
        };
        await tx.leases.put(leaseId, closed);
        const wasLookedAt = before.state === 'closing';
        const end = { how, readAt: now, endedAt: ended, unproven, wasLookedAt };
        await writeReceipt(tx, closed, end, deps);
        await noteIn(tx, 'closed', closed, how);
        return closed;
      });
    },
    async reopen(leaseId, podId) {
      return thenPublished(async (tx) => {
        const before = await present(tx, leaseId);
        if (before.state !== 'closed') return before;
        const isNew = before.podId === undefined;
        const after: Lease = {
          ...without(before, 'endedAt', 'failure', 'absentSince'),
          podId,
          state: before.closingAt === undefined ? 'open' : 'closing',
          ...(isNew ? { stage: 'created' } : {}),
        };
        const lease = isNew ? without(after, 'accruedAt', 'accruedByDay') : after;
        await tx.leases.put(leaseId, lease);
        await withdrawReceipt(tx, podId, clock.now(), deps);
        const next = lease.state === 'closing' ? 'ended again' : `kept until ${lease.deadlineAt}`;
        await noteIn(tx, 'reopened', lease, `It was seen after its lease was closed: ${next}.`);
        return lease;
      });
    },
    async nameVolume(leaseId, volumeId) {
      await store.transaction(async (tx) => {
        const before = await present(tx, leaseId);
        const { newVolume } = before;
        if (newVolume !== undefined)
          await tx.leases.put(leaseId, { ...before, newVolume: { ...newVolume, volumeId } });
      });
    },
    async settleVolume(leaseId, state) {
      await thenPublished(async (tx) => {
        const before = await present(tx, leaseId);
        const { newVolume, podId } = before;
        if (newVolume === undefined) return;
        await tx.leases.put(leaseId, {
          ...withVolumeSettled(before, newVolume.volumeId, state),
          newVolume: { ...newVolume, state },
        });
        const receipt = podId === undefined ? undefined : await tx.receipts.get(podId);
        if (receipt !== undefined)
          await amendReceipt(
            tx,
            withVolumeSettled(receipt, newVolume.volumeId, state),
            clock.now(),
            deps,
          );
      });
    },
    note: async (kind, lease, text) => noteIn(store, kind, lease, text),
  };
}

function withVolumeSettled<T extends Pick<Receipt, 'volumes'>>(
  record: T,
  volumeId: PodId | undefined,
  state: NonNullable<Lease['newVolume']>['state'],
): T {
  if (record.volumes === undefined) return record;
  const volumes = record.volumes.flatMap((volume) => {
    if (volume.volumeId !== volumeId) return [volume];
    const { sizeGb, usdPerMonth } = volume;
    const price = usdPerMonth === undefined ? {} : { usdPerMonth };
    return state === 'removed' ? [] : [{ volumeId, sizeGb, ...price }];
  });
  return { ...record, volumes };
}

function lastBilled(lease: Lease): number {
  const seen = Date.parse(lease.observedAt ?? lease.createdAt);
  const deadline = Date.parse(lease.deadlineAt);
  return Number.isNaN(deadline) ? Infinity : Math.max(seen, deadline);
}
