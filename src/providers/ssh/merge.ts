import { InputError } from '../../core/errors.ts';
import type { ProfileId } from '../../core/ids.ts';
import { podIdSchema, providerOf } from '../../core/ids.ts';
import type { Profile, ProfileFields, SavedProfile } from '../../core/profile.ts';
import { parseSshCommand } from './ssh-command.ts';

/** No blank, no quote, no leading dash: these reach command lines and known-host names. */
const HOST = /^[A-Za-z0-9_[:][A-Za-z0-9._:%[\]-]{0,254}$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,127}$/;

export interface Merged {
  readonly profile: SavedProfile;
  /** The machine behind the profile may be another one now. */
  readonly movedRoute: boolean;
  /** What is connected now was connected on other terms. */
  readonly mustReconnect: boolean;
}

/**
 * The profile that results from saving `fields` over `known` (PR-01 to PR-06, pure). Explicit fields beat the pasted
 * command. A new destination replaces the whole old route, so no stale host, alias or port survives; a key path does.
 */
export function mergeProfile(
  profileId: ProfileId,
  known: SavedProfile | undefined,
  fields: ProfileFields,
): Merged {
  const given = { ...fromCommand(fields.sshCommand), ...present(fields) };
  if (fields.host !== undefined) delete given.alias;
  const isNewRoute =
    given.host !== undefined || given.alias !== undefined || given.podId !== undefined;
  const kept = { ...(isNewRoute ? {} : routeFacts(known)), ...habits(known) };
  const merged = { ...kept, ...given };
  const movedRoute = routeOf(merged) !== routeOf(known ?? {});
  const { validatedAt, platform, defaultFor, isDefault = false } = known ?? {};
  const profile: SavedProfile = {
    profileId,
    ...merged,
    isDefault,
    ...(defaultFor === undefined ? {} : { defaultFor }),
    ...(movedRoute || validatedAt === undefined ? {} : { validatedAt }),
    ...(movedRoute || platform === undefined ? {} : { platform }),
  };
  check(profile);
  return { profile, movedRoute, mustReconnect: termsOf(profile) !== termsOf(known ?? {}) };
}

interface Given {
  podId?: NonNullable<Profile['podId']>;
  host?: string;
  alias?: string;
  port?: number;
  user?: string;
  keyPath?: string;
  workFolder?: string;
  interactiveAccess?: NonNullable<Profile['interactiveAccess']>;
}

function fromCommand(command: string | undefined): Given {
  return command === undefined ? {} : { ...parseSshCommand(command) };
}

function present(fields: ProfileFields): Given {
  const { podId, host, port, user, keyPath, workFolder, interactiveAccess } = fields;
  return {
    ...(podId === undefined ? {} : { podId: toCloudPodId(podId) }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    ...(keyPath === undefined ? {} : { keyPath }),
    ...(workFolder === undefined ? {} : { workFolder }),
    ...(interactiveAccess === undefined ? {} : { interactiveAccess }),
  };
}

function toCloudPodId(text: string): NonNullable<Profile['podId']> {
  const parsed = podIdSchema.safeParse(text);
  if (!parsed.success || providerOf(parsed.data) === 'ssh')
    throw new InputError('invalid_input', 'podId must name a cloud pod, like "runpod:abc".');
  return parsed.data;
}

function routeFacts(known: Profile | undefined): Given {
  const { podId, host, alias, port, user } = known ?? {};
  return {
    ...(podId === undefined ? {} : { podId }),
    ...(host === undefined ? {} : { host }),
    ...(alias === undefined ? {} : { alias }),
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
  };
}

/** What stays the same when the machine changes. */
function habits(known: Profile | undefined): Given {
  const { keyPath, workFolder, interactiveAccess } = known ?? {};
  return {
    ...(keyPath === undefined ? {} : { keyPath }),
    ...(workFolder === undefined ? {} : { workFolder }),
    ...(interactiveAccess === undefined ? {} : { interactiveAccess }),
  };
}

function routeOf({ host, port, alias, podId }: Given): string {
  return JSON.stringify([host, port, alias, podId]);
}

/** All that a connection depends on. */
function termsOf(given: Given): string {
  return JSON.stringify([routeOf(given), given.user, given.keyPath, given.workFolder]);
}

/** Names exactly what is missing or unusable; nothing is guessed (MO-04). */
function check({ profileId, host, port, alias, podId, user, keyPath, workFolder }: Profile): void {
  const lacks = (missing: string): InputError =>
    new InputError('invalid_input', `Profile "${profileId}" lacks: ${missing}.`, {
      hint: 'Ask the user for the missing facts; ports and hosts are never guessed.',
    });
  if (host === undefined && alias === undefined && podId === undefined)
    throw lacks('host and port (or podId, or an alias of ~/.ssh/config in sshCommand)');
  if (host !== undefined && port === undefined && podId === undefined) throw lacks('port');
  const bad = (field: string, why: string): InputError =>
    new InputError('invalid_input', `${field} ${why}`);
  if (host !== undefined && !HOST.test(host)) throw bad('host', 'is not a host name or address.');
  if (alias !== undefined && !HOST.test(alias)) throw bad('sshCommand', 'names no usable alias.');
  if (user !== undefined && !USER.test(user)) throw bad('user', 'is not a login name.');
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535))
    throw bad('port', 'must be from 1 to 65535.');
  if (workFolder !== undefined && !workFolder.startsWith('/'))
    throw bad('workFolder', 'must be an absolute path on the machine.');
  if (keyPath !== undefined && /PRIVATE KEY|\n/.test(keyPath))
    throw new InputError('secret_refused', 'keyPath must be a path, not the key itself.', {
      hint: 'Save the key in a file with mode 0600 and pass its path.',
    });
  if (keyPath?.endsWith('.pub'))
    throw bad('keyPath', 'names a public key; name the private one beside it.');
}
