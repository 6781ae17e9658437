import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import { poll } from '../core/poll.ts';
import type { ProviderPod, Providers } from '../core/provider.ts';
import { limitOf, untilAborted } from './deps.ts';
import { type Ledger, without } from './ledger.ts';
import type { Observer, Reading } from './observer.ts';
import { requestOf, type Supplies } from './request.ts';
import type { Teardown } from './teardown.ts';

const CREATION_LIMIT_SECONDS = 300;
const LOOKUP_PATIENCE_SECONDS = 30;
const LOOKUP_EVERY_SECONDS = 5;
/** The end of what came of an order all the same. */
const UNWANTED = {
  waitSeconds: 60,
  ending: { why: 'its creation failed, cost more than was agreed or was not wanted any more' },
};

export type Ordered =
  | { readonly kind: 'created'; readonly lease: Lease }
  /** Surely no machine of this order is left. */
  | {
      readonly kind: 'refused';
      readonly reason: string;
      readonly cleanup: 'nothing_created' | 'gone';
    }
  /** A machine may exist. The lease stays and is looked after. */
  | {
      readonly kind: 'unknown';
      readonly lease: Lease;
      readonly reason: string;
      readonly cleanup: 'present' | 'unknown';
    };

export interface OrderDeps {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly teardown: Teardown;
}

/** Answers of a provider after which, by its laws, no machine exists. Looked up all the same. */
const REFUSALS = new Set([
  'no_capacity',
  'offer_gone',
  'price_changed',
  'unsupported',
  'invalid_input',
  'not_found',
  'too_large',
  'rate_limited',
  'auth_rejected',
  'config_missing',
  'insufficient_credit',
  'budget_exceeded',
]);

/**
 * Orders the pod of an intended lease, once, and finds out what became of it. Takes no signal: an order that was sent
 * stays sent, whoever waits for it.
 */
export async function orderPod(
  intended: Lease,
  supplies: Supplies,
  deps: OrderDeps,
): Promise<Ordered> {
  const { ledger, teardown } = deps;
  let pod: ProviderPod;
  try {
    pod = await createPod(intended, supplies, deps);
  } catch (failure) {
    return afterFailure(intended, failure, deps);
  }
  const known = await ledger.update(intended.leaseId, (before) => ({
    ...without(before, 'creator'),
    podId: pod.podId,
    state: before.state === 'intended' ? 'open' : before.state,
    // Another process may have found it by its label and looked further already.
    ...(before.stage === 'requested'
      ? {
          stage: 'created',
          stages: [{ stage: 'created', seconds: secondsSince(before.createdAt, deps.clock) }],
        }
      : {}),
  }));
  const lease = await reopened(known, pod, ledger);
  const isDearer = pod.usdPerHour > lease.usdPerHour * 1.001 + 0.000_01;
  if (lease.state === 'open' && !isDearer) return { kind: 'created', lease };
  const reason = isDearer
    ? 'The pod costs more than was agreed, so it was ended.'
    : 'The pod was destroyed while it was being created.';
  return ended(lease, await teardown.end(lease, UNWANTED), reason);
}

async function createPod(lease: Lease, supplies: Supplies, deps: OrderDeps): Promise<ProviderPod> {
  const provider = deps.providers.get(lease.provider);
  if (provider === undefined) throw new Error('The provider went away.');
  const signal = limitOf(CREATION_LIMIT_SECONDS);
  return untilAborted(provider.createPod(requestOf(lease, supplies), { signal }), signal);
}

async function afterFailure(lease: Lease, failure: unknown, deps: OrderDeps): Promise<Ordered> {
  const { ledger, observer, teardown, clock } = deps;
  const code = isAppError(failure) ? failure.code : 'internal';
  const reason = isAppError(failure) ? `${code}: ${failure.message}` : 'The creation failed.';
  if (REFUSALS.has(code)) {
    const seen = await observer.look(lease);
    if (seen.kind === 'absent') {
      const { how } = seen;
      const ending = { podId: undefined, how, failure: reason, isFollowed: true };
      await ledger.close(lease.leaseId, ending);
      const isRemoved = isAppError(failure) && failure.isRemoved;
      return { kind: 'refused', reason, cleanup: isRemoved ? 'gone' : 'nothing_created' };
    }
    if (seen.kind === 'present') {
      const found = await observer.settle(lease, seen);
      return ended(found, await teardown.end(found, UNWANTED), reason);
    }
    return lost(lease, reason, deps);
  }
  const { signal } = new AbortController();
  const wait = {
    clock,
    timeoutSeconds: LOOKUP_PATIENCE_SECONDS,
    everySeconds: LOOKUP_EVERY_SECONDS,
  };
  const found = await poll(
    async () => {
      const seen = await observer.look(lease);
      return seen.kind === 'present' ? seen : undefined;
    },
    { ...wait, signal },
  );
  if (found === undefined) return lost(lease, reason, deps);
  const adopted = await reopened(await observer.settle(lease, found), found.pod, ledger);
  return adopted.state === 'open'
    ? { kind: 'created', lease: adopted }
    : ended(adopted, await teardown.end(adopted, UNWANTED), reason);
}

/** The answer took so long that another process gave the pod up: it is there all the same. */
async function reopened(
  lease: Lease,
  { podId }: Pick<ProviderPod, 'podId'>,
  ledger: Ledger,
): Promise<Lease> {
  return lease.state === 'closed' ? ledger.reopen(lease.leaseId, podId) : lease;
}

/** Nobody can tell now: the lease stays open without a pod, and `reconcile` goes on looking. */
async function lost(lease: Lease, reason: string, { ledger }: OrderDeps): Promise<Ordered> {
  const kept = await ledger.update(lease.leaseId, (before) => ({
    ...without(before, 'creator'),
    state: before.state === 'intended' ? 'open' : before.state,
  }));
  return { kind: 'unknown', lease: kept, reason, cleanup: 'unknown' };
}

function ended(lease: Lease, seen: Reading, reason: string): Ordered {
  return seen.kind === 'absent' && !seen.young
    ? { kind: 'refused', reason, cleanup: 'gone' }
    : { kind: 'unknown', lease, reason, cleanup: seen.kind === 'present' ? 'present' : 'unknown' };
}

function secondsSince(iso: string, clock: Clock): number {
  return Math.max(0, (clock.now().getTime() - Date.parse(iso)) / 1000);
}
