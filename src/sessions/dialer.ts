import type { Clock } from '../core/call.ts';
import { type AppError, isAppError, RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import type { Machines, SshEndpoint } from '../core/machine.ts';
import { ConnectFailure } from './connect-failure.ts';
import { type ConnectDeps, type Connection, connect } from './connection.ts';
import { moment } from './wait.ts';

/** A server with too many logins at once hangs up before it speaks. */
const DROPPED_TRIES = 5;
const DROPPED_SECONDS = 0.3;
/** Machines that count refused logins shut an address out after some five in a row. */
const FREE_REFUSALS = 3;
const REFUSED_STEP_SECONDS = 5;
const REFUSED_MAX_SECONDS = 15;

export interface Dialer {
  /** A new connection. Throws `AppError`s, those of `Machines.endpoint` among them. */
  dial(): Promise<Connection>;
}

export interface DialerDeps extends ConnectDeps {
  readonly machines: Machines;
}

interface Refusals {
  readonly count: number;
  readonly at: number;
  readonly login: string;
  readonly failure: AppError;
}

/** Connects to one pod, whoever asks: patient with a busy server, sparing with logins that are refused. */
export function createDialer(podId: PodId, deps: DialerDeps): Dialer {
  const { machines, clock } = deps;
  /** The login that was let in, where there were two to choose from. */
  let knownUser: string | undefined;
  let refusals: Refusals | undefined;

  /** The address is asked for again where the old one does not answer: ports move when a pod restarts. */
  async function dial(): Promise<Connection> {
    const { signal } = new AbortController();
    const endpoint = await machines.endpoint(podId, { signal });
    refuseTooSoon(endpoint, refusals, clock);
    try {
      const connection = await patiently(async () => reach(endpoint));
      refusals = undefined;
      return connection;
    } catch (failure) {
      if (isAppError(failure) && failure.code === 'ssh_refused')
        refusals = {
          count: (refusals?.count ?? 0) + 1,
          at: clock.now().getTime(),
          login: loginOf(endpoint),
          failure,
        };
      throw failure;
    }
  }

  async function reach(endpoint: SshEndpoint): Promise<Connection> {
    try {
      return await connectAs(endpoint);
    } catch (failure) {
      if (!(failure instanceof ConnectFailure) || failure.dropped) throw failure;
      if (!failure.maybeMoved) throw failure.failure;
      const { signal } = new AbortController();
      const now = await machines.endpoint(podId, { signal, moved: true });
      if (sameAddress(endpoint, now)) throw failure.failure;
      return connectAs(now);
    }
  }

  /** As the login that the endpoint names, and after a clear denial as the one other that it names (KE-09). */
  async function connectAs(endpoint: SshEndpoint): Promise<Connection> {
    const { user, secondUser } = endpoint;
    if (secondUser === undefined) return connect(endpoint, deps);
    const [first, other] = knownUser === secondUser ? [secondUser, user] : [user, secondUser];
    try {
      return await connect({ ...endpoint, user: first }, deps);
    } catch (failure) {
      if (!(failure instanceof ConnectFailure) || !failure.denied) throw failure;
      const connection = await connect({ ...endpoint, user: other }, deps).catch(
        (second: unknown) => {
          throw second instanceof ConnectFailure && second.denied ? deniedBoth(endpoint) : second;
        },
      );
      knownUser = other;
      return connection;
    }
  }

  return { dial };
}

/** Tries again, each time after a longer and uneven pause, while the machine hangs up before it speaks. */
async function patiently(work: () => Promise<Connection>): Promise<Connection> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (failure) {
      if (!(failure instanceof ConnectFailure)) throw failure;
      if (!failure.dropped || attempt >= DROPPED_TRIES) throw failure.failure;
      await moment(DROPPED_SECONDS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

/** Answers with the last refusal where the same login was refused a moment ago, instead of adding to the count. */
function refuseTooSoon(endpoint: SshEndpoint, last: Refusals | undefined, clock: Clock): void {
  if (last === undefined || last.count < FREE_REFUSALS || last.login !== loginOf(endpoint)) return;
  const pause = Math.min(
    REFUSED_MAX_SECONDS,
    (last.count - FREE_REFUSALS + 1) * REFUSED_STEP_SECONDS,
  );
  const left = pause - (clock.now().getTime() - last.at) / 1000;
  if (left <= 0 || left > pause) return;
  throw new RemoteError('ssh_refused', last.failure.message, {
    cause: last.failure,
    hint: `${last.failure.hint} It was asked ${last.count} times in a row; the next try is made in ${Math.ceil(left)} s, so that the machine does not shut us out.`,
    retryAfterSeconds: Math.ceil(left),
  });
}

function loginOf({ host, port, user, secondUser, keyPath, keyPaths }: SshEndpoint): string {
  return JSON.stringify([host, port, user, secondUser, keyPath, keyPaths]);
}

function sameAddress(one: SshEndpoint, other: SshEndpoint): boolean {
  const wayOf = ({ host, port, user, proxyCommand, via = [] }: SshEndpoint): string =>
    JSON.stringify([host, port, user, proxyCommand, via.map((hop) => [hop.host, hop.port])]);
  return wayOf(one) === wayOf(other);
}

function deniedBoth({ user, secondUser = '' }: SshEndpoint): ConnectFailure {
  return new ConnectFailure(
    new RemoteError('ssh_refused', 'The machine did not accept our key.', {
      hint: `Neither "${user}" nor "${secondUser}" is let in with it. Ask the user for the login name and the key of this machine.`,
    }),
  );
}
