/** Taken by everything that may wait. `signal` is required, so that forgetting it does not compile. */
export interface CallOptions {
  readonly signal: AbortSignal;
  /** Tells the person who waits what is going on. Short, our own words. */
  readonly progress?: (message: string) => void;
}

/** The only source of time. Tests turn it by hand. */
export interface Clock {
  now(): Date;
  /** Rejects with the signal's reason when aborted. */
  sleep(seconds: number, options: CallOptions): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: async (seconds, { signal }) =>
    new Promise((resolve, reject) => {
      const fail = (): void => {
        clearTimeout(timer);
        reject(reasonOf(signal));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', fail);
        resolve();
      }, seconds * 1000);
      if (signal.aborted) fail();
      else signal.addEventListener('abort', fail, { once: true });
    }),
};

/** For ending what waits where nobody hears why: an abort without a reason makes an error of its own, stack and all. */
export const OVER = new Error('over');

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}

/**
 * Aborts when so many seconds of this process are over. Node refuses a time that is no whole number of milliseconds, which
 * seconds that were reckoned from two moments seldom are, and one that is below 0.
 */
export function timeLimit(seconds: number): AbortSignal {
  return AbortSignal.timeout(millisecondsOf(seconds));
}

/**
 * Calls `then` when so many seconds of this process are over, unless what it answers is called before: then nothing of it is
 * left. For limits that are seldom reached, a fraction of the work of a signal. Holds no process open.
 */
export function after(seconds: number, then: () => void): () => void {
  const timer = setTimeout(then, millisecondsOf(seconds));
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
}

function millisecondsOf(seconds: number): number {
  return Math.max(1, Math.min(MOST_MILLISECONDS, Math.round(seconds * 1000)));
}
/** Beyond it a timer of Node ends at once. */
const MOST_MILLISECONDS = 2 ** 31 - 1;

/** Whether the time of `iso` has come. */
export function hasPassed(iso: string, clock: Clock): boolean {
  return Date.parse(iso) <= clock.now().getTime();
}
