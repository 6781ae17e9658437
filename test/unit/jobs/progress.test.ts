import { describe, expect, it } from 'vitest';
import { progressFrom } from '../../../src/jobs/progress.ts';
import { fc } from '../../support/property.ts';

describe('progress [WA-19]', () => {
  it.each([
    ['step 120/600 loss 0.3', { done: 120, total: 600, unit: 'step', percent: 20 }],
    ['Epoch 3/10', { done: 3, total: 10, unit: 'epoch', percent: 30 }],
    ['epoch: 2/4 | step 50 of 100', { done: 50, total: 100, unit: 'step', percent: 37.5 }],
    ['iter=40/80', { done: 40, total: 80, unit: 'iteration', percent: 50 }],
    [
      'train:  45%|####5     | 450/1000 [01:02<01:15,  7.3it/s]',
      { done: 450, total: 1000, unit: 'step', percent: 45, etaSeconds: 75 },
    ],
    [
      ' 10%|#  | 1/10 [1:00<10:00:09, 3600s/it]',
      { done: 1, total: 10, unit: 'step', percent: 10, etaSeconds: 36_009 },
    ],
    ['[ 45%] Building CXX object', { done: 45, total: 100, unit: 'percent', percent: 45 }],
    ['step 77 loss 1.2', { done: 77, unit: 'step' }],
  ])('is read from %j', (line, expected) => {
    expect(progressFrom(`earlier step 1/600\n${line}\n`)).toEqual(expected);
  });

  it.each(['', 'hello', '2026/11/22 loss 3', '800% wrong', 'step 9/3', 'step 1/0', 'v1/2'])(
    'is not read from %j',
    (line) => {
      expect(progressFrom(line)).toBeUndefined();
    },
  );

  it('takes the last word after a carriage return, and the newest line that says something', () => {
    expect(progressFrom('step 1/4\rstep 2/4\rstep 3/4\nsaving\n')?.done).toBe(3);
  });

  it.each([
    ['step 25/600 (4.2 %) loss 3.1 eta 13s', 13],
    ['step 30/600 ETA: 1h 02m', 3720],
    ['step 30/600 | eta=01:30', 90],
    ['step 30/600, remaining 2 min 5 sec', 125],
    ['step 300/600 eta 7.6s', 8],
  ])('believes what the job itself says is left: %j', (line, expected) => {
    expect(progressFrom(line, 40)?.etaSeconds).toBe(expected);
  });

  it('guesses nothing while the start weighs more than the pace', () => {
    expect(progressFrom('step 25/600', 2)?.etaSeconds).toBeUndefined();
    expect(progressFrom('step 25/600', 400)?.etaSeconds).toBeGreaterThan(9000);
  });

  it('estimates the time left from the time so far', () => {
    expect(progressFrom('step 25/100', 50)?.etaSeconds).toBe(150);
    expect(progressFrom('step 0/100', 50)?.etaSeconds).toBeUndefined();
  });

  it('finds any step line, and never claims more than all', () => {
    fc.assert(
      fc.property(
        fc.nat(1e6),
        fc.integer({ min: 1, max: 1e6 }),
        fc.string(),
        (done, total, noise) => {
          const line = `step ${done}/${total}`;
          const progress = progressFrom(`${noise}\n${line}\n`);
          if (done <= total) expect(progress).toMatchObject({ done, total });
          expect(progress?.percent ?? 0).toBeLessThanOrEqual(100);
        },
      ),
    );
  });

  it('is quick on hostile lines', () => {
    for (const part of ['%|', 'step 1/', '1%|'.repeat(3), '[[(((', 'step step ', '0'])
      progressFrom(part.repeat(200_000));
    fc.assert(
      fc.property(fc.string({ maxLength: 2000, unit: 'binary' }), (text) => {
        progressFrom(text);
      }),
    );
  });
});
