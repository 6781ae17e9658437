import { describe, expect, it } from 'vitest';
import { merge, type Results, transportTable } from '../../../scripts/bench/transport/report.ts';
import {
  cut,
  type Row,
  reached,
  seriesOf,
  takeTurns,
  versus,
} from '../../../scripts/bench/transport/rows.ts';
import { fc } from '../../support/property.ts';

const aRow = (more: Partial<Row> = {}): Row => ({
  id: 'a',
  work: 'work',
  link: '0 ms',
  beside: '`scp`',
  figure: 1.2,
  unit: 'x',
  seriesUnit: 's',
  ...more,
});
const results = (...rows: Partial<Results['rows'][number]>[]): Results => ({
  machine: {
    cpu: 'a cpu',
    cores: 2,
    memoryGib: 8,
    system: 'Linux 6',
    node: '20.20.2',
    openssh: 'OpenSSH_9.2p1',
    rsync: 'rsync version 3.5.0',
  },
  command: 'npm run bench -- transport',
  rows: rows.map((row) => ({
    ...aRow(),
    part: 'a',
    takenAt: '2026-01-02T03:04:05.000Z',
    commit: 'abc',
    scale: 'full',
    load: 0.5,
    ...row,
  })),
});

describe('figures', () => {
  it('a figure that is shown is never more than it was', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), (value) => {
        expect(cut(value)).toBeLessThanOrEqual(value);
        expect(value - cut(value)).toBeLessThanOrEqual(value >= 100 ? 1 : value >= 10 ? 0.1 : 0.01);
      }),
    );
  });

  it('what is just below its target has not reached it', () => {
    const target = { value: 1.5, unit: 'x' } as const;
    expect(reached(aRow({ target, figure: 1.4999 }))).toBe(false);
    expect(reached(aRow({ target, figure: 1.5 }))).toBe(true);
    expect(reached(aRow({ target: { ...target, atMost: true }, figure: 1.5001 }))).toBe(false);
    expect(reached(aRow())).toBeUndefined();
    expect(reached(aRow({ target, figure: Number.NaN }))).toBe(false);
  });

  it('a ratio is theirs over ours, of medians', () => {
    const row = versus({
      ...aRow(),
      ours: [0.001, 0.002, 0.009],
      theirs: [0.004, 0.1, 0.003],
      unit: 'ms',
    });
    expect(row).toMatchObject({ figure: 2, seriesUnit: 'ms' });
    expect(row.ours).toEqual({ ...seriesOf([1, 2, 9]) });
  });
});

it('ways run in turn, the order reversed every round, the warm-up not counted', async () => {
  const order: string[] = [];
  const way = (name: string) => async () => {
    order.push(name);
    return Promise.resolve();
  };
  const took = await takeTurns({ a: way('a'), b: way('b') }, { rounds: 2, warmUp: 1 });
  expect(order).toEqual(['b', 'a', 'a', 'b', 'b', 'a']);
  expect(took.a).toHaveLength(2);
  expect(took.b).toHaveLength(2);
});

describe('what is kept', () => {
  it('a part that is taken anew replaces all its rows, and stands where it belongs', () => {
    const before = results(
      { id: 'a1' },
      { id: 'a2' },
      { id: 'b1', part: 'b' },
      { id: 'old', part: 'x' },
    );
    const merged = merge(before, results({ id: 'a3' }), ['b', 'a']);
    expect(merged.rows.map(({ id }) => id)).toEqual(['b1', 'a3']);
    expect(merge(undefined, before, ['a', 'b', 'x']).rows).toHaveLength(4);
  });

  it('the table says what was aimed at, what came out and why', () => {
    const target = { value: 2, unit: 'x' } as const;
    const page = transportTable(
      results(
        { id: 'near', target, figure: 1.999 },
        { id: 'far', target, figure: 3 },
        { id: 'none' },
      ),
      { near: 'The pod was slow' },
    );
    expect(page).toContain('1 of 2 targets reached');
    expect(page).toContain('| >= 2 x | 1.99 x | no |');
    expect(page).toContain('| >= 2 x | 3 x | yes |');
    expect(page).toContain('(not reached): The pod was slow.');
  });
});
