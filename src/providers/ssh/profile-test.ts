import { type CallOptions, type Clock, timeLimit } from '../../core/call.ts';
import { isAppError, RemoteError } from '../../core/errors.ts';
import { podIdOfProfile } from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import type { Profile, Profiles } from '../../core/profile.ts';
import type { Remote } from '../../core/remote.ts';
import { checkKeyFile } from './key-file.ts';
import type { Routes } from './route.ts';

const TEST_LIMIT_SECONDS = 10;
/** The name of the login; several may share one account. */
const WHO = 'printf %s "${LOGNAME:-$(id -un)}"';
const LOGIN = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

export interface ProfileTestDeps {
  readonly routes: Routes;
  readonly remote: () => Remote;
  readonly clock: Clock;
  /** For connecting and the command together. Default 10. */
  readonly testLimitSeconds?: number | undefined;
}
type Outcome = Awaited<ReturnType<Profiles['test']>>;

/**
 * Logs in and runs a command that does nothing (PR-08). Answers the profile as it is now proven: with the login that was
 * let in and the time. `notes` are told with the result.
 */
export async function tryProfile(
  { routes, remote, clock, testLimitSeconds = TEST_LIMIT_SECONDS }: ProfileTestDeps,
  profile: Profile,
  notes: readonly string[],
  options: CallOptions,
): Promise<Omit<Outcome, 'refreshed'>> {
  const limit = timeLimit(testLimitSeconds);
  const bounded = { ...options, signal: AbortSignal.any([options.signal, limit]) };
  try {
    if (profile.keyPath !== undefined) await checkKeyFile(profile.keyPath);
    const endpoint = await routes.endpointOf(profile, bounded);
    const { exitCode, stdout } = await remote().exec(podIdOfProfile(profile.profileId), WHO, {
      ...bounded,
      timeoutSeconds: TEST_LIMIT_SECONDS,
    });
    const user = loginOf(stdout.toString('utf8'), endpoint);
    const warnings = [...notes];
    if (exitCode !== 0)
      warnings.push(`The login works, but a command that does nothing ended with ${exitCode}.`);
    return {
      profile: {
        ...profile,
        // Found out once, it need not be tried again.
        ...(user === endpoint.secondUser ? { user } : {}),
        validatedAt: clock.now().toISOString(),
      },
      status: warnings.length === 0 ? 'ready' : 'warnings',
      details: [`Logged in as ${user} ${placeOf({ ...endpoint, user })}.`, ...warnings],
    };
  } catch (failure) {
    if (options.signal.aborted) throw failure;
    const known = limit.aborted
      ? new RemoteError(
          'ssh_unreachable',
          `The machine did not answer within ${testLimitSeconds} seconds.`,
          {
            cause: failure,
          },
        )
      : failure;
    if (!isAppError(known)) throw known;
    const details = [...notes, `${known.message} ${known.hint} (${known.code})`];
    return { profile, status: 'failed', details };
  }
}

/** What the machine says counts only where it is one of the logins that were tried. */
function loginOf(said: string, { user, secondUser }: SshEndpoint): string {
  const name = said.trim();
  return LOGIN.test(name) && name === secondUser ? name : user;
}

function placeOf({ user, host, port, route, via = [], proxyCommand }: SshEndpoint): string {
  const jumps =
    via.length === 0 ? '' : `, through ${via.map((hop) => `${hop.host}:${hop.port}`).join(', ')}`;
  const proxy = proxyCommand === undefined ? '' : ', by a ProxyCommand of the ssh configuration';
  return `at ${host}, port ${port} (${user}@${host}:${port}, route ${route})${jumps}${proxy}`;
}
