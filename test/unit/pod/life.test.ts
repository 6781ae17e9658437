import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/core/call.ts';
import type { EmbeddedPodDeadline } from '../../../src/core/embedded-pod.ts';
import { watchLife } from '../../../src/pod/life.ts';
import { ManualClock } from '../../support/clock.ts';

const me = { pid: process.pid, startedAt: 'x', role: 'serve' } as const;
const { signal } = new AbortController();
const at = (seconds: number): string =>
  new Date(Date.parse('2026-01-01T00:00:00Z') + seconds * 1000).toISOString();

function watch(
  read: (clock: ManualClock) => EmbeddedPodDeadline,
  holder: () => number | undefined = () => process.pid,
  isRemoved: () => boolean = () => false,
) {
  const clock = new ManualClock('2026-01-01T00:00:00.000Z');
  const alarms: (string | undefined)[] = [];
  const end = watchLife({
    folder: {
      deadline: async () => Promise.resolve(read(clock)),
      holder: async () => {
        const pid = holder();
        return Promise.resolve(pid === undefined ? undefined : { ...me, pid });
      },
      isRemoved: async () => Promise.resolve(isRemoved()),
    },
    clock,
    signal,
    alarm: async (words) => {
      alarms.push(words);
      return Promise.resolve();
    },
  });
  return { clock, alarms, end };
}
const elapsed = (clock: Clock): number => (clock.now().getTime() - Date.parse(at(0))) / 1000;

describe('the life of a pod', () => {
  it('ends at its deadline and not before', async () => {
    const { clock, end } = watch(() => ({ deadlineAt: at(100), onExpiry: 'stop' }));
    expect(await end).toBe('stop');
    expect(elapsed(clock)).toBe(100);
  });

  it('follows a deadline that moves', async () => {
    const { clock, end } = watch((now) => ({
      deadlineAt: elapsed(now) < 50 ? at(60) : at(200),
      onExpiry: 'destroy',
    }));
    expect(await end).toBe('destroy');
    expect(elapsed(clock)).toBe(200);
  });

  it('an unreadable deadline is one alarm; the last good one stays in force [CO-06]', async () => {
    const { clock, alarms, end } = watch((now) => {
      if (elapsed(now) >= 10) throw new Error('unreadable');
      return { deadlineAt: at(30), onExpiry: 'stop' };
    });
    expect(await end).toBe('stop');
    expect(elapsed(clock)).toBe(30);
    expect(alarms).toHaveLength(1);
  });

  it('a deadline that was never readable ends nothing [CO-06]', async () => {
    let looks = 0;
    const { end } = watch(
      () => {
        throw new Error('unreadable');
      },
      () => {
        looks += 1;
        return looks > 5000 ? 1 : process.pid;
      },
    );
    expect(await end).toBe('replaced');
  });

  it('a clock that jumped over the deadline ends it at the next look', async () => {
    const { clock, end } = watch(() => ({ deadlineAt: at(3600), onExpiry: 'destroy' }));
    clock.advance(100_000);
    expect(await end).toBe('destroy');
    expect(elapsed(clock)).toBeLessThan(100_010);
  });

  it('a clock that is set back gives no time as a present [CO-06]', async () => {
    let looks = 0;
    const { clock, end } = watch((now) => {
      looks += 1;
      if (looks === 50) now.advance(-3600);
      return { deadlineAt: at(100), onExpiry: 'destroy' };
    });
    expect(await end).toBe('destroy');
    expect(looks).toBeLessThan(105);
    expect(elapsed(clock)).toBeLessThan(0);
  });

  it('a deadline set after the clock was set back is kept as it was meant', async () => {
    let looks = 0;
    const { clock, end } = watch((now) => {
      looks += 1;
      if (looks === 50) now.advance(-3600);
      return { deadlineAt: looks < 60 ? at(100) : at(-3600 + 500), onExpiry: 'destroy' };
    });
    expect(await end).toBe('destroy');
    expect(elapsed(clock)).toBe(-3600 + 500);
  });

  it('a lock that cannot be read is no other process: the pod goes on', async () => {
    const { clock, end } = watch(
      () => ({ deadlineAt: at(100), onExpiry: 'stop' }),
      () => undefined,
    );
    expect(await end).toBe('stop');
    expect(elapsed(clock)).toBe(100);
  });

  it('a folder that was deleted is an end', async () => {
    let looks = 0;
    const { end } = watch(
      () => ({ deadlineAt: at(100), onExpiry: 'stop' }),
      () => process.pid,
      () => {
        looks += 1;
        return looks > 5;
      },
    );
    expect(await end).toBe('destroy');
  });

  it('an alarm that cannot be written ends nothing and is told again', async () => {
    const clock = new ManualClock('2026-01-01T00:00:00.000Z');
    let tries = 0;
    let reads = 0;
    const end = watchLife({
      folder: {
        deadline: async () => {
          reads += 1;
          if (reads > 1) throw new Error('unreadable');
          return Promise.resolve({ deadlineAt: at(30), onExpiry: 'destroy' });
        },
        holder: async () => Promise.resolve(me),
        isRemoved: async () => Promise.resolve(false),
      },
      clock,
      signal,
      alarm: async () => {
        tries += 1;
        if (tries < 3) throw new Error('no space left');
        return Promise.resolve();
      },
    });
    expect(await end).toBe('destroy');
    expect(elapsed(clock)).toBe(30);
    expect(tries).toBe(3);
  });
});
