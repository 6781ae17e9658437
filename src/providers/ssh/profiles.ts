import type { CallOptions, Clock } from '../../core/call.ts';
import { count } from '../../core/count.ts';
import { InputError, isAppError } from '../../core/errors.ts';
import { type PodId, type ProfileId, podIdOfProfile } from '../../core/ids.ts';
import type { EndpointOptions, SshEndpoint } from '../../core/machine.ts';
import type { Profile, Profiles, SavedProfile } from '../../core/profile.ts';
import type { Remote } from '../../core/remote.ts';
import type { Collections, Store } from '../../core/store.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { checkAlias } from './alias.ts';
import type { CloudWay } from './cloud-pod.ts';
import { dropDefault, makeDefault, shownIn } from './defaults.ts';
import { checkKeyFile } from './key-file.ts';
import { mergeProfile } from './merge.ts';
import { tryProfile } from './profile-test.ts';
import { createRoutes, profileIdOf } from './route.ts';

/** A cloud moves ports when its pod restarts: an address that was proven longer ago is asked for again (PR-10). */
const FRESH_SECONDS = 600;
const PORTS_CHARS = 600;
const MAPPING_CHARS = 120;

export interface ProfilesDeps {
  readonly store: Store;
  /** Late, since a remote is built from endpoints and endpoints come from here. */
  readonly remote: () => Remote;
  readonly clock: Clock;
  /** How the cloud says its pod is reached, for profiles with a podId. Absent: saved facts are used as they are. */
  readonly cloudEndpoint?: (podId: PodId, options: CallOptions) => Promise<CloudWay>;
  /** Absent: the person's own ~/.ssh/config. */
  readonly sshConfigFile?: string;
  /** Our own key, tried last for profiles that name none. */
  readonly identityKeyPath?: string;
  /** GPU_LEASE_HOME. */
  readonly home: string;
  /** How long a test may take. Default 10. */
  readonly testLimitSeconds?: number;
  /** Folder of the project that this server works for; each has a default of its own. */
  readonly project?: string;
}

/** Machines the user already has: how they are reached, and nothing more. Nothing of ours stops or destroys them. */
export function createProfiles(deps: ProfilesDeps): Profiles & {
  endpoint(podId: PodId, options: EndpointOptions): Promise<SshEndpoint>;
} {
  const { store, remote, clock, cloudEndpoint, project = '' } = deps;
  const shown = (profile: SavedProfile): Profile => shownIn(project, profile);
  const list = async (): Promise<readonly Profile[]> => (await store.profiles.list()).map(shown);
  const routes = createRoutes({
    cloudEndpoint,
    sshConfigFile: deps.sshConfigFile,
    identityKeyPath: deps.identityKeyPath,
  });

  async function get(profileId: ProfileId): Promise<Profile> {
    const profile = await store.profiles.get(profileId);
    if (profile === undefined) throw unknownProfile(profileId);
    return shown(profile);
  }

  async function named(profileId: ProfileId | undefined): Promise<Profile> {
    if (profileId !== undefined) return get(profileId);
    const fallback = (await list()).find(({ isDefault }) => isDefault);
    if (fallback === undefined)
      throw new InputError(
        'invalid_input',
        'No profileId is given, and this project has no default.',
      );
    return fallback;
  }

  /** Asks the cloud again where its pod is, since a restart moves ports (PR-09). */
  async function refresh(
    profile: Profile,
    options: CallOptions,
  ): Promise<{ profile: Profile; refreshed: boolean; notes: readonly string[] }> {
    const { podId } = profile;
    if (podId === undefined) return { profile, refreshed: false, notes: [] };
    let why = 'No cloud is configured.';
    const found = await cloudEndpoint?.(podId, options).catch((failure: unknown) => {
      if (options.signal.aborted || !isAppError(failure)) throw failure;
      why = failure.message;
      return undefined;
    });
    if (found === undefined)
      return {
        profile,
        refreshed: false,
        notes: [`The cloud did not say where the pod is, so the saved address was used. ${why}`],
      };
    const { host, port, user } = found;
    const moved = { host, port, user: profile.user ?? user };
    await noteWay(podIdOfProfile(profile.profileId), cloudWords({ ...found, ...moved }));
    return { profile: { ...profile, ...moved }, refreshed: true, notes: [] };
  }

  return {
    async save(profileId, fields, { signal }) {
      signal.throwIfAborted();
      const { profile } = mergeProfile(profileId, await store.profiles.get(profileId), fields);
      if (profile.keyPath !== undefined) await checkKeyFile(profile.keyPath);
      if (fields.sshCommand !== undefined && profile.alias !== undefined)
        await checkAlias(profile.alias, { signal, configFile: deps.sshConfigFile });
      const podId = podIdOfProfile(profileId);
      const saved = await store.transaction(async (tx) => {
        const merged = mergeProfile(profileId, await tx.profiles.get(profileId), fields);
        if (merged.movedRoute) await forgetHostKeys(tx, podId);
        await tx.profiles.put(profileId, merged.profile);
        if (fields.setDefault === true) await makeDefault(tx, project, profileId);
        else if (fields.setDefault === false) await dropDefault(tx, project, merged.profile);
        return merged;
      });
      if (saved.mustReconnect) await remote().disconnect(podId);
      return get(profileId);
    },

    async test(profileId, options) {
      options.signal.throwIfAborted();
      const known = await named(profileId);
      const { profile, refreshed, notes } = await refresh(known, options);
      if (refreshed) await keep(profile);
      const tried = await tryProfile({ ...deps, routes }, profile, notes, options);
      if (tried.status !== 'failed') {
        await keep(tried.profile);
        await noteWay(podIdOfProfile(known.profileId), tried.details[0] ?? '');
      }
      return { ...tried, refreshed };
    },

    list,
    get,

    async remove(profileId) {
      await get(profileId);
      const podId = podIdOfProfile(profileId);
      const live = (await store.sessions.list()).filter(
        (session) => session.podId === podId && !['closed', 'lost'].includes(session.state),
      );
      if (live.length > 0)
        throw new InputError(
          'invalid_input',
          `Profile "${profileId}" has ${count(live.length, 'open session')}.`,
          {
            hint: 'Close them with session_close (with force where the machine cannot be reached), then remove the profile.',
          },
        );
      await remote().disconnect(podId);
      await store.transaction(async (tx) => {
        await tx.profiles.delete(profileId);
        await forgetHostKeys(tx, podId);
      });
    },

    async setDefault(profileId) {
      await get(profileId);
      await store.transaction(async (tx) => makeDefault(tx, project, profileId));
      return get(profileId);
    },

    async endpoint(podId, options) {
      options.signal.throwIfAborted();
      const saved = await get(profileIdOf(podId));
      const isOld =
        saved.validatedAt === undefined ||
        Math.abs(clock.now().getTime() - Date.parse(saved.validatedAt)) > FRESH_SECONDS * 1000;
      if (saved.podId === undefined || !(isOld || options.moved === true))
        return routes.endpointOf(saved, options);
      const { profile, refreshed } = await refresh(saved, options);
      if (refreshed) await keep(profile);
      return routes.endpointOf(profile, options);
    },
  };

  /** Another way than the last time is a line in the log (PR-16). */
  async function noteWay(podId: PodId, text: string): Promise<void> {
    const known = (await store.log.list(podId)).filter(({ kind }) => kind === 'endpoint');
    if (known.slice(-2).some((entry) => entry.text === text)) return;
    await store.log.append({ at: clock.now().toISOString(), kind: 'endpoint', podId, text });
  }

  /** What was found out about the way, written only over a profile that still leads to the same machine. */
  async function keep({
    profileId,
    podId,
    alias,
    host,
    port,
    user,
    validatedAt,
  }: Profile): Promise<void> {
    await store.transaction(async (tx) => {
      const now = await tx.profiles.get(profileId);
      const isSame =
        podId === undefined ? now?.host === host && now?.port === port : now?.podId === podId;
      if (now === undefined || !isSame || now.alias !== alias) return;
      await tx.profiles.put(profileId, {
        ...now,
        ...(host === undefined ? {} : { host }),
        ...(port === undefined ? {} : { port }),
        ...(user === undefined ? {} : { user }),
        ...(validatedAt === undefined ? {} : { validatedAt }),
      });
    });
  }
}

/** Where the cloud says the pod is, by which line of its port list. */
function cloudWords({ user, host, port, route, portMappings = [] }: CloudWay): string {
  const chosen = portMappings.find((line) => line.includes(`:${port}`));
  const by = chosen === undefined ? '' : `, by the mapping ${quoteForeign(chosen, MAPPING_CHARS)}`;
  const ports =
    portMappings.length === 0
      ? ''
      : ` Ports as the cloud lists them: ${quoteForeign(JSON.stringify(portMappings), PORTS_CHARS)}`;
  return `${user}@${quoteForeign(host, 100)}:${port}, route ${route}${by}.${ports}`;
}

/** Host keys of the machine and of those on the way to it. */
async function forgetHostKeys(tx: Collections, podId: PodId): Promise<void> {
  for (const { podId: owner, fileUnder = owner } of await tx.hostKeys.list())
    if (owner === podId) await tx.hostKeys.delete(fileUnder);
}

function unknownProfile(profileId: ProfileId): InputError {
  return new InputError('not_found', `No profile has the id "${profileId}".`, {
    hint: 'Call ssh_profile with action "list" to see what is saved, or "save" to add one.',
  });
}
