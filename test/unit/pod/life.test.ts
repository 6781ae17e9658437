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
  holder: () => number = () => process.pid,
) {
  const clock = new ManualClock('2026-01-01T00:00:00.000Z');
  const alarms: (string | undefined)[] = [];
  const end = watchLife({
    folder: {
      deadline: async () => Promise.resolve(read(clock)),
      holder: async () => Promise.resolve({ ...me, pid: holder() }),
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
});
