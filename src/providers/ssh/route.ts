import { stat } from 'node:fs/promises';
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
import { resolveAlias } from './alias.ts';
import { expandHome } from './key-file.ts';

const DEFAULT_USER = 'root';
/** Gateways that carry a shell and nothing else. */
const SHELL_ONLY_HOSTS: ReadonlySet<string> = new Set(['ssh.runpod.io']);

export interface RoutesDeps {
  readonly cloudEndpoint:
    | ((podId: PodId, options: CallOptions) => Promise<SshEndpoint>)
    | undefined;
  readonly sshConfigFile: string | undefined;
}

export interface Routes {
  /** Throws `invalid_input` or `unsupported` when the profile alone does not say how to get there. */
  endpointOf(profile: Profile, options: CallOptions): Promise<SshEndpoint>;
}

export function createRoutes({ cloudEndpoint, sshConfigFile }: RoutesDeps): Routes {
  return {
    async endpointOf(profile, options) {
      const { host, port, alias, podId, user } = profile;
      if (host !== undefined && port !== undefined)
        return build(profile, { host, port, user: user ?? DEFAULT_USER });
      if (alias !== undefined) {
        const found = await resolveAlias(alias, { ...options, configFile: sshConfigFile });
        const keyPath = profile.keyPath ?? (await firstFile(found.keyPaths));
        return build(
          { ...profile, ...(keyPath === undefined ? {} : { keyPath }) },
          { host: found.host, port: port ?? found.port, user: user ?? found.user },
        );
      }
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

function build(
  { profileId, keyPath, workFolder }: Profile,
  { host, port, user }: Pick<SshEndpoint, 'host' | 'port' | 'user'>,
): SshEndpoint {
  return {
    podId: podIdOfProfile(profileId),
    host,
    port,
    user,
    route: SHELL_ONLY_HOSTS.has(host) ? 'proxy' : 'direct',
    ...(keyPath === undefined ? {} : { keyPath: expandHome(keyPath) }),
    ...(workFolder === undefined ? {} : { workFolder }),
  };
}

export function profileIdOf(podId: PodId): ProfileId {
  const parsed = profileIdSchema.safeParse(localPartOf(podId));
  if (providerOf(podId) !== 'ssh' || !parsed.success)
    throw new InputError('not_found', 'No profile has this id.');
  return parsed.data;
}

async function firstFile(candidates: readonly string[]): Promise<string | undefined> {
  for (const file of candidates) {
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile()) return file;
  }
  return undefined;
}
