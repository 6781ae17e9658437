import type { CallOptions, Clock } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { isNotFound, type LambdaApi } from './api.ts';
import { BACKOFF_SECONDS } from './paces.ts';
import type { Launches } from './recent.ts';
import { isEnded } from './translate.ts';

const GONE_SECONDS = 60;
const LOOK_EVERY_SECONDS = 5;

export interface RemovalDeps {
  readonly api: LambdaApi;
  readonly launches: Launches;
  readonly clock: Clock;
  /** 1 for the real cloud; less for one on this machine, which is asked again sooner. */
  readonly patience: number;
}

/**
 * Orders the end of a machine. One that is missing succeeds, unless it was launched a moment ago: then Lambda may not know it
 * yet, and `provider_unavailable` asks for another order. So does a machine that cannot be ended while it boots.
 */
export async function terminate(
  { api, launches }: Pick<RemovalDeps, 'api' | 'launches'>,
  id: string,
  options: CallOptions,
): Promise<void> {
  try {
    await api.terminate(id, options);
    launches.settle(id);
  } catch (failure) {
    options.signal.throwIfAborted();
    // Only a look tells whether "missing" is about the machine; it throws when it cannot tell either.
    const isMissing = isNotFound(failure);
    const row = isMissing || isRefused(failure) ? await api.instance(id, options) : undefined;
    if (row !== undefined && (isEnded(row) || row.status === 'terminating')) return;
    if (row === undefined && isMissing && launches.young(id) === undefined) return;
    if (row === undefined && !isMissing) throw failure;
    throw new ProviderError(
      'provider_unavailable',
      row === undefined
        ? 'Lambda does not know this machine yet, which was launched a moment ago.'
        : 'Lambda does not end this machine now: one that boots may have to boot first.',
      {
        cause: failure,
        hint: 'It is charged. Order its end again until it is gone.',
        retryAfterSeconds: BACKOFF_SECONDS,
      },
    );
  }
}

function isRefused(failure: unknown): boolean {
  return isAppError(failure) && failure.code === 'invalid_input';
}

/**
 * Orders the end again and again until two looks, apart, say that nothing is there, or the time is over: what was made a moment ago
 * may be missing from one.
 */
export async function isProvenRemoved(
  deps: RemovalDeps,
  id: string,
  options: CallOptions,
): Promise<boolean> {
  const { api, clock, patience } = deps;
  let absences = 0;
  const seen = await poll(
    async () => {
      await quietly(terminate(deps, id, options), options);
      const look = api.instance(id, options).then((row) => ({ row }));
      const told = await quietly(look, options);
      const isGone = told !== undefined && (told.row === undefined || isEnded(told.row));
      if (told?.row !== undefined && isEnded(told.row)) return true;
      absences = isGone ? absences + 1 : 0;
      return absences >= 2 ? true : undefined;
    },
    {
      ...options,
      clock,
      timeoutSeconds: GONE_SECONDS,
      everySeconds: LOOK_EVERY_SECONDS * patience,
    },
  );
  return seen === true;
}

export async function quietly<T>(
  work: Promise<T>,
  { signal }: CallOptions,
): Promise<T | undefined> {
  return work.catch((failure: unknown) => {
    signal.throwIfAborted();
    if (isAppError(failure)) return undefined;
    throw failure;
  });
}
