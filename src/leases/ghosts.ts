import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { Providers } from '../core/provider.ts';
import { isPodOf } from './ledger.ts';
import type { Looks } from './looks.ts';
import type { Observer } from './observer.ts';
import { recall } from './recall.ts';
import { isOnFirstWayUp } from './replace.ts';

/** A pod that nobody asks for is looked at so often. */
const LOOK_SECONDS = 60;

export interface GhostDeps {
  readonly observer: Observer;
  readonly looks: Looks;
  readonly providers: Providers;
  readonly clock: Clock;
}

/**
 * Looks for the pods of open leases, one list a cloud and a minute: a lease whose pod is gone ends, and gives back the money that
 * it had reserved. A cloud that does not tell ends nothing.
 */
export function createGhostLook({
  observer,
  looks,
  providers,
  clock,
}: GhostDeps): (all: readonly Lease[]) => Promise<void> {
  const askedAt = new Map<ProviderName, number>();

  async function lookAt(name: ProviderName, mine: readonly Lease[]): Promise<void> {
    const now = clock.now().getTime();
    if (Math.abs(now - (askedAt.get(name) ?? -Infinity)) < LOOK_SECONDS * 1000) return;
    askedAt.set(name, now);
    for (const lease of mine) recall(lease, providers);
    try {
      const { value: pods, at } = await looks.list(name, LOOK_SECONDS / 2);
      for (const lease of mine) {
        const pod = pods.find((each) => isPodOf(lease, each));
        const reading =
          pod === undefined
            ? await observer.look(lease)
            : await observer.vet(lease, { kind: 'present', pod, at });
        await observer.settle(lease, reading);
      }
    } catch (failure) {
      if (!isAppError(failure)) throw failure;
    }
  }

  return async (all) => {
    // On its first way up it is looked at by whoever would rent another in its place.
    const open = all.filter(
      (lease) => lease.state === 'open' && lease.podId !== undefined && !isOnFirstWayUp(lease),
    );
    const names = [...new Set(open.map(({ provider }) => provider))];
    await Promise.all(
      names.map(async (name) =>
        lookAt(
          name,
          open.filter(({ provider }) => provider === name),
        ),
      ),
    );
  };
}
