import { once } from 'node:events';
import { expect, it } from 'vitest';
import { after, timeLimit } from '../../../src/core/call.ts';
import { fc } from '../../support/property.ts';

it('a limit that was reckoned from two moments is one, whatever fractions it has', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 13 }), (milliseconds) => {
      expect(timeLimit(milliseconds / 1000).aborted).toBe(false);
      expect(timeLimit(milliseconds / 1000 - 1e9).aborted).toBe(false);
    }),
  );
  expect(timeLimit(32.199).aborted).toBe(false);
  expect(timeLimit(Infinity).aborted).toBe(false);
});

it('a limit that has passed is over soon', async () => {
  const limit = timeLimit(-3.3);
  if (!limit.aborted) await once(limit, 'abort');
  expect(limit.aborted).toBe(true);
});

it('what was to happen later happens once, and never where it was called off', async () => {
  const told: string[] = [];
  const cancel = after(0.001, () => told.push('called off'));
  cancel();
  // What is farther away than a timer reaches comes no sooner for it.
  const far = after(Infinity, () => told.push('far'));
  await new Promise<void>((resolve) => {
    after(-3.3, () => {
      told.push('past');
    });
    after(0.0214, resolve);
  });
  far();
  expect(told).toEqual(['past']);
});
