import { expect, it } from 'vitest';
import type { Offer } from '../../../src/core/offer.ts';
import { createHosts } from '../../../src/leases/hosts.ts';
import { elsewhereWords, shortlist } from '../../../src/leases/offer-shortlist.ts';
import { createOffers } from '../../../src/leases/offers.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';
import { fc } from '../../support/property.ts';

/** As clouds sell that do not name their machines. */
function inRegion(id: string, region: string, changes: Partial<Offer> = {}): Offer {
  return { ...anOffer({ id, region, ...changes }), machineId: '' };
}
const idsOf = (list: ReturnType<typeof shortlist>): readonly string[] =>
  list.map(({ offer }) => offer.offerId);

it('one shape in many regions takes one place, and says where else it is [OF-03]', () => {
  const ranked = [
    ...['r1', 'r2', 'r3', 'r4', 'r5'].map((region) => inRegion(region, region)),
    inRegion('big', 'r1', { gpuCount: 8, usdPerHour: 9 }),
    inRegion('dear', 'r2', { usdPerHour: 10 }),
  ];
  const list = shortlist(ranked, 3);
  expect(idsOf(list)).toEqual(['vast:r1', 'vast:big', 'vast:dear']);
  expect(list[0]?.elsewhere).toEqual(['r2', 'r3', 'r4', 'r5']);
  expect(elsewhereWords(list[0]?.elsewhere ?? [])).toBe(
    ', the same in 4 more regions: r2, r3, r4, r5',
  );
  // Where nothing else is to choose, its other regions are.
  expect(idsOf(shortlist(ranked, 5))).toEqual(
    ['r1', 'r2', 'r3', 'big', 'dear'].map((id) => `vast:${id}`),
  );
});

it('machines of a marketplace are never taken for one another', () => {
  const ranked = ['a', 'b', 'c'].map((id) => anOffer({ id, machineId: id }));
  expect(shortlist(ranked, 2).map(({ elsewhere }) => elsewhere)).toEqual([[], []]);
});

it('is as long as it can be, in the order that was given', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 12 }),
      fc.integer({ min: 1, max: 8 }),
      (shapes, limit) => {
        const ranked = shapes.map(([gpuCount, region], at) =>
          inRegion(`o${at}`, `r${region}`, { gpuCount }),
        );
        const list = idsOf(shortlist(ranked, limit));
        const order = ranked.map(({ offerId }) => String(offerId));
        expect(list).toHaveLength(Math.min(limit, ranked.length));
        expect(list).toEqual(order.filter((id) => list.includes(id)));
        // No shape is left out while another one is there twice.
        const counts = shortlist(ranked, limit).map(({ offer }) => offer.gpuCount);
        const kinds = new Set(ranked.map(({ gpuCount }) => gpuCount)).size;
        expect(new Set(counts).size).toBe(Math.min(limit, kinds));
      },
    ),
  );
});

it('an offer that the person does not allow says so', async () => {
  const clock = new ManualClock();
  const cloud = createFakeProvider({
    clock,
    offers: [anOffer({ id: 'a', usdPerHour: 2 }), anOffer({ id: 'b', usdPerHour: 2.01 })],
  });
  const { offers } = await createOffers({
    providers: new Map([[cloud.name, cloud]]),
    clock,
    hosts: createHosts({ store: createMemoryStore(), clock }),
    limits: { maxUsdPerHour: 2 },
  }).find(
    {
      ...{ gpu: [], gpuCount: 1, minVramGb: 24, diskGb: 64, minReliability: 0.9, regions: [] },
      ...{ interruptible: false, providers: [], limit: 5 },
    },
    { signal: new AbortController().signal },
  );
  expect(offers.map(({ warnings = [] }) => warnings.join())).toEqual([
    expect.not.stringContaining('GPU_LEASE_MAX_USD_PER_HOUR') as string,
    expect.stringContaining('more than GPU_LEASE_MAX_USD_PER_HOUR, $2.00') as string,
  ]);
});
