import { setMaxListeners } from 'node:events';
import { type CallOptions, timeLimit } from '../core/call.ts';

/** Rejects as soon as the signal says so, even when `work` does not listen. */
export async function untilAborted<T>(work: Promise<T>, { signal }: CallOptions): Promise<T> {
  allowMany(signal);
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => {
      try {
        signal.throwIfAborted();
      } catch (reason) {
        reject(reason instanceof Error ? reason : new Error('aborted', { cause: reason }));
      }
    };
    stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

export interface Limited {
  readonly signal: AbortSignal;
  /** Whether the time was over, as opposed to the caller giving up. */
  readonly isOver: () => boolean;
}

/** Gives `work` a signal that also ends after so many seconds, and lets go of the caller's signal afterwards. */
export async function withinSeconds<T>(
  seconds: number,
  { signal }: CallOptions,
  work: (limited: Limited) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  allowMany(signal);
  const controller = new AbortController();
  const over = timeLimit(seconds);
  const cancel = (): void => {
    controller.abort(signal.reason);
  };
  const expire = (): void => {
    controller.abort(over.reason);
  };
  signal.addEventListener('abort', cancel, { once: true });
  over.addEventListener('abort', expire, { once: true });
  try {
    return await work({ signal: controller.signal, isOver: () => over.aborted });
  } finally {
    signal.removeEventListener('abort', cancel);
    over.removeEventListener('abort', expire);
  }
}

/** One signal may end many calls at once; at the eleventh Node would warn of a leak. */
function allowMany(signal: AbortSignal): void {
  setMaxListeners(0, signal);
}
