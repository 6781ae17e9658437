import { type CallOptions, type Clock, timeLimit } from '../../core/call.ts';
import { isAppError, RemoteError } from '../../core/errors.ts';
import { podIdOfProfile } from '../../core/ids.ts';
import type { SshEndpoint } from '../../core/machine.ts';
import type { Profile, Profiles } from '../../core/profile.ts';
import type { Remote } from '../../core/remote.ts';
import { shellQuote } from '../../core/shell-quote.ts';
import { checkKeyFile } from './key-file.ts';
import type { Routes } from './route.ts';

const TEST_LIMIT_SECONDS = 10;
/** What a job needs free in its folder and in the home. */
const NEEDED_KB = 64 * 1024;
/** The name of the login (several may share one account); then KiB free in the home, and in the work folder where one is named. */
const whoScript = (workFolder: string | undefined): string => `
free() {
  df -Pk -- "$1" 2>/dev/null | {
    read -r _ && read -r row || exit 0
    before=
    for word in $row; do
      case $word in *[0-9]%) printf '%s' "$before"; exit 0 ;; esac
      before=$word
    done
  }
}
printf '%s\\nhome %s\\n' "\${LOGNAME:-$(id -un)}" "$(free "$HOME")"
${workFolder === undefined ? '' : `printf 'work %s\\n' "$(free ${shellQuote(workFolder)})"`}
exit 0
`;
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
    const { exitCode, stdout } = await remote().exec(
      podIdOfProfile(profile.profileId),
      whoScript(endpoint.workFolder),
      { ...bounded, timeoutSeconds: TEST_LIMIT_SECONDS },
    );
    const [login = '', ...rooms] = stdout.toString('utf8').trim().split('\n');
    const user = loginOf(login, endpoint);
    const warnings = [...notes, ...roomWarnings(rooms)];
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

/** Pure. A machine that does not tell how much is free is not called full. */
function roomWarnings(rooms: readonly string[]): readonly string[] {
  return rooms.flatMap((line) => {
    const [, place, freeKb] = /^(home|work) (\d{1,15})$/.exec(line.trim()) ?? [];
    if (freeKb === undefined || Number(freeKb) >= NEEDED_KB) return [];
    const what = place === 'home' ? 'home of the login' : 'work folder';
    return [
      `The disk of the ${what} has ${Math.floor(Number(freeKb) / 1024)} MiB free: a job needs 64 MiB, and on a full one no shell opens. Make room there.`,
    ];
  });
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
