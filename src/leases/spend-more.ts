import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask } from '../core/pods.ts';
import type { Collections, Store } from '../core/store.ts';
import { checkLimits, type Limits } from './limits.ts';
import { readableLeases } from './rent.ts';

/** All other leases. Throws `state_unreadable`. */
export async function othersOf(lease: Lease, store: Collections): Promise<readonly Lease[]> {
  return (await readableLeases(store)).filter(({ leaseId }) => leaseId !== lease.leaseId);
}

/**
 * Whether a pod that costs less now may cost its full price again. The money is reserved while it is stopped, so nobody else has it;
 * a limit that was lowered or overrun since forbids it all the same. Throws `budget_exceeded`, `state_unreadable`.
 */
export async function checkStart(
  lease: Lease,
  {
    store,
    clock,
    limits,
  }: { readonly store: Store; readonly clock: Clock; readonly limits: Limits },
): Promise<void> {
  await store.transaction(async (tx) => {
    const now = (await tx.leases.get(lease.leaseId)) ?? lease;
    checkLimits(now, await othersOf(lease, tx), limits, clock.now());
  });
}

/** What a person is asked to agree to. */
export interface Consent {
  /** The lease as it would be. */
  readonly lease: Lease;
  /** In our own words: "keep it until …, at most $3 in all". */
  readonly what: string;
  /** What it can cost in all, what is spent already included. */
  readonly maxUsd: number;
  /** It is not about money: work that is nowhere else would be lost. */
  readonly discards?: boolean;
}

/** Nobody could be asked. Whoever catches it shows the price as a quote. */
export class ConsentNeeded extends PolicyError {
  readonly consent: Consent;
  constructor(consent: Consent) {
    super('budget_exceeded', `This needs the consent of a person: ${consent.what}.`);
    this.consent = consent;
  }
}

/** Money beyond what was agreed needs a person. Throws `ConsentNeeded`, or `budget_exceeded` when the person declined. */
export async function approve(consent: Consent, question: string, ask: Ask): Promise<void> {
  const { maxUsd } = consent;
  const answer = await ask({ message: question, field: 'approve', maxUsd });
  if (answer === 'accepted') return;
  if (answer === 'unavailable') throw new ConsentNeeded(consent);
  throw new PolicyError('budget_exceeded', 'The user declined. Nothing was changed.', {
    hint: 'Ask the user before calling again.',
  });
}
