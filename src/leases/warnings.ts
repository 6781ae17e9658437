import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Pods } from '../core/pods.ts';
import type { Store } from '../core/store.ts';
import { warningsOf } from './budget-use.ts';
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
    return leases
      .map((lease) => ({ lease, warnings: warningsOf(lease, leases, limits, now) }))
      .filter(({ warnings }) => warnings.length > 0);
  }

  async function warnedNow(): Promise<readonly Warned[]> {
    const at = clock.now().getTime();
    if (kept === undefined || Math.abs(at - kept.at) >= KEPT_SECONDS * 1000)
      kept = { at, warned: read() };
    return kept.warned;
  }

  /** The pod that a job or a session lives on. */
  async function podOf(id: string): Promise<string> {
    const record = id.startsWith('job_')
      ? await store.jobs.get(id)
      : id.startsWith('ses_')
        ? await store.sessions.get(id)
        : undefined;
    return record?.podId ?? id;
  }

  return async (ids) => {
    try {
      const warned = await warnedNow();
      if (warned.length === 0) return [];
      const pods = new Set(await Promise.all(ids.map(podOf)));
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
