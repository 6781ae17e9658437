import { type AppError, RemoteError } from '../core/errors.ts';

/** Nobody said anything for the whole time that a connection may take. */
export class SilenceError extends Error {}

/** Why there is no connection, so that a caller can tell a moved port or a wrong login from a machine that says no. */
export class ConnectFailure extends Error {
  readonly failure: AppError;
  /** Nobody answered there: the address may be out of date. */
  readonly maybeMoved: boolean;
  /** The machine itself answered and refused every key for this login. */
  readonly denied: boolean;
  /** It hung up before it said who it is, as servers do that have too many logins at once. */
  readonly dropped: boolean;
  constructor(failure: AppError, { maybeMoved = false, denied = false, dropped = false } = {}) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.maybeMoved = maybeMoved;
    this.denied = denied;
    this.dropped = dropped;
  }
}

export function unreachable(message: string, cause?: unknown): ConnectFailure {
  return new ConnectFailure(new RemoteError('ssh_unreachable', message, { cause }), {
    maybeMoved: true,
  });
}

/** Whether `failure` comes of waiting in vain, so that waiting once more would only double the time. */
export function wasSilence(failure: unknown): boolean {
  for (let one = failure; one instanceof Error; one = one.cause)
    if (one instanceof SilenceError || ('level' in one && one.level === 'client-timeout'))
      return true;
  return false;
}
