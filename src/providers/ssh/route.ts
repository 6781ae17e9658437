import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import {
  localPartOf,
  type PodId,
  type ProfileId,
  podIdOfProfile,
  profileIdSchema,
  providerOf,
} from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import type { Profile } from '../../core/profile.ts';
import { targetOf, wayTo } from './jumps.ts';
import { expandHome } from './key-file.ts';
import { defaultSshConfig, readSshConfig, type SshConfig } from './ssh-config.ts';
import { firstUserOf } from './users.ts';

/** Gateways that carry a shell and nothing else. */
const SHELL_ONLY_HOSTS: ReadonlySet<string> = new Set(['ssh.runpod.io']);

export interface RoutesDeps {
  readonly cloudEndpoint:
    | ((podId: PodId, options: CallOptions) => Promise<SshEndpoint>)
    | undefined;
  readonly sshConfigFile: string | undefined;
  /** Our own key, tried last where a profile names none. It may not exist. */
  readonly identityKeyPath?: string | undefined;
}

export interface Routes {
  /** Throws `invalid_input` or `unsupported` when the profile alone does not say how to get there. */
  endpointOf(profile: Profile, options: CallOptions): Promise<SshEndpoint>;
}

export function createRoutes(deps: RoutesDeps): Routes {
  const { cloudEndpoint, sshConfigFile } = deps;

  /** As the person's own ssh would go there: jump hosts, keys, agent and known_hosts included. */
  async function asSshWould(profile: Profile, options: CallOptions): Promise<SshEndpoint> {
    const { alias, host, port, user } = profile;
    const name = alias ?? host ?? '';
    const settings = { ...options, configFile: sshConfigFile };
    const read = await readSshConfig({ name, port, user }, settings);
    if (read === undefined && alias !== undefined)
      throw new InputError('unsupported', 'An alias needs the ssh program, which is not here.', {
        hint: 'Install the OpenSSH client, or save the profile with host, port and user.',
      });
    const config: SshConfig = read ?? defaultSshConfig({ name, port, user });
    const login =
      alias !== undefined || user !== undefined
        ? { user: config.user }
        : firstUserOf(config.user, config.host);
    const [target, way] = await Promise.all([
      targetOf({ ...config, user: login.user }),
      wayTo(config, settings),
    ]);
    return build(profile, { ...target, ...way, ...login });
  }

  /** The person's keys, or where the profile names one that one alone. */
  function build(
    { profileId, keyPath, workFolder }: Profile,
    { keyPaths, identitiesOnly, ...found }: Omit<SshEndpoint, 'podId' | 'route'>,
  ): SshEndpoint {
    const { identityKeyPath } = deps;
    return {
      ...found,
      podId: podIdOfProfile(profileId),
      route: SHELL_ONLY_HOSTS.has(found.host) ? 'proxy' : 'direct',
      ...(keyPath === undefined ? {} : { keyPath: expandHome(keyPath) }),
      ...(keyPath === undefined && found.keyPath === undefined
        ? {
            keyPaths: [
              ...(keyPaths ?? []),
              ...(identityKeyPath === undefined ? [] : [identityKeyPath]),
            ],
            ...(identitiesOnly === undefined ? {} : { identitiesOnly }),
          }
        : {}),
      ...(workFolder === undefined ? {} : { workFolder }),
    };
  }

  return {
    async endpointOf(profile, options) {
      const { host, port, alias, podId, user } = profile;
      if (host !== undefined && port !== undefined)
        return podId === undefined
          ? asSshWould(profile, options)
          : // The address of a cloud's pod was another pod's yesterday: only our own record of host keys counts.
            build(profile, { host, port, user: user ?? 'root' });
      if (alias !== undefined) return asSshWould(profile, options);
      if (podId !== undefined && cloudEndpoint !== undefined) {
        const found = await cloudEndpoint(podId, options);
        return build(profile, { ...found, user: user ?? found.user });
      }
      throw new InputError(
        'invalid_input',
        `Profile "${profile.profileId}" lacks: ${host === undefined ? 'host and port' : 'port'}.`,
        { hint: 'Save the profile again with the missing facts; they are never guessed.' },
      );
    },
  };
}

export function profileIdOf(podId: PodId): ProfileId {
  const parsed = profileIdSchema.safeParse(localPartOf(podId));
  if (providerOf(podId) !== 'ssh' || !parsed.success)
    throw new InputError('not_found', 'No profile has this id.');
  return parsed.data;
}
