import { expect, it } from 'vitest';
import { atMostUsd } from '../../../src/core/usd.ts';
import { fc } from '../../support/property.ts';

it('an amount that is said to be the most is never less than the truth, and by less than one digit more', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 10_000, noNaN: true }), (amount) => {
      const said = atMostUsd(amount);
      expect(said).toBeGreaterThanOrEqual(amount - 1e-9);
      expect(said - amount).toBeLessThanOrEqual(amount < 0.1 ? 0.0001 : 0.01);
    }),
  );
  expect([0, 0.01, 0.103228, 2.1, 0.1 + 0.2].map(atMostUsd)).toEqual([0, 0.01, 0.11, 2.1, 0.3]);
});
