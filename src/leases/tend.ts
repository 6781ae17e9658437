import type { CallOptions } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import { allOf } from './deps.ts';
import type { Ledger } from './ledger.ts';
import type { PodTimer } from './pod-timer.ts';
import { isOnFirstWayUp, type Replacer } from './replace.ts';
import type { See } from './see.ts';

/** What goes on when nobody waits. */
export interface PodCare {
  /**
   * One round over the pods that are on their way up: each is looked at, and one that failed is ended, proven gone and replaced
   * within what was agreed; timers on pods are told of deadlines they do not know. Called again and again by every server; what
   * still runs from a round before is not begun twice.
   */
  tend(options: CallOptions): Promise<void>;
}

export function createTend({
  ledger,
  see,
  timer,
  replacer,
}: {
  readonly ledger: Ledger;
  readonly see: See;
  readonly timer: PodTimer;
  readonly replacer: Replacer;
}): PodCare['tend'] {
  const busy = new Set<string>();

  async function tendTo(lease: Lease, { signal }: CallOptions): Promise<void> {
    if (timer.isBehind(lease)) {
      await timer.tell(lease);
      return;
    }
    const seen = isOnFirstWayUp(lease) ? (await see.see(lease)).lease : lease;
    signal.throwIfAborted();
    if (await replacer.isDue(seen)) await replacer.replace(seen);
  }

  return async (options) => {
    const mine = (await ledger.all()).filter(
      (lease) =>
        !busy.has(lease.leaseId) &&
        (timer.isBehind(lease) || isOnFirstWayUp(lease) || lease.mayReplace === true),
    );
    await allOf(
      mine.map(async (lease) => {
        busy.add(lease.leaseId);
        try {
          await tendTo(lease, options);
        } finally {
          busy.delete(lease.leaseId);
        }
      }),
      options,
    );
  };
}
