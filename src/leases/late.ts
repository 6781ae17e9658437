import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { ProviderPod } from '../core/provider.ts';
import { isPodOf, type Ledger } from './ledger.ts';
import type { Looks } from './looks.ts';
import type { Observer } from './observer.ts';

/**
 * An order that was lost on the way may be carried out, and a machine that no list showed may be there again, long after the lease
 * was closed. For so long after that it is still looked for, a little rarer than a living pod.
 */
const LATE_MINUTES = 60;
const LATE_LOOK_SECONDS = 60;
/** Whoever has not looked before looks back further: nobody may have looked since. */
const FIRST_LOOK_DAYS = 7;

export interface LateDeps {
  readonly ledger: Ledger;
  readonly observer: Observer;
  readonly looks: Looks;
  readonly clock: Clock;
}

/**
 * Looks for the machines of leases that are closed, one list a cloud, and answers with the leases that are open or closing again
 * because of it. A cloud that does not tell is asked again later.
 */
export function createLateLook({
  ledger,
  observer,
  looks,
  clock,
}: LateDeps): (all: readonly Lease[]) => Promise<readonly Lease[]> {
  const askedAt = new Map<ProviderName, number>();
  const toldAt = new Map<ProviderName, number>();

  /** Milliseconds since the epoch: what ended before was looked for long enough. */
  function since(name: ProviderName, now: number): number {
    const told = toldAt.get(name);
    return told === undefined
      ? now - FIRST_LOOK_DAYS * 86_400_000
      : Math.min(now, told) - LATE_MINUTES * 60_000;
  }

  async function lookAt(name: ProviderName, all: readonly Lease[]): Promise<readonly Lease[]> {
    const now = clock.now().getTime();
    const start = since(name, now);
    const isLate = ({ state, provider, endedAt = '' }: Lease): boolean =>
      state === 'closed' && provider === name && Date.parse(endedAt) > start;
    if (!all.some(isLate)) return [];
    if (Math.abs(now - (askedAt.get(name) ?? -Infinity)) < LATE_LOOK_SECONDS * 1000) return [];
    askedAt.set(name, now);
    try {
      const { value: pods, at } = await looks.list(name, LATE_LOOK_SECONDS / 2);
      // An answer from before its end says nothing about it.
      const older = all.filter(({ endedAt = '' }) => !(Date.parse(endedAt) > Date.parse(at)));
      const again = await reopenSeen(pods, older, { ledger, observer });
      toldAt.set(name, now);
      return again;
    } catch (failure) {
      if (isAppError(failure)) return [];
      throw failure;
    }
  }

  return async (all) => {
    const names = [...new Set(all.map(({ provider }) => provider))];
    // What runs here is in the list at once, or never.
    const clouds = names.filter((name) => name !== 'local' && name !== 'ssh');
    return (await Promise.all(clouds.map(async (name) => lookAt(name, all)))).flat();
  };
}

/**
 * Machines of ours that turn up after their lease was closed are ours again: `leases` as they were before the cloud was asked.
 * Answers with their leases.
 */
export async function reopenSeen(
  pods: readonly ProviderPod[],
  leases: readonly Lease[],
  { ledger, observer }: Pick<LateDeps, 'ledger' | 'observer'>,
): Promise<readonly Lease[]> {
  const again: Lease[] = [];
  for (const pod of pods) {
    const mine = leases.filter((lease) => isPodOf(lease, pod));
    const closed = mine.findLast(({ state }) => state === 'closed');
    if (closed === undefined || mine.some(({ state }) => state !== 'closed')) continue;
    const seen = await observer.vet(closed, { kind: 'present', pod });
    if (seen.kind === 'present') again.push(await ledger.reopen(closed.leaseId, pod.podId));
  }
  return again;
}
