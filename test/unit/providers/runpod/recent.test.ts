import { describe, expect, it } from 'vitest';
import { createRecent } from '../../../../src/providers/runpod/recent.ts';
import type { PodRow } from '../../../../src/providers/runpod/rows.ts';
import { ManualClock } from '../../../support/clock.ts';

const rowWith = (uptimeSeconds: number): PodRow =>
  ({
    id: 'p',
    status: 'RUNNING',
    hasRuntime: true,
    uptimeSeconds,
    ports: [],
  }) as Partial<PodRow> as PodRow;

describe('what was ordered lately', () => {
  it('is forgotten after two minutes', () => {
    const clock = new ManualClock();
    const recent = createRecent(clock);
    recent.remember('p', 'stop');
    clock.advance(119);
    expect(recent.of('p')).toMatchObject({ order: 'stop', secondsAgo: 119 });
    clock.advance(2);
    expect(recent.of('p')).toBeUndefined();
  });

  it('by another process is learned from its time; what this one knows better stays', () => {
    const clock = new ManualClock();
    const recent = createRecent(clock);
    const now = clock.now().getTime();
    recent.recall('p', 'start', now - 121_000);
    expect(recent.of('p')).toBeUndefined();
    recent.recall('p', 'start', now - 30_000);
    expect(recent.of('p')).toMatchObject({ order: 'start', secondsAgo: 30 });
    recent.recall('p', 'start', now - 28_000);
    expect(recent.of('p')).toMatchObject({ secondsAgo: 30 });
    recent.recall('p', 'stop', now - 10_000);
    expect(recent.of('p')).toMatchObject({ order: 'stop', secondsAgo: 10 });
    recent.recall('p', 'start', now - 29_000);
    expect(recent.of('p')).toMatchObject({ order: 'stop' });
    recent.recall('q', 'start', Number.NaN);
    expect(recent.of('q')).toBeUndefined();
  });

  it('keeps how long the container before it had run, over a stop too', () => {
    const clock = new ManualClock();
    const recent = createRecent(clock);
    recent.steady(rowWith(700));
    recent.remember('p', 'stop');
    clock.advance(600);
    recent.remember('p', 'start');
    recent.steady(rowWith(705));
    expect(recent.of('p')).toMatchObject({ order: 'start', uptimeBefore: 700 });
  });
});
