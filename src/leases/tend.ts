import type { CallOptions } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import { allOf } from './deps.ts';
import type { Ledger } from './ledger.ts';
import type { PodTimer } from './pod-timer.ts';
import { isOnFirstWayUp, type Replacer } from './replace.ts';
import type { See } from './see.ts';

/** What goes on when nobody waits. */
export type PodCare = Required<Pick<Pods, 'tend'>>;

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
