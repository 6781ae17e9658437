import { once } from 'node:events';
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

/** A moment that no test clock turns: it gives a machine time, it measures none. Holds no process open. */
export async function moment(seconds: number): Promise<void> {
  await once(AbortSignal.timeout(Math.max(1, Math.round(seconds * 1000))), 'abort');
}
