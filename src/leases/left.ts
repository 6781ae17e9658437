import type { Clock } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import { type EndedPod, leftWords, lostWith, rescuedIn } from '../core/left-behind.ts';
import type { Collections } from '../core/store.ts';
import { endingOf } from './receipt-facts.ts';

/** So long an end that nobody asked for is told of its own accord. */
const TOLD_SECONDS = 24 * 3600;

/** What pods that went without being asked left at home, and what went with them. From the store alone. */
export interface Left {
  /** In our own words, with a blank before them; nothing while the pod is not seen gone. */
  words(podId: PodId | undefined): Promise<string>;
  /** Newest first, only those that left or lost anything. `all`: not only those of the last day. */
  ended(all: boolean): Promise<readonly EndedPod[]>;
}

export function createLeft({
  store,
  clock,
  rescueFolder,
}: {
  readonly store: Pick<Collections, 'receipts' | 'artifacts' | 'leases'>;
  readonly clock: Clock;
  /** Absent: nothing is brought home unasked. */
  readonly rescueFolder?: string | undefined;
}): Left {
  const rescuedOf = async (podId: PodId): Promise<EndedPod['rescued']> =>
    rescueFolder === undefined ? [] : rescuedIn(rescueFolder, podId, await store.artifacts.list());

  async function leftBy(lease: Lease): Promise<readonly EndedPod[]> {
    const { podId, name, endedAt: at } = lease;
    const receipt = podId === undefined ? undefined : await store.receipts.get(podId);
    if (podId === undefined || receipt === undefined) return [];
    const endedAt = at ?? receipt.endedAt;
    const { why } = endingOf(lease, new Date(endedAt));
    const [rescued, lost] = [await rescuedOf(podId), lostWith(receipt)];
    if (rescued.length === 0 && lost.length === 0) return [];
    const seenAt = receipt.proof.readAt;
    return [{ podId, name, endedAt, why, seenAt, rescued, lost }];
  }

  return {
    async words(podId) {
      const receipt = podId === undefined ? undefined : await store.receipts.get(podId);
      if (podId === undefined || receipt === undefined) return '';
      return leftWords({ rescued: await rescuedOf(podId), lost: lostWith(receipt) });
    },
    async ended(all) {
      const from = clock.now().getTime() - TOLD_SECONDS * 1000;
      const over = (await store.leases.list()).filter(
        (lease) =>
          lease.state === 'closed' &&
          !isAskedFor(lease) &&
          (all || Date.parse(lease.endedAt ?? '') >= from),
      );
      const found = await Promise.all(over.map(leftBy));
      return found.flat().toSorted((a, b) => (a.endedAt < b.endedAt ? 1 : -1));
    },
  };
}

/** Whoever ended it was told what stood open. */
const isAskedFor = ({ ending }: Lease): boolean =>
  ending?.by === 'agent' || ending?.by === 'person';
