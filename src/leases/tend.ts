import type { CallOptions } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import { allOf, untilAborted } from './deps.ts';
import type { Ledger } from './ledger.ts';
import type { VolumeCare } from './new-volume.ts';
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
  volumes,
}: {
  readonly ledger: Ledger;
  readonly see: See;
  readonly timer: PodTimer;
  readonly replacer: Replacer;
  readonly volumes: VolumeCare;
}): PodCare['tend'] {
  const busy = new Set<string>();

  async function tendTo(lease: Lease, { signal }: CallOptions): Promise<void> {
    // A disk that waits to go holds up nothing else.
    const caring = volumes.isDue(lease)
      ? volumes.care(lease).catch(() => undefined)
      : Promise.resolve();
    await untilAborted(Promise.all([caring, tendToPod(lease, { signal })]), signal);
  }

  async function tendToPod(lease: Lease, { signal }: CallOptions): Promise<void> {
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
        (volumes.isDue(lease) ||
          timer.isBehind(lease) ||
          isOnFirstWayUp(lease) ||
          lease.mayReplace === true),
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
