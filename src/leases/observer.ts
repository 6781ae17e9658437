import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { Lease } from '../core/lease.ts';
import type { ProviderPod, Providers } from '../core/provider.ts';
import type { AccountBook } from './account-book.ts';
import { isPodOf, type Ledger, without } from './ledger.ts';
import type { Looks } from './looks.ts';
import { recall } from './recall.ts';

/** Law 4 of providers makes absence a fact; how long a new pod may be missing from lists all the same. */
const PROPAGATION_SECONDS = 60;
const LOCAL_PROPAGATION_SECONDS = 3;
/** A creation that has not ended after this long has no process that still waits for it. */
const CREATION_LIMIT_SECONDS = 900;
const FRESH_SECONDS = 5;

export type Reading =
  | {
      readonly kind: 'present';
      readonly pod: ProviderPod;
      /** When the provider said so. Absent: just now. */
      readonly at?: string | undefined;
    }
  /** Not found by id and not in the list. `young`: it may only not have appeared yet. */
  | { readonly kind: 'absent'; readonly young: boolean; readonly how: string }
  | { readonly kind: 'unknown'; readonly why: string };

export interface Observer {
  /**
   * One look at the provider, by id and by label; not a new one where somebody looked at most `maxAgeSeconds` ago. Never
   * throws for the provider's failures. Writes nothing.
   */
  look(lease: Lease, maxAgeSeconds?: number): Promise<Reading>;
  /** What a reading is worth that was had in another way: `unknown` where it may be about another account. */
  vet(lease: Lease, reading: Reading): Promise<Reading>;
  /** Writes down what was seen: the pod of a lost answer, the time of the look, the end of a pod that is gone. */
  settle(lease: Lease, reading: Reading): Promise<Lease>;
}

export interface ObserverDeps {
  readonly ledger: Ledger;
  readonly providers: Providers;
  readonly looks: Looks;
  readonly accounts: AccountBook;
  readonly clock: Clock;
  /** Whether somebody is creating this lease's pod at this moment. */
  readonly isBeingCreated: (lease: Lease) => boolean;
}

export function createObserver({
  ledger,
  providers,
  looks,
  accounts,
  clock,
  isBeingCreated,
}: ObserverDeps): Observer {
  const secondsSince = (iso: string): number => (clock.now().getTime() - Date.parse(iso)) / 1000;

  async function lookAt(lease: Lease, maxAgeSeconds: number): Promise<Reading> {
    const { podId, provider } = lease;
    recall(lease, providers);
    if (podId !== undefined) {
      const { value: pod, at } = await looks.pod(podId, maxAgeSeconds);
      if (pod !== undefined) return { kind: 'present', pod, at };
    }
    const { value: pods, at } = await looks.list(provider, maxAgeSeconds);
    const listed = pods.find((pod) => isPodOf(lease, pod));
    if (listed !== undefined) return { kind: 'present', pod: listed, at };
    return { kind: 'absent', young: isYoung(lease), how: absenceOf(lease) };
  }

  /** Another account does not have the pod, or another one under its number. Our labels are given once in the world. */
  async function vetted(lease: Lease, reading: Reading): Promise<Reading> {
    const isOurs =
      reading.kind === 'present' &&
      reading.pod.label === lease.label &&
      lease.approvedBy !== 'adopted';
    if (isOurs || reading.kind === 'unknown') return reading;
    const why = await accounts.strangeness(lease);
    return why === undefined ? reading : { kind: 'unknown', why };
  }

  function isYoung(lease: Lease): boolean {
    const limit = propagationSeconds(lease);
    if (lease.podId !== undefined)
      return lease.provider !== 'local' && secondsSince(lease.createdAt) < limit;
    if (isBeingCreated(lease) && secondsSince(lease.createdAt) < CREATION_LIMIT_SECONDS)
      return true;
    if (lease.provider === 'local') return secondsSince(lease.createdAt) < limit;
    return lease.absentSince === undefined || secondsSince(lease.absentSince) < limit;
  }

  /** Seen the same a moment ago: not worth a write. */
  const isOldNews = (lease: Lease, pod: ProviderPod, at: string): boolean =>
    lease.state !== 'intended' &&
    lease.podId === pod.podId &&
    lease.observedStatus === pod.status &&
    lease.observedAt !== undefined &&
    (lease.observedAt >= at || secondsSince(lease.observedAt) < FRESH_SECONDS);

  return {
    async look(lease, maxAgeSeconds = 0) {
      if (providers.get(lease.provider) === undefined)
        return { kind: 'unknown', why: `${lease.provider} is not configured any more` };
      try {
        return await vetted(lease, await lookAt(lease, maxAgeSeconds));
      } catch (failure) {
        const code = isAppError(failure) ? failure.code : 'internal';
        return { kind: 'unknown', why: `${lease.provider} did not tell (${code})` };
      }
    },
    async vet(lease, reading) {
      return vetted(lease, reading).catch((failure: unknown) => ({
        kind: 'unknown' as const,
        why: `${lease.provider} did not tell (${isAppError(failure) ? failure.code : 'internal'})`,
      }));
    },
    async settle(lease, reading) {
      const now = clock.now().toISOString();
      switch (reading.kind) {
        case 'present': {
          const { at = now } = reading;
          if (isOldNews(lease, reading.pod, at)) return lease;
          return ledger.update(lease.leaseId, (before) => ({
            ...without(before, 'absentSince'),
            ...(before.state === 'intended' ? { state: 'open' as const } : {}),
            podId: reading.pod.podId,
            observedAt: at,
            observedStatus: reading.pod.status,
          }));
        }
        case 'absent':
          if (!reading.young)
            return ledger.close(lease.leaseId, {
              podId: lease.podId,
              how: reading.how,
              ...endOf(lease, clock),
            });
          return lease.podId === undefined && !isBeingCreated(lease)
            ? ledger.update(lease.leaseId, (before) => ({ absentSince: now, ...before }))
            : lease;
        case 'unknown':
          return lease;
      }
    },
  };
}

/** Why a lease ends that nobody of ours ended just now. */
function endOf(
  lease: Lease,
  clock: Clock,
): { readonly failure?: string; readonly unseen?: boolean } {
  if (lease.podId === undefined) return { failure: lease.failure ?? 'The pod never came to be.' };
  if (lease.state === 'closing') return {};
  const expired = Date.parse(lease.deadlineAt) <= clock.now().getTime();
  return {
    unseen: true,
    failure: expired ? 'It ended at its deadline.' : 'It was ended outside of this server.',
  };
}

function absenceOf({ podId, provider }: Lease): string {
  return podId === undefined
    ? `No pod with our label in the list of ${provider}.`
    : `Not found by its id and not in the list of ${provider}.`;
}

function propagationSeconds({ provider }: Lease): number {
  return provider === 'local' ? LOCAL_PROPAGATION_SECONDS : PROPAGATION_SECONDS;
}
