import type { Clock } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import type { DestroyOutcome, Pods } from '../core/pods.ts';
import type { Providers } from '../core/provider.ts';
import { handleOf, type Ledger } from './ledger.ts';
import { podOf } from './view.ts';

export interface ElsewhereDeps {
  readonly ledger: Ledger;
  readonly providers: Providers;
  readonly clock: Clock;
}

/**
 * The end of a lease that was made with another account: nothing is ordered here, and nothing seen here says that its pod is gone.
 * With `discardUnfetched`, a reason and a person who does not decline, the lease is given up: it counts no more, and its receipt
 * says that the end was never proven. Should its pod ever be listed, it is taken up again.
 */
export async function endElsewhere(
  lease: Lease,
  why: string,
  { discardUnfetched, reason = '' }: Parameters<Pods['destroy']>[1],
  { ask }: Pick<Parameters<Pods['destroy']>[2], 'ask'>,
  { ledger, providers, clock }: ElsewhereDeps,
): Promise<DestroyOutcome> {
  const facts = providers.get(lease.provider)?.facts;
  const pod = podOf({ lease, facts, reading: { kind: 'unknown', why } }, clock);
  if (!discardUnfetched || reason.trim() === '') return { outcome: 'unknown', pod };
  const message = `Forget pod ${handleOf(lease)} without proof that it is gone? ${why}. It may go on costing money there.`;
  if ((await ask({ message, field: 'discardUnfetched' })) === 'declined')
    throw new PolicyError('not_owned', 'The user declined. The pod is kept on record.', {
      hint: 'Ask the user before calling again.',
    });
  await ledger.note('given_up', lease, `${why}. ${reason.trim()}`);
  await ledger.settleForGood(lease);
  // Its end was asked for: should it be seen, it is ended.
  const closingAt = clock.now().toISOString();
  await ledger.update(lease.leaseId, (before) => ({ closingAt, ...before }));
  await ledger.close(lease.leaseId, {
    podId: lease.podId,
    how: `NOT proven: given up while this server was pointed at another account than ${lease.account ?? 'its own'}.`,
    failure: 'Given up: its end was never seen, and it may go on costing money.',
    unproven: true,
  });
  return { outcome: 'unknown', pod };
}
