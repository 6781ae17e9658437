import { type CallOptions, type Clock, systemClock } from '../../src/core/call.ts';

/** Time stands still until somebody sleeps: a sleep turns the clock at once, so waiting loops run without waiting. */
export class ManualClock implements Clock {
  #now: number;

  constructor(start = '2026-01-01T00:00:00.000Z') {
    this.#now = Date.parse(start);
  }
  now(): Date {
    return new Date(this.#now);
  }
  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
  async sleep(seconds: number, { signal }: CallOptions): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    this.advance(seconds);
  }
}

/** Time goes on to the end of the next sleep when nothing else is going on: what sleeps side by side sleeps no longer than the longest. */
export class SharedClock extends ManualClock {
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  #isTurning = false;

  override async sleep(seconds: number, { signal }: CallOptions): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const sleeper = {
        at: this.now().getTime() + seconds * 1000,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', leave, { once: true });
      void this.#turn();
    });
  }

  async #turn(): Promise<void> {
    if (this.#isTurning) return;
    this.#isTurning = true;
    while (this.#sleepers.size > 0) {
      for (let calm = 0; calm < 50; calm += 1) await new Promise((done) => setImmediate(done));
      const [next] = [...this.#sleepers].toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.advance(Math.max(0, next.at - this.now().getTime()) / 1000);
      next.wake();
    }
    this.#isTurning = false;
  }
}

const TURN_MILLISECONDS = 10;
/** A turn of the event loop that took longer was one in which this process had no core. */
const MOST_PER_TURN_MILLISECONDS = 20;

/**
 * Real time as far as this process had a core to use it: what it loses to others on a busy machine does not pass. For clouds whose
 * time runs many times faster, so that what is asked of them in time depends on the order of events alone.
 */
export function startOwnClock(): Clock & Disposable {
  let last = performance.now();
  let passed = Date.now();
  const turn = (): void => {
    const now = performance.now();
    passed += Math.min(now - last, MOST_PER_TURN_MILLISECONDS);
    last = now;
  };
  const turns = setInterval(turn, TURN_MILLISECONDS).unref();
  return {
    now() {
      turn();
      return new Date(passed);
    },
    async sleep(seconds, options) {
      turn();
      const end = passed + seconds * 1000;
      do {
        await systemClock.sleep(Math.max(0, end - passed) / 1000, options);
        turn();
      } while (passed < end);
    },
    [Symbol.dispose]() {
      clearInterval(turns);
    },
  };
}
