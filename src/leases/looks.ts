import type { Clock } from '../core/call.ts';
import { ConfigError } from '../core/errors.ts';
import { type PodId, type ProviderName, providerOf } from '../core/ids.ts';
import type { Provider, ProviderPod, Providers, Volume } from '../core/provider.ts';
import { limitOf } from './deps.ts';
import { createFlights, type Look } from './flights.ts';

const LOOK_LIMIT_SECONDS = 30;

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
  /** `undefined`: the cloud has none. Throws what the provider throws. */
  volumes(provider: ProviderName, maxAgeSeconds: number): Promise<readonly Volume[] | undefined>;
  /** One was made, attached, freed or removed. */
  forgetVolumes(provider: ProviderName): void;
  /** How old a look may be that nobody needs to be fresh. */
  paceSeconds(provider: ProviderName): number;
}

export function createLooks({
  providers,
  clock,
}: {
  readonly providers: Providers;
  readonly clock: Clock;
}): Looks {
  const pods = createFlights<ProviderPod | undefined>(clock);
  const lists = createFlights<readonly ProviderPod[]>(clock);
  const disks = createFlights<readonly Volume[] | undefined>(clock);

  function providerNamed(name: ProviderName): Provider {
    const provider = providers.get(name);
    if (provider === undefined)
      throw new ConfigError('config_missing', `${name} is not configured.`);
    return provider;
  }

  const looks: Looks = {
    async pod(podId, maxAgeSeconds) {
      const provider = providerNamed(providerOf(podId));
      return pods.ask(podId, maxAgeSeconds, async () =>
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
      return lists.ask(name, maxAgeSeconds, async () =>
        provider.listPods({ signal: limitOf(LOOK_LIMIT_SECONDS) }),
      );
    },
    forget(podId) {
      pods.forget(podId);
      lists.forget(providerOf(podId));
    },
    async volumes(name, maxAgeSeconds) {
      const provider = providerNamed(name);
      const { value } = await disks.ask(name, maxAgeSeconds, async () =>
        provider.volumes?.listVolumes({ signal: limitOf(LOOK_LIMIT_SECONDS) }),
      );
      return value;
    },
    forgetVolumes(name) {
      disks.forget(name);
    },
    paceSeconds: (name) => providers.get(name)?.facts.pollSeconds ?? 0,
  };
  return looks;
}
