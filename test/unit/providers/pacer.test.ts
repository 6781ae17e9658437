import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../src/providers/pacer.ts';
import { ManualClock } from '../../support/clock.ts';
import { fc } from '../../support/property.ts';

const { signal } = new AbortController();

describe('Pacer', () => {
  it('keeps the least interval, first come first served', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, { show: { everySeconds: 2 } });
    const start = clock.now().getTime();
    const turns: [string, number][] = [];
    const take = async (name: string): Promise<void> => {
      await pacer.turn('show', { signal });
      turns.push([name, (clock.now().getTime() - start) / 1000]);
    };
    await Promise.all([take('a'), take('b'), take('c')]);
    expect(turns).toEqual([
      ['a', 0],
      ['b', 2],
      ['c', 4],
    ]);
  });

  it('keeps the most calls of a period', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, { search: { most: { calls: 10, perSeconds: 60 } } });
    const start = clock.now().getTime();
    for (let call = 0; call < 10; call += 1) await pacer.turn('search', { signal });
    expect(clock.now().getTime()).toBe(start);
    await pacer.turn('search', { signal });
    expect(clock.now().getTime() - start).toBe(60_000);
  });

  it('lanes do not wait for each other, and an unknown one is free', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, { show: { everySeconds: 100 } });
    const start = clock.now().getTime();
    await pacer.turn('show', { signal });
    await pacer.turn('other', { signal });
    await pacer.turn('other', { signal });
    expect(clock.now().getTime()).toBe(start);
  });

  it('whoever gives up leaves at once and takes no turn', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, { show: { everySeconds: 2 } });
    const start = clock.now().getTime();
    await pacer.turn('show', { signal });
    const tired = new AbortController();
    const waiting = pacer.turn('show', { signal: tired.signal });
    const next = pacer.turn('show', { signal });
    tired.abort();
    await expect(waiting).rejects.toThrow();
    await next;
    expect(clock.now().getTime() - start).toBe(2000);
  });

  it('a held lane waits for everybody', async () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock, {});
    const start = clock.now().getTime();
    pacer.hold('create', 12);
    pacer.hold('create', 5);
    await pacer.turn('create', { signal });
    expect(clock.now().getTime() - start).toBe(12_000);
  });

  it('no window ever holds more than its pace, whoever gives up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ wait: fc.nat(3000), gives: fc.boolean() }), { maxLength: 25 }),
        fc.integer({ min: 1, max: 5 }),
        async (calls, most) => {
          const clock = new ManualClock();
          const pace = { everySeconds: 0.5, most: { calls: most, perSeconds: 7 } };
          const pacer = new Pacer(clock, { lane: pace });
          const begun: number[] = [];
          const work: Promise<void>[] = [];
          for (const { wait, gives } of calls) {
            clock.advance(wait / 1000);
            const controller = new AbortController();
            const turn = pacer.turn('lane', { signal: controller.signal });
            if (gives) controller.abort();
            work.push(
              turn.then(
                () => void begun.push(clock.now().getTime()),
                () => undefined,
              ),
            );
          }
          await Promise.all(work);
          expect(begun.length).toBeGreaterThanOrEqual(calls.filter(({ gives }) => !gives).length);
          begun.forEach((at, index) => {
            expect(at - (begun[index - 1] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(500);
            expect(at - (begun[index - most] ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(
              7000,
            );
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});
