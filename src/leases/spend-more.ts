import { PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask } from '../core/pods.ts';
import type { Collections } from '../core/store.ts';
import { handleOf } from './ledger.ts';
import { readableLeases } from './rent.ts';

/** All other leases. Throws `state_unreadable`. */
export async function othersOf(lease: Lease, store: Collections): Promise<readonly Lease[]> {
  return (await readableLeases(store)).filter(({ leaseId }) => leaseId !== lease.leaseId);
}

/**
 * Money beyond what was agreed needs a person: there is no quote for it. `otherWay` is one that works where nobody can be asked.
 * Throws `budget_exceeded`.
 */
export async function approve(
  lease: Lease,
  what: string,
  ask: Ask,
  otherWay?: string,
): Promise<void> {
  const answer = await ask({ message: `Pod ${handleOf(lease)}: ${what}?`, field: 'approve' });
  if (answer === 'accepted') return;
  throw answer === 'declined'
    ? new PolicyError('budget_exceeded', 'The user declined. Nothing was changed.', {
        hint: 'Ask the user before calling again.',
      })
    : new PolicyError('budget_exceeded', `This needs the consent of a person: ${what}.`, {
        hint: `This client cannot ask. The user can raise GPU_LEASE_AUTO_APPROVE_USD and restart${otherWay === undefined ? '' : `; or ${otherWay}`}.`,
      });
}
