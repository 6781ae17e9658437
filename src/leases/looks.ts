import type { Clock } from '../core/call.ts';
import { ConfigError } from '../core/errors.ts';
import { type PodId, type ProviderName, providerOf } from '../core/ids.ts';
import type { Provider, ProviderPod, Providers } from '../core/provider.ts';
import { limitOf } from './deps.ts';

const LOOK_LIMIT_SECONDS = 30;
const KEPT_LOOKS = 200;

export interface Look<T> {
  readonly value: T;
  /** When the provider was asked. ISO 8601. */
  readonly at: string;
}

/**
 * What providers say, asked for once by all who want to know in this process, so that many who wait for one pod ask no oftener
 * than the provider likes. A failure counts as an answer: it is not repeated sooner either.
 */
export interface Looks {
  /** `undefined`: not found by its id. Throws what the provider throws. */
  pod(podId: PodId, maxAgeSeconds: number): Promise<Look<ProviderPod | undefined>>;
  /** By its id, else in the list: a cloud may deny by one what it tells by the other. */
  find(podId: PodId, maxAgeSeconds: number): Promise<ProviderPod | undefined>;
  list(provider: ProviderName, maxAgeSeconds: number): Promise<Look<readonly ProviderPod[]>>;
  /** What is known of the pod is over: it was started, stopped or ordered to end. */
  forget(podId: PodId): void;
  /** How old a look may be that nobody needs to be fresh. */
  paceSeconds(provider: ProviderName): number;
}

interface Flight<T> {
  readonly startedAt: number;
  readonly work: Promise<T>;
}

export function createLooks({
  providers,
  clock,
}: {
  readonly providers: Providers;
  readonly clock: Clock;
}): Looks {
  const pods = new Map<string, Flight<ProviderPod | undefined>>();
  const lists = new Map<string, Flight<readonly ProviderPod[]>>();

  async function shared<T>(
    flights: Map<string, Flight<T>>,
    key: string,
    maxAgeSeconds: number,
    ask: () => Promise<T>,
  ): Promise<Look<T>> {
    const now = clock.now().getTime();
    const known = flights.get(key);
    // A clock that was set back makes nothing fresh.
    const isFresh =
      known !== undefined &&
      maxAgeSeconds > 0 &&
      Math.abs(now - known.startedAt) < maxAgeSeconds * 1000;
    const flight = isFresh ? known : { startedAt: now, work: ask() };
    if (!isFresh) {
      flight.work.catch(() => undefined);
      flights.delete(key);
      flights.set(key, flight);
      const [oldest] = flights.keys();
      if (flights.size > KEPT_LOOKS && oldest !== undefined) flights.delete(oldest);
    }
    return { value: await flight.work, at: new Date(flight.startedAt).toISOString() };
  }

  function providerNamed(name: ProviderName): Provider {
    const provider = providers.get(name);
    if (provider === undefined)
      throw new ConfigError('config_missing', `${name} is not configured.`);
    return provider;
  }

  const looks: Looks = {
    async pod(podId, maxAgeSeconds) {
      const provider = providerNamed(providerOf(podId));
      return shared(pods, podId, maxAgeSeconds, async () =>
        provider.getPod(podId, { signal: limitOf(LOOK_LIMIT_SECONDS) }),
      );
    },
    async find(podId, maxAgeSeconds) {
      const { value: byId } = await looks.pod(podId, maxAgeSeconds);
      if (byId !== undefined) return byId;
      const { value: listed } = await looks.list(providerOf(podId), maxAgeSeconds);
      return listed.find((pod) => pod.podId === podId);
    },
    async list(name, maxAgeSeconds) {
      const provider = providerNamed(name);
      return shared(lists, name, maxAgeSeconds, async () =>
        provider.listPods({ signal: limitOf(LOOK_LIMIT_SECONDS) }),
      );
    },
    forget(podId) {
      pods.delete(podId);
      lists.delete(providerOf(podId));
    },
    paceSeconds: (name) => providers.get(name)?.facts.pollSeconds ?? 0,
  };
  return looks;
}
