import { describe, expect, it } from 'vitest';
import { createMeter } from '../../../src/sandbox/meter.ts';
import { fc } from '../../support/property.ts';

const bench = () => {
  let now = 1_000_000;
  const meter = createMeter({ nowSeconds: () => now });
  return {
    meter,
    pass: (seconds: number) => {
      now += seconds;
    },
  };
};
const rate = (gpu: number, disk = 0) => ({ gpuUsdPerHour: gpu, diskUsdPerHour: disk });

describe('the books', () => {
  it('bill by the second, each state at its own price, until the end (vast.md 17.17)', () => {
    const { meter, pass } = bench();
    meter.set('1', rate(0, 0.036));
    pass(100);
    meter.set('1', rate(0.36, 0.036));
    pass(1000);
    meter.set('1', rate(0, 0.036));
    pass(10);
    meter.end('1');
    pass(100_000);
    expect(meter.spentUsd('1')).toBe(0.1111);
    expect(meter.billing()).toEqual([]);
    expect(
      meter.history().map(({ fromSeconds, toSeconds }) => (toSeconds ?? 0) - fromSeconds),
    ).toEqual([100, 1000, 10]);
  });

  it('say what bills now, and since when', () => {
    const { meter, pass } = bench();
    meter.set('1', rate(1));
    meter.set('2', rate(0));
    pass(60);
    meter.set('1', rate(1));
    expect(meter.billing()).toEqual([{ id: '1', usdPerHour: 1, sinceSeconds: 1_000_000 }]);
    meter.transfer('2', 0.25, 0.5);
    expect(meter.spentUsd('2')).toBe(0.75);
    expect(meter.spentUsd('3')).toBe(0);
  });

  const price = fc.integer({ min: 0, max: 50_000 }).map((tenths) => tenths / 10_000);
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    seconds: fc.integer({ min: 0, max: 100_000 }),
    gpu: price,
    disk: price,
    ends: fc.boolean(),
  });

  it('are exact, however often somebody looks or says the same again (property)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const plain = bench();
        const nosy = bench();
        const expected = new Map<string, number>();
        const rates = new Map<string, number>();
        for (const { id, seconds, gpu, disk, ends } of steps) {
          for (const [known, perHour] of rates)
            expected.set(known, (expected.get(known) ?? 0) + (perHour * seconds) / 3600);
          plain.pass(seconds);
          for (let part = 0; part < 4; part += 1) {
            nosy.pass(seconds / 4);
            nosy.meter.spentUsd();
            nosy.meter.history();
          }
          for (const { meter } of [plain, nosy])
            if (ends) meter.end(id);
            else meter.set(id, rate(gpu, disk));
          if (ends) rates.delete(id);
          else rates.set(id, gpu + disk);
        }
        expect(nosy.meter.spentUsd()).toBe(plain.meter.spentUsd());
        let sum = 0;
        for (const [id, usd] of expected) {
          expect(plain.meter.spentUsd(id)).toBeCloseTo(usd, 8);
          sum += plain.meter.spentUsd(id);
        }
        expect(plain.meter.spentUsd()).toBeCloseTo(sum, 8);
        const billing = plain.meter.billing().map(({ id }) => id);
        const paid = [...rates].filter(([, perHour]) => perHour > 0).map(([id]) => id);
        expect(new Set(billing)).toEqual(new Set(paid));
      }),
    );
  });

  it('never run backwards and bill nothing that has ended (property)', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const { meter, pass } = bench();
        let last = 0;
        for (const { id, seconds, gpu, disk, ends } of steps) {
          pass(seconds);
          if (ends) meter.end(id);
          else meter.set(id, rate(gpu, disk));
          expect(meter.spentUsd()).toBeGreaterThanOrEqual(last);
          last = meter.spentUsd();
        }
        for (const id of ['a', 'b', 'c']) meter.end(id);
        const end = meter.spentUsd();
        pass(1e6);
        expect(meter.spentUsd()).toBe(end);
        expect(meter.billing()).toEqual([]);
      }),
    );
  });
});
