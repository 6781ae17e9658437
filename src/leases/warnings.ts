import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import type { Store } from '../core/store.ts';
import { warningsOf } from './budget-use.ts';
import { idleWords, mayBeIdle, podOf } from './idle-use.ts';
import { isLeaseOf } from './ledger.ts';
import type { Limits } from './limits.ts';

/** Every result asks; the leases are read again this often. */
const KEPT_SECONDS = 5;

interface Warned {
  readonly lease: Lease;
  readonly warnings: readonly string[];
}

/** Looks jobs and sessions up only while there is something to say. */
export function createWarnings({
  store,
  clock,
  limits,
}: {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: Limits;
}): NonNullable<Pods['warnings']> {
  let kept: { readonly at: number; readonly warned: Promise<readonly Warned[]> } | undefined;

  async function read(): Promise<readonly Warned[]> {
    const leases = await store.leases.list();
    const now = clock.now();
    const quiet = leases.filter((lease) => mayBeIdle(lease, now));
    const jobs = quiet.length === 0 ? [] : await store.jobs.list();
    return leases
      .map((lease) => ({
        lease,
        warnings: [
          ...warningsOf(lease, leases, limits, now),
          ...(quiet.includes(lease) ? idleWords(lease, jobs, limits, now) : []),
        ],
      }))
      .filter(({ warnings }) => warnings.length > 0);
  }

  async function warnedNow(): Promise<readonly Warned[]> {
    const at = clock.now().getTime();
    if (kept === undefined || Math.abs(at - kept.at) >= KEPT_SECONDS * 1000)
      kept = { at, warned: read() };
    return kept.warned;
  }

  return async (ids) => {
    try {
      const warned = await warnedNow();
      if (warned.length === 0) return [];
      const pods = new Set(await Promise.all(ids.map(async (id) => podOf(id, store))));
      const touched = warned.filter(({ lease }) =>
        [...pods].some((podId) => isLeaseOf(lease, podId)),
      );
      return [...new Set(touched.flatMap(({ warnings }) => warnings))];
    } catch {
      // The result that it belongs to stands without it; the next one reads again.
      kept = undefined;
      return [];
    }
  };
}
