import { expect, it } from 'vitest';
import { isAppError } from '../../../src/core/errors.ts';
import type { Lease } from '../../../src/core/lease.ts';
import type { Limits } from '../../../src/leases/limits.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider, type FakeFaults } from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

const HOUR_MS = 3_600_000;
const LIMITS = {
  budgetUsd: 16,
  budgetDayUsd: 7,
  budgetPodUsd: 8,
  maxUsdPerHour: 1.6,
  maxPods: 2,
} as const satisfies Limits;
const FAULTS = [
  'loseAnswers',
  'loseRequests',
  'lostButFound',
  'failAndRemove',
  'noCapacity',
  'failAfterMachine',
  'bootFails',
  'terminateFails',
  'lingers',
] as const satisfies readonly (keyof FakeFaults)[];

const which = fc.nat({ max: 3 });
const minutes = fc.integer({ min: 2, max: 900 });
const stepArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create'), offer: which, minutes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('prolong'), pod: which, minutes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('bid'), pod: which, minutes }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop'), pod: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('start'), pod: which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('destroy'), pod: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('vanish'), pod: which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('fail'), fault: fc.constantFrom(...FAULTS) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait'), minutes }) },
);
/** Each step is done by one of two servers; `together`: while the other does the next one. */
const walkArbitrary = fc.array(
  fc.record({ step: stepArbitrary, server: fc.nat({ max: 1 }), together: fc.boolean() }),
  { minLength: 5, maxLength: 25 },
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never;

function twoServers() {
  const clock = new ManualClock('2026-01-01T20:00:00.000Z');
  const store = createMemoryStore();
  const offers = ['a', 'b', 'c'].map((id, index) =>
    anOffer({
      id,
      usdPerHour: 0.4 + index * 0.45,
      usdPerHourStopped: 0.01,
      ...(id === 'c' ? { pricing: 'interruptible' as const } : {}),
    }),
  );
  const provider = createFakeProvider({ clock, offers, canStop: true, canBid: true });
  const servers = ['one', 'two'].map((processId) =>
    createLeaseBench({
      provider,
      store,
      clock,
      processId,
      isAlive: () => true,
      limits: { ...LIMITS, autoApproveUsd: 1000 },
    }),
  );
  return { clock, store, provider, servers };
}

async function act(bench: LeaseBench, step: Step): Promise<void> {
  const { pods, options, cloud, store, clock } = bench;
  const leases = (await store.leases.list()).filter(
    ({ state, podId }) => state !== 'closed' && podId !== undefined,
  );
  const target = 'pod' in step ? leases[step.pod % Math.max(1, leases.length)]?.podId : undefined;
  if (step.do === 'create' && 'offer' in step) {
    const id = (['c', 'a', 'b', 'c'] as const)[step.offer] ?? 'a';
    const bid = id === 'c' ? { bidUsdPerHour: 0.5 } : {};
    await bench.create(
      { offerIds: [anOffer({ id }).offerId], ttlMinutes: step.minutes, ...bid },
      5,
    );
  }
  if (step.do === 'wait' && 'minutes' in step) clock.advance(step.minutes * 30);
  if (step.do === 'fail' && 'fault' in step) cloud.faults[step.fault] = 1;
  if (target === undefined) return;
  if (step.do === 'prolong' && 'minutes' in step)
    await pods.update(target, { ttlMinutes: step.minutes }, options);
  if (step.do === 'bid' && 'minutes' in step)
    await pods.update(target, { bidUsdPerHour: step.minutes / 500 }, options);
  if (step.do === 'stop' || step.do === 'start')
    await pods.update(target, { action: step.do }, options);
  if (step.do === 'destroy')
    await pods.destroy(target, { discardUnfetched: false, waitSeconds: 5 }, options);
  if (step.do === 'vanish') cloud.vanish(target);
}

/** Refusals are what limits are for; anything that is not an error of ours is a defect. */
const orRefused = async (work: Promise<unknown>): Promise<void> => {
  await work.catch((failure: unknown) => {
    if (!isAppError(failure)) throw failure;
  });
};

/** The books added up again, from nothing but the plain facts of each lease. */
function totals(leases: readonly Lease[], now: number) {
  const alive = leases.filter(({ state }) => state !== 'closed');
  const whole = (lease: Lease): number => {
    const from = Date.parse(lease.accruedAt ?? lease.createdAt);
    const rate =
      lease.state === 'closed' ? 0 : lease.stoppedAt === undefined ? lease.usdPerHour : 0.01;
    const spent = (lease.accruedUsd ?? 0) + (Math.max(0, now - from) / HOUR_MS) * rate;
    const left = Math.max(0, Date.parse(lease.deadlineAt) - now) / HOUR_MS;
    return spent + (lease.state === 'closed' ? 0 : left * lease.usdPerHour);
  };
  return {
    usd: leases.reduce((sum, lease) => sum + whole(lease), 0),
    dearest: Math.max(0, ...leases.map(whole)),
    perHour: alive.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0),
    pods: alive.length,
  };
}

/** Spent and reserved by UTC day: hour by hour, the odd minutes with their part. */
function days(leases: readonly Lease[], now: number): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  const add = (usdPerHour: number, from: number, to: number): void => {
    for (let start = from; start < to; ) {
      const end = Math.min(to, (Math.floor(start / HOUR_MS) + 1) * HOUR_MS);
      const day = new Date(start).toISOString().slice(0, 10);
      sums.set(day, (sums.get(day) ?? 0) + ((end - start) / HOUR_MS) * usdPerHour);
      start = end;
    }
  };
  for (const lease of leases) {
    for (const [day, amount] of Object.entries(lease.accruedByDay ?? {}))
      sums.set(day, (sums.get(day) ?? 0) + amount);
    if (lease.state === 'closed') continue;
    const rate = lease.stoppedAt === undefined ? lease.usdPerHour : 0.01;
    add(rate, Date.parse(lease.accruedAt ?? lease.createdAt), now);
    add(lease.usdPerHour, now, Date.parse(lease.deadlineAt));
  }
  return sums;
}

it('whatever two servers do and whatever fails, no limit is ever exceeded by the books [CO-12]', async () => {
  let admitted = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(walkArbitrary, async (walk) => {
      const { clock, store, provider, servers } = twoServers();
      let pending: Promise<void> | undefined;
      for (const { step, server, together } of walk) {
        const bench = servers[server];
        if (bench === undefined) throw new Error('no server');
        const work = orRefused(act(bench, step));
        if (together && pending === undefined) {
          pending = work;
          continue;
        }
        await Promise.all([work, pending]);
        pending = undefined;
        for (const each of servers) {
          await orRefused(each.pods.reconcile(each.options));
          await orRefused(each.pods.enforce(each.options));
        }
        const leases = await store.leases.list();
        const { usd, dearest, perHour, pods } = totals(leases, clock.now().getTime());
        expect(usd).toBeLessThanOrEqual(LIMITS.budgetUsd + 0.02);
        expect(dearest).toBeLessThanOrEqual(LIMITS.budgetPodUsd + 0.02);
        expect(perHour).toBeLessThanOrEqual(LIMITS.maxUsdPerHour + 1e-9);
        expect(pods).toBeLessThanOrEqual(LIMITS.maxPods);
        for (const [day, amount] of days(leases, clock.now().getTime()))
          expect([day, amount <= LIMITS.budgetDayUsd + 0.02]).toEqual([day, true]);
        // What the cloud has is on the books, machine by machine.
        for (const machine of provider.alive())
          expect(
            leases.some(
              ({ state, label }) => state !== 'closed' && label === machine.request.label,
            ),
          ).toBe(true);
      }
      await pending;
      admitted += provider.machines.length;
      refused += walk.length - provider.machines.length;
    }),
    { numRuns: 150 },
  );
  expect(admitted).toBeGreaterThan(150);
  expect(refused).toBeGreaterThan(150);
}, 60_000);
