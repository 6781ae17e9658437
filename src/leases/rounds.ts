import type { CallOptions, Clock } from '../core/call.ts';
import { throwTogether, untilAborted } from './deps.ts';

export interface RoundOptions extends CallOptions {
  /** What takes longer goes on, and is told by a later round. Absent: all of it is waited for. */
  readonly patienceSeconds?: number | undefined;
}

/** The same work on many leases, again and again: one that is slow holds up no other, and is not begun twice. */
export interface Rounds<T> {
  /**
   * Begins what is not under way, waits, and answers what was done since the last round, in the order in which it was begun.
   * Failures since then are thrown, together where they are several; what was done is then told by the next round.
   */
  run(works: ReadonlyMap<string, () => Promise<T>>, options: RoundOptions): Promise<readonly T[]>;
}

export function createRounds<T>(clock: Clock): Rounds<T> {
  const under = new Map<string, Promise<void>>();
  const done: { readonly nth: number; readonly value: T }[] = [];
  const failures: unknown[] = [];
  let begun = 0;

  async function patience(seconds: number | undefined, signal: AbortSignal): Promise<void> {
    const all = Promise.all(under.values()).then(() => undefined);
    if (seconds === undefined) return untilAborted(all, signal);
    const over = new AbortController();
    const time = clock.sleep(seconds, { signal: AbortSignal.any([signal, over.signal]) });
    time.catch(() => undefined);
    try {
      await untilAborted(Promise.race([all, time]), signal);
    } finally {
      over.abort();
    }
  }

  return {
    async run(works, { signal, patienceSeconds }) {
      signal.throwIfAborted();
      for (const [key, work] of works) {
        if (under.has(key)) continue;
        const nth = begun++;
        const going = work()
          .then(
            (value) => {
              done.push({ nth, value });
            },
            (failure: unknown) => {
              failures.push(failure);
            },
          )
          .finally(() => under.delete(key));
        under.set(key, going);
      }
      await patience(patienceSeconds, signal);
      throwTogether(failures.splice(0));
      return done
        .splice(0)
        .sort((a, b) => a.nth - b.nth)
        .map(({ value }) => value);
    },
  };
}
