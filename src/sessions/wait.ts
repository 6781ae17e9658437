import { once } from 'node:events';
import { after, type CallOptions, OVER, systemClock, timeLimit } from '../core/call.ts';
import { CancelledError } from '../core/errors.ts';

/** Stops waiting when the caller does; the work goes on for whoever else waits for it. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(new CancelledError('cancelled', 'Cancelled by the caller.'));
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}

/**
 * Waits no longer than `seconds`, then throws what `late` makes. What is given up is aborted, and ends in the background.
 */
export async function within<T>(
  seconds: number,
  options: CallOptions,
  work: (options: CallOptions) => Promise<T>,
  late: () => Error,
): Promise<T> {
  const leave = new AbortController();
  const done = new AbortController();
  const running = work({ ...options, signal: AbortSignal.any([options.signal, leave.signal]) });
  const timer = systemClock.sleep(Math.max(0, seconds), { signal: done.signal }).then(
    () => {
      throw late();
    },
    // The work was quicker.
    async () => running,
  );
  try {
    return await Promise.race([running, timer]);
  } catch (failure) {
    leave.abort();
    throw failure;
  } finally {
    running.catch(() => undefined);
    timer.catch(() => undefined);
    done.abort(OVER);
  }
}

/**
 * What `work` comes to, or undefined where it takes longer than `seconds`. By then nothing here holds on to it: a timer that
 * is only forgotten keeps all that its listener sees until it rings. Holds no process open.
 */
export async function soon<T>(work: Promise<T>, seconds: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = after(seconds, () => {
      resolve(undefined);
    });
    work.then(resolve, reject).finally(cancel);
  });
}

/** A moment that no test clock turns: it gives a machine time, it measures none. Holds no process open. */
export async function moment(seconds: number): Promise<void> {
  await once(timeLimit(seconds), 'abort');
}
