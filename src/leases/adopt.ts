import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, PolicyError } from '../core/errors.ts';
import { offerIdSchema, type PodId, providerOf, randomToken } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Ask } from '../core/pods.ts';
import type { ProviderPod, Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import { checkLimits, type Limits } from './limits.ts';
import { minutesAfter, usd, usdFor } from './money.ts';
import { readableLeases } from './rent.ts';
import { ConsentNeeded } from './spend-more.ts';

export interface AdoptDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly accounts: AccountBook;
}

/**
 * Takes over a machine that the user made, after a person agreed to this very pod (OW-04). From then on it has a deadline.
 * Throws `ConsentNeeded` where nobody can be asked, `not_owned` when the person declined, `not_found`, `budget_exceeded`.
 */
export async function adoptPod(
  podId: PodId,
  ttlMinutes: number,
  { ask, ...options }: CallOptions & { readonly ask: Ask },
  { store, providers, clock, limits, accounts }: AdoptDeps,
): Promise<Lease> {
  const provider = providers.get(providerOf(podId));
  if (provider === undefined || provider.name === 'ssh')
    throw new PolicyError('not_owned', 'A machine reached by SSH alone cannot be taken over.', {
      hint: 'It belongs to the user: sessions, jobs and files work there without a lease.',
    });
  const pod = await provider.getPod(podId, options);
  if (pod === undefined) throw new InputError('not_found', 'There is no such pod.');
  const onExpiry = provider.power === undefined ? 'destroy' : 'stop';
  const deadlineAt = minutesAfter(clock.now(), ttlMinutes);
  const draft = leaseOf(pod, { ttlMinutes, onExpiry, deadlineAt, now: clock.now() });
  const maxUsd = usdFor(ttlMinutes, pod.usdPerHour);
  const what = `Let gpu-lease manage pod ${podId} (${usd(pod.usdPerHour)} an hour)? At ${deadlineAt} it would ${onExpiry} it, and destroy would work on it.`;
  const answer = await ask({ message: what, field: 'adopt', maxUsd });
  if (answer === 'unavailable') throw new ConsentNeeded({ lease: draft, what, maxUsd });
  if (answer === 'declined')
    throw new PolicyError('not_owned', 'The user declined. Nothing was changed.', {
      hint: 'Ask the user before calling again.',
    });
  const account = await accounts.of(provider.name);
  const lease = { ...draft, ...(account === undefined ? {} : { account }) };
  await store.transaction(async (tx) => {
    const leases = await readableLeases(tx);
    if (leases.some((other) => other.podId === podId && other.state !== 'closed'))
      throw new InputError('invalid_input', 'This pod is managed already.');
    checkLimits(lease, leases, limits, clock.now());
    await tx.leases.put(lease.leaseId, lease);
    await tx.log.append({
      at: clock.now().toISOString(),
      kind: 'adopted',
      podId,
      text: `A person agreed. ${onExpiry} at ${deadlineAt}.`,
    });
  });
  await provider.deadlines?.setDeadline(podId, deadlineAt, options);
  return lease;
}

/** Facts that nobody told are filled with the least a machine can have; they are never shown for an adopted pod. */
function leaseOf(
  pod: ProviderPod,
  terms: { ttlMinutes: number; onExpiry: 'stop' | 'destroy'; deadlineAt: string; now: Date },
): Lease {
  const { podId, usdPerHour } = pod;
  const offerId = offerIdSchema.parse(podId);
  return {
    leaseId: `lea_${randomToken()}`,
    label: pod.label,
    provider: providerOf(podId),
    offer: {
      offerId,
      provider: providerOf(podId),
      gpuCount: 0,
      vcpu: 1,
      ramGb: 1,
      diskGb: 1,
      region: 'unknown',
      pricing: 'on_demand',
      usdPerHour,
    },
    terms: {
      offerIds: [offerId],
      diskGb: 1,
      env: {},
      secretEnv: [],
      ports: [],
      ttlMinutes: terms.ttlMinutes,
      onExpiry: terms.onExpiry,
      maxAttempts: 1,
    },
    approvedBy: 'adopted',
    state: 'open',
    podId,
    name: pod.label.replace(/[^\w.-]+/g, '-').slice(0, 60) || 'adopted',
    usdPerHour,
    createdAt: terms.now.toISOString(),
    deadlineAt: terms.deadlineAt,
    stages: [],
    stage: 'created',
    attempts: [],
  };
}
