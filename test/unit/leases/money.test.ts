import { describe, expect, it } from 'vitest';
import type { Lease } from '../../../src/core/lease.ts';
import { stopped } from '../../../src/leases/expire.ts';
import { checkLimits } from '../../../src/leases/limits.ts';
import {
  accrued,
  bindingMinutes,
  reservedUsd,
  spentByDay,
  spentUsd,
  usd,
  usdFor,
} from '../../../src/leases/money.ts';
import { quoteFor } from '../../../src/leases/quotes.ts';
import { leaseFor } from '../../../src/leases/rent.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { someTerms } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

const START = '2026-01-01T00:00:00.000Z';
const HOUR_MS = 3_600_000;
const at = (hours: number): Date => new Date(Date.parse(START) + hours * HOUR_MS);
const price = fc.double({ min: 0.01, max: 50, noNaN: true });
const hours = fc.double({ min: 0, max: 100, noNaN: true });

function aLease(usdPerHour: number, ttlMinutes = 600): Lease {
  const clock = new ManualClock(START);
  const offer = anOffer({ usdPerHour, usdPerHourStopped: usdPerHour / 10 });
  const quote = quoteFor(someTerms({ ttlMinutes }), [offer], clock);
  return { ...leaseFor(offer, quote, 'auto', [], { clock, processId: 'p' }), state: 'open' };
}

describe('money', () => {
  it('spent and reserved together are the whole price until the deadline [CO-01] [CO-02]', () => {
    fc.assert(
      fc.property(price, fc.double({ min: 0, max: 10, noNaN: true }), (usdPerHour, now) => {
        const lease = aLease(usdPerHour);
        const sum = spentUsd(lease, at(now)) + reservedUsd(lease, at(now));
        expect(sum).toBeCloseTo(usdPerHour * 10, 6);
      }),
    );
  });

  it('writing down what was spent changes nothing', () => {
    fc.assert(
      fc.property(price, hours, hours, (usdPerHour, first, second) => {
        const lease = aLease(usdPerHour);
        const [early, late] = [Math.min(first, second), Math.max(first, second)];
        expect(spentUsd(accrued(lease, at(early)), at(late))).toBeCloseTo(
          spentUsd(lease, at(late)),
          6,
        );
      }),
    );
  });

  it('a stop lowers the rate from then on, never what was spent', () => {
    const lease = stopped(aLease(1), new ManualClock(at(4).toISOString()));
    expect(spentUsd(lease, at(4))).toBeCloseTo(4);
    expect(spentUsd(lease, at(14))).toBeCloseTo(5);
  });

  it('spends nothing before its time and nothing after its end', () => {
    expect(spentUsd(aLease(1), at(-5))).toBe(0);
    const closed: Lease = { ...accrued(aLease(1), at(2)), state: 'closed' };
    expect(spentUsd(closed, at(100))).toBe(2);
    expect(reservedUsd(closed, at(3))).toBe(0);
  });

  it('counts for a UTC day only what was spent in it, a lease over midnight in both', () => {
    expect(spentByDay(aLease(1), at(30))).toEqual({ '2026-01-01': 24, '2026-01-02': 6 });
    const paused = stopped(aLease(1), new ManualClock(at(20).toISOString()));
    const days = spentByDay(paused, at(34));
    expect(days['2026-01-01']).toBeCloseTo(20.4);
    expect(days['2026-01-02']).toBeCloseTo(1);
  });

  it('days and their sum agree, however often and in whatever order of times it is written down', () => {
    fc.assert(
      fc.property(price, fc.array(hours, { maxLength: 6 }), hours, (usdPerHour, times, end) => {
        const sumOf = (lease: Lease, now: Date): number =>
          Object.values(spentByDay(lease, now)).reduce((sum, each) => sum + each, 0);
        let lease = aLease(usdPerHour);
        let most = 0;
        for (const time of times) {
          lease = accrued(lease, at(time));
          // A clock that is set back frees nothing that was counted.
          expect(spentUsd(lease, at(time))).toBeGreaterThanOrEqual(most - 1e-9);
          most = spentUsd(lease, at(time));
        }
        expect(sumOf(lease, at(end))).toBeCloseTo(spentUsd(lease, at(end)), 6);
        const latest = Math.max(end, ...times);
        expect(spentUsd(lease, at(latest))).toBeCloseTo(usdPerHour * latest, 6);
      }),
    );
  });

  it('spending of before days were kept is spread evenly', () => {
    const old: Lease = { ...aLease(1), accruedUsd: 30, accruedAt: at(30).toISOString() };
    expect(spentByDay(old, at(31))).toEqual({ '2026-01-01': 24, '2026-01-02': 7 });
  });

  it('the deadline never outlives the budget [CO-03]', () => {
    fc.assert(
      fc.property(
        price,
        price,
        fc.integer({ min: 1, max: 10_000 }),
        (usdPerHour, budgetUsd, ttl) => {
          const minutes = bindingMinutes({ ttlMinutes: ttl, budgetUsd }, usdPerHour);
          expect(minutes).toBeLessThanOrEqual(ttl);
          expect(usdFor(minutes, usdPerHour)).toBeLessThanOrEqual(budgetUsd + 1e-9);
        },
      ),
    );
  });

  it('limits hold for every order of asking', () => {
    fc.assert(
      fc.property(fc.array(price, { minLength: 1, maxLength: 12 }), price, (prices, budgetUsd) => {
        const leases: Lease[] = [];
        for (const usdPerHour of prices) {
          const lease = aLease(usdPerHour, 60);
          try {
            checkLimits(lease, leases, { budgetUsd }, at(0));
            leases.push(lease);
          } catch (failure) {
            expect(failure).toMatchObject({ code: 'budget_exceeded' });
          }
        }
        const total = leases.reduce((sum, lease) => sum + reservedUsd(lease, at(0)), 0);
        expect(total).toBeLessThanOrEqual(budgetUsd + 1e-4);
      }),
    );
  });

  it('names small amounts with their digits', () => {
    expect([usd(0), usd(0.0123), usd(1.5)]).toEqual(['$0.00', '$0.0123', '$1.50']);
  });
});
