import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/call.ts';
import { poll } from '../../../src/core/poll.ts';
import { createSandboxClock } from '../../../src/sandbox/clock.ts';
import { ManualClock } from '../../support/clock.ts';
import { fc } from '../../support/property.ts';

const START = 1_000_000;
const still = (onFailure?: (failure: unknown) => void) =>
  createSandboxClock({
    clock: new ManualClock(),
    speed: 0,
    startSeconds: START,
    ...(onFailure === undefined ? {} : { onFailure }),
  });

describe('a clock that stands still', () => {
  it('moves only when it is turned', async () => {
    const clock = still();
    expect(clock.nowSeconds()).toBe(START);
    await clock.advance(90);
    expect(clock.nowSeconds()).toBe(START + 90);
  });

  it('does what falls due in order, each at its own moment, also what is set on the way (vast.md 17.9)', async () => {
    const clock = still();
    const seen: string[] = [];
    const note = (word: string): void => {
      seen.push(`${word}@${clock.nowSeconds() - START}`);
    };
    clock.after(30, () => {
      note('late');
    });
    clock.after(10, async () => {
      note('early');
      await Promise.resolve();
      clock.after(5, () => {
        note('child');
      });
    });
    clock.after(61, () => {
      note('beyond');
    });
    await clock.advance(60);
    expect(seen).toEqual(['early@10', 'child@15', 'late@30']);
    expect(clock.nowSeconds() - START).toBe(60);
    await clock.advance(1);
    expect(seen.at(-1)).toBe('beyond@61');
  });

  it('takes work back, and goes on after work that throws', async () => {
    const failures: unknown[] = [];
    const clock = still((failure) => failures.push(failure));
    const seen: string[] = [];
    const forget = clock.after(1, () => {
      seen.push('forgotten');
    });
    clock.after(2, () => {
      throw new Error('broken');
    });
    clock.after(3, () => {
      seen.push('after');
    });
    forget();
    await clock.advance(5);
    expect(seen).toEqual(['after']);
    expect(failures).toMatchObject([{ message: 'broken' }]);
  });

  it('two turnings at once add up', async () => {
    const clock = still();
    const moments: number[] = [];
    for (const at of [5, 15])
      clock.after(at, () => {
        moments.push(clock.nowSeconds() - START);
      });
    await Promise.all([clock.advance(10), clock.advance(10)]);
    expect(moments).toEqual([5, 15]);
    expect(clock.nowSeconds() - START).toBe(20);
  });

  it('is the same however the turning is cut (property)', async () => {
    const seconds = fc.integer({ min: 0, max: 200 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(seconds, { maxLength: 12 }),
        fc.array(seconds, { minLength: 1, maxLength: 6 }),
        async (delays, turns) => {
          const runs = [];
          const total = turns.reduce((sum, turn) => sum + turn, 0);
          for (const cut of [turns, [total]]) {
            const clock = still();
            const seen: string[] = [];
            delays.forEach((delay, index) => {
              clock.after(delay, () => {
                seen.push(`${index}@${clock.nowSeconds() - START}`);
              });
            });
            for (const turn of cut) await clock.advance(turn);
            runs.push(seen);
          }
          expect(runs[0]).toEqual(runs[1]);
          expect(runs[0]).toHaveLength(delays.filter((delay) => delay <= total).length);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a clock that runs', () => {
  it('runs as much faster as it is told, and does its work without being turned', async () => {
    using clock = createSandboxClock({ clock: systemClock, speed: 1000 });
    const began = clock.nowSeconds();
    let doneAt = 0;
    clock.after(100, () => {
      doneAt = clock.nowSeconds();
    });
    const { signal } = new AbortController();
    const done = await poll(async () => Promise.resolve(doneAt > 0 ? true : undefined), {
      clock: systemClock,
      signal,
      timeoutSeconds: 10,
      everySeconds: 0.01,
    });
    expect(done).toBe(true);
    expect(doneAt - began).toBeCloseTo(100, 0);
  });

  it('can be turned while it runs: what is set for later comes at once', async () => {
    using clock = createSandboxClock({ clock: systemClock, speed: 1 });
    const seen: number[] = [];
    clock.after(3600, () => {
      seen.push(1);
    });
    await clock.advance(3601);
    expect(seen).toEqual([1]);
  });

  it('forgets everything when it is disposed', async () => {
    const clock = createSandboxClock({ clock: systemClock, speed: 1000 });
    let count = 0;
    clock.after(50, () => {
      count += 1;
    });
    clock[Symbol.dispose]();
    await clock.advance(100);
    expect(count).toBe(0);
  });
});
