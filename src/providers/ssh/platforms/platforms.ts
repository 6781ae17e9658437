import type { CallOptions, Clock } from '../../../core/call.ts';
import { type PodId, providerOf } from '../../../core/ids.ts';
import type { Platforms } from '../../../core/platform.ts';
import type { Remote } from '../../../core/remote.ts';
import type { Store } from '../../../core/store.ts';
import { profileIdOf } from '../route.ts';
import { factsOf } from './facts.ts';
import { PLAIN } from './plain.ts';
import {
  lookScript,
  parseLook,
  platformById,
  platformOfHost,
  platformOfMarks,
  type Seen,
} from './recognise.ts';

const LOOK_SECONDS = 10;

export interface PlatformsDeps {
  readonly store: Store;
  readonly remote: Remote;
  readonly clock: Clock;
}

/**
 * Recognises where a machine of the user was rented, without asking anybody: by its address, and by one look at the machine
 * that is remembered. What was recognised is kept with the profile.
 */
export function createPlatforms({ store, remote, clock }: PlatformsDeps): Platforms {
  /** By machine and way to it, so that a profile that was pointed elsewhere is looked at anew. */
  const looks = new Map<string, Promise<Seen | undefined>>();

  async function look(podId: PodId, options: CallOptions): Promise<Seen | undefined> {
    const { exitCode, stdout } = await remote.exec(podId, lookScript(), {
      ...options,
      timeoutSeconds: LOOK_SECONDS,
    });
    return exitCode === 0 ? parseLook(stdout.toString('utf8')) : undefined;
  }

  return {
    async of(podId, { mayLook, ...options }) {
      if (providerOf(podId) !== 'ssh') return undefined;
      const profileId = profileIdOf(podId);
      const profile = await store.profiles.get(profileId);
      if (profile === undefined) return undefined;
      const { host, port, alias, podId: cloudPod } = profile;
      const machine = JSON.stringify([profileId, host, port, alias, cloudPod]);
      if (mayLook && !looks.has(machine)) looks.set(machine, look(podId, options));
      const seen = await looks.get(machine)?.catch(() => {
        looks.delete(machine);
        options.signal.throwIfAborted();
        return undefined;
      });
      const told = seen === undefined ? undefined : platformOfMarks(seen);
      const platform =
        told ?? platformOfHost(host ?? alias ?? '') ?? platformById(profile.platform) ?? PLAIN;
      if (told !== undefined && told.id !== profile.platform)
        await store.transaction(async (tx) => {
          const now = await tx.profiles.get(profileId);
          if (now !== undefined) await tx.profiles.put(profileId, { ...now, platform: told.id });
        });
      return factsOf(platform, seen, clock.now());
    },
  };
}
