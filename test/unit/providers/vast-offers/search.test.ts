import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../../src/core/ids.ts';
import type { Offer } from '../../../../src/core/offer.ts';
import {
  getVastOffer,
  getVastOffers,
  listVastOffers,
} from '../../../../src/providers/vast/offers/search.ts';
import { ManualClock } from '../../../support/clock.ts';
import { fc } from '../../../support/property.ts';
import { aQuery } from './a-query.ts';
import { fakeSearch } from './fake-search.ts';
import { aRow, manyRows } from './rows.ts';

const { signal } = new AbortController();
const options = { signal };
const idsOf = (offers: readonly Offer[]): readonly string[] => offers.map(({ offerId }) => offerId);
const vast = (id: number | string): Offer['offerId'] => offerIdSchema.parse(`vast:${id}`);

describe('a search', () => {
  it('answers with what fits, cheapest first, in one request [OF-03]', async () => {
    const rows = [
      aRow({ id: 3, ask_contract_id: 3, dph_base: 0.9 }),
      aRow({ id: 1, ask_contract_id: 1, dph_base: 0.2, storage_cost: 9 }),
      aRow({ id: 2, ask_contract_id: 2, dph_base: 0.3 }),
      aRow({ id: 4, ask_contract_id: 4, dph_base: 0.1, reliability: 0.5, reliability2: 0.5 }),
    ];
    const cloud = fakeSearch(rows);
    const offers = await listVastOffers(cloud, aQuery(), options);
    expect(idsOf(offers)).toEqual(['vast:2', 'vast:3', 'vast:1']);
    expect(cloud.bodies).toHaveLength(1);
  });

  it('finds nothing without an error (vast.md 3.6)', async () => {
    expect(await listVastOffers(fakeSearch([]), aQuery(), options)).toEqual([]);
  });

  it('asks nobody when the wishes contradict each other', async () => {
    const cloud = fakeSearch(manyRows(3));
    expect(await listVastOffers(cloud, aQuery({ vastQuery: 'num_gpus=4' }), options)).toEqual([]);
    expect(cloud.bodies).toHaveLength(0);
  });

  it('asks nobody when vastQuery cannot be read', async () => {
    const cloud = fakeSearch(manyRows(3));
    await expect(
      listVastOffers(cloud, aQuery({ vastQuery: 'gpu_rma>=24' }), options),
    ).rejects.toMatchObject({ code: 'invalid_input', position: 0 });
    expect(cloud.bodies).toHaveLength(0);
  });

  it.each([
    ['gpu_name', 'gpu_name="RTX 3090"', { gpu_name: 'RTX 3090' }],
    ['verified', 'verified=true', {}],
    ['external', 'external=false', {}],
    ['gpu_ram', 'gpu_ram>=40', { gpu_ram: 49_140 }],
    ['geolocation', 'geolocation in [DE,FR]', { geolocation: 'Berlin, DE' }],
    ['datacenter', 'datacenter=true', { hosting_type: 1 }],
    ['duration', 'duration>=60', { duration: 61 * 86_400 }],
    ['driver_version', 'driver_version>=571', { driver_vers: 571_000_001 }],
    ['dph_total', 'dph<0.3', { dph_base: 0.2 }],
    ['machine_id', 'machine_id notin [7]', { machine_id: 8 }],
    ['cpu_arch', 'cpu_arch=arm64', { cpu_arch: 'arm64' }],
    ['inet_down', 'inet_down>1000', { inet_down: 1000.5 }],
  ])(
    'looks at %s itself, should the cloud not filter by it (vast.md 19)',
    async (field, vastQuery, change) => {
      const wrong = { verification: 'unverified', external: true, machine_id: 7 };
      const rows = [
        aRow({ id: 1, ask_contract_id: 1, ...change }),
        aRow({
          id: 2,
          ask_contract_id: 2,
          ...(field in wrong || field === 'verified' ? wrong : {}),
        }),
      ];
      const cloud = fakeSearch(rows, { ignores: [field] });
      const offers = await listVastOffers(cloud, aQuery({ vastQuery }), options);
      expect(idsOf(offers)).toEqual(['vast:1']);
    },
  );

  it('keeps an offer whose CUDA is enough, and drops one whose is not, whatever the cloud does with it [OF-18]', async () => {
    const rows = [
      aRow({ id: 1, ask_contract_id: 1, cuda_max_good: 12.4 }),
      aRow({ id: 2, ask_contract_id: 2, cuda_max_good: 11.8 }),
    ];
    const offers = await listVastOffers(fakeSearch(rows), aQuery({ minCuda: 12.4 }), options);
    expect(idsOf(offers)).toEqual(['vast:1']);
  });

  it('counts and leaves out rows that cannot be read, and fails for none of them', async () => {
    const rows = [aRow(), { id: 'x' }, aRow({ id: 9, ask_contract_id: 9, dph_base: -1 })];
    const cloud = fakeSearch([]);
    const port = { ...cloud, search: async () => Promise.resolve([...rows, null, 'row', 7]) };
    expect(idsOf(await listVastOffers(port, aQuery(), options))).toEqual(['vast:26913465']);
    expect(cloud.skipped).toEqual([5]);
  });

  it('says that it cannot read the answer when it can read no row, instead of "no offers"', async () => {
    const port = { search: async () => Promise.resolve([{ offer: 1 }, { offer: 2 }]) };
    await expect(listVastOffers(port, aQuery(), options)).rejects.toMatchObject({
      code: 'provider_contract',
    });
    const traps = { search: async () => Promise.resolve([aRow({ dph_base: -1 })]) };
    expect(await listVastOffers(traps, aQuery(), options)).toEqual([]);
  });

  it('passes on the failure of the cloud and the abort of the caller', async () => {
    const port = { search: async () => Promise.reject(new Error('boom')) };
    await expect(listVastOffers(port, aQuery(), options)).rejects.toThrow('boom');
    await expect(
      listVastOffers(fakeSearch([]), aQuery(), { signal: AbortSignal.abort() }),
    ).rejects.toThrow('aborted');
  });

  it('counts the end of an offer by the clock [OF-16]', async () => {
    const clock = new ManualClock(new Date(1_793_456_000_000 - 3_600_000).toISOString());
    const [offer] = await listVastOffers({ ...fakeSearch([aRow()]), clock }, aQuery(), options);
    expect(offer?.hoursLeft).toBe(1);
  });
});

describe('where an answer is cut', () => {
  it('one request is enough when the cheapest page has enough that fits', async () => {
    const cloud = fakeSearch(manyRows(500));
    const offers = await listVastOffers(cloud, aQuery(), options);
    expect(cloud.bodies).toHaveLength(1);
    expect(idsOf(offers)).toEqual(manyRows(64).map(({ id }) => `vast:${String(id)}`));
  });

  it('goes on by price until it finds what the cloud cannot filter by: the cheapest is never missed', async () => {
    const rows = manyRows(300, (index) => ({
      cuda_max_good: index === 150 || index === 170 ? 13 : 12,
    }));
    const cloud = fakeSearch(rows);
    const offers = await listVastOffers(cloud, aQuery({ minCuda: 13 }), options);
    expect(idsOf(offers)).toEqual(['vast:1150', 'vast:1170']);
    expect(cloud.bodies.length).toBeGreaterThan(1);
  });

  it.each([64, 100, 128, 1000])(
    'with a cap of %i it goes on, and with none it does not',
    async (cap) => {
      const change = (): Record<string, unknown> => ({ gpu_name: 'Voodoo 9' });
      const capped = fakeSearch(manyRows(cap + 30, change), { cap });
      const all = await listVastOffers(capped, aQuery({ gpu: ['Voodoo 9'] }), options);
      expect(all).toHaveLength(cap + 30);
      expect(new Set(idsOf(all)).size).toBe(cap + 30);
      expect(capped.bodies).toHaveLength(2);
      const whole = fakeSearch(manyRows(cap + 30, change), { cap: 5000 });
      expect(await listVastOffers(whole, aQuery({ gpu: ['Voodoo 9'] }), options)).toHaveLength(
        cap + 30,
      );
      expect(whole.bodies).toHaveLength(1);
    },
  );

  it('asks at most four times: ten a minute are allowed (vast.md 1.5)', async () => {
    const cloud = fakeSearch(manyRows(1000, () => ({ gpu_name: 'Voodoo 9' })));
    expect(await listVastOffers(cloud, aQuery({ gpu: ['Voodoo 9'] }), options)).toHaveLength(256);
    expect(cloud.bodies).toHaveLength(4);
  });

  it('a look at the whole market, for what to relax, goes on as far as it may [OF-05]', async () => {
    const cloud = fakeSearch(manyRows(200, (index) => ({ num_gpus: 1 + (index % 8) })));
    const wide = aQuery({ gpuCount: 0, minVramGb: 0, minReliability: 0, diskGb: 1 });
    expect(await listVastOffers(cloud, wide, options)).toHaveLength(200);
    expect(cloud.bodies).toHaveLength(4);
    expect(cloud.bodies[0]).not.toHaveProperty('num_gpus');
  });

  it('asks for everything the fourth time when nothing fitted, CUDA too', async () => {
    const rows = manyRows(400, (index) => ({ cuda_max_good: index > 350 ? 13 : 12 }));
    const cloud = fakeSearch(rows);
    const offers = await listVastOffers(cloud, aQuery({ minCuda: 13 }), options);
    expect(offers).toHaveLength(49);
    expect(offers[0]?.offerId).toBe('vast:1351');
    expect(cloud.bodies.map((body) => 'cuda_max_good' in body)).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });

  it('does not say "none" when it saw only a part', async () => {
    const cloud = fakeSearch(manyRows(400), { ignores: ['cuda_max_good'] });
    await expect(listVastOffers(cloud, aQuery({ minCuda: 13 }), options)).rejects.toMatchObject({
      code: 'provider_contract',
      message: expect.stringContaining('a part of its offers') as string,
    });
    expect(cloud.bodies).toHaveLength(4);
  });

  it('gets past more offers of one price than come at a time', async () => {
    const rows = manyRows(150, (index) => ({
      dph_base: 0.5,
      gpu_name: index === 149 ? 'Voodoo 9' : 'Voodoo 8',
    }));
    const cloud = fakeSearch(rows);
    const offers = await listVastOffers(cloud, aQuery({ gpu: ['Voodoo 9'] }), options);
    expect(offers).toHaveLength(150);
    expect(offers.filter(({ gpu }) => gpu === undefined)).toEqual([]);
  });

  it('pages by the lowest bid for interruptible ones', async () => {
    const cloud = fakeSearch(manyRows(90, () => ({ gpu_name: 'Voodoo 9' })));
    const query = aQuery({ gpu: ['Voodoo 9'], interruptible: true });
    expect(await listVastOffers(cloud, query, options)).toHaveLength(90);
    expect(cloud.bodies[1]).toHaveProperty('min_bid');
  });

  it('for any market and any cap, nothing that fits is cheaper than what it answers', async () => {
    const market = fc.array(
      fc.record({ cents: fc.integer({ min: 1, max: 40 }), fits: fc.boolean() }),
      { maxLength: 400 },
    );
    await fc.assert(
      fc.asyncProperty(market, fc.constantFrom(64, 100, 128, 5000), async (machines, cap) => {
        const rows = manyRows(machines.length, (index) => ({
          dph_base: (machines[index]?.cents ?? 1) / 100,
          cuda_max_good: machines[index]?.fits === true ? 13 : 12,
        }));
        const cloud = fakeSearch(rows, { cap });
        const offers = await listVastOffers(cloud, aQuery({ minCuda: 13 }), options);
        const fitting = rows
          .filter((row) => row['cuda_max_good'] === 13)
          .map((row) => Number(row['dph_base']))
          .sort((a, b) => a - b);
        const isEverythingSeen = cloud.bodies.length < 4 && offers.length < 50;
        expect(offers.map(({ gpuUsdPerHour }) => gpuUsdPerHour)).toEqual(
          isEverythingSeen ? fitting : fitting.slice(0, offers.length),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('stops when the cloud gives the same page again', async () => {
    const rows = manyRows(64, () => ({ gpu_name: 'Voodoo 9' }));
    const cloud = fakeSearch(rows, { ignores: ['dph_total', 'ask_contract_id'] });
    expect(await listVastOffers(cloud, aQuery({ gpu: ['Voodoo 9'] }), options)).toHaveLength(64);
    expect(cloud.bodies).toHaveLength(2);
  });
});

describe('one offer', () => {
  const query = { diskGb: 64 };

  it('is asked for by ask_contract_id, since a filter on id finds nothing (vast.md 3.4)', async () => {
    const cloud = fakeSearch(manyRows(80));
    const offer = await getVastOffer(cloud, vast(1070), query, options);
    expect(offer).toMatchObject({ offerId: 'vast:1070', usdPerHour: 0.183333 });
    expect(cloud.bodies).toEqual([
      {
        ask_contract_id: { eq: 1070 },
        order: [['dph_total', 'asc']],
        type: 'on-demand',
        limit: 3000,
        allocated_storage: 64,
      },
    ]);
  });

  it('is priced at the disk and the kind of rental that its id says [OF-06]', async () => {
    const cloud = fakeSearch([aRow()]);
    const bid = { usdPerHour: 0.35, pricing: 'interruptible', minBidUsdPerHour: 0.2 };
    expect(await getVastOffer(cloud, vast('26913465/bid'), { diskGb: 720 }, options)).toMatchObject(
      { offerId: 'vast:26913465/bid', ...bid },
    );
    const twins = [vast('26913465/bid'), vast(26_913_465)];
    const both = await getVastOffers(cloud, twins, { diskGb: 720 }, options);
    expect(both.map(({ offerId, pricing }) => [offerId, pricing])).toEqual([
      ['vast:26913465/bid', 'interruptible'],
      ['vast:26913465', 'on_demand'],
    ]);
  });

  it('is found unverified too', async () => {
    const cloud = fakeSearch([aRow({ verification: 'unverified' })]);
    expect(await getVastOffer(cloud, vast(26_913_465), query, options)).toMatchObject({
      warnings: ['Vast.ai has not verified this host.'],
    });
  });

  it('is found unverified where a search without a word on it means verified hosts', async () => {
    const cloud = fakeSearch([aRow({ verification: 'unverified' })], { verifiedByDefault: true });
    expect(await getVastOffer(cloud, vast(26_913_465), query, options)).toBeDefined();
    expect(cloud.bodies.map((body) => body['verified'])).toEqual([undefined, { eq: false }]);
  });

  it.each([{ rentable: false }, { rented: true }])('is gone when %j', async (change) => {
    expect(
      await getVastOffer(fakeSearch([aRow(change)]), vast(26_913_465), query, options),
    ).toBeUndefined();
  });

  it('is gone when there is none, and never another one', async () => {
    expect(await getVastOffer(fakeSearch([]), vast(5), query, options)).toBeUndefined();
    const careless = fakeSearch(manyRows(10), { ignores: ['ask_contract_id'] });
    expect(await getVastOffer(careless, vast(5), query, options)).toBeUndefined();
  });

  it.each([
    'abc',
    '../5',
    '0',
    '/bid',
    '0/bid',
    '5/bid/bid',
    '5/offer',
    '1e3',
    '12345678901234567',
  ])('%s is no offer of Vast.ai', async (id) => {
    const cloud = fakeSearch(manyRows(3));
    expect(await getVastOffer(cloud, vast(id), query, options)).toBeUndefined();
    expect(cloud.bodies).toHaveLength(0);
  });

  it('with a price that cannot be true it is an answer that cannot be read', async () => {
    await expect(
      getVastOffer(fakeSearch([aRow({ dph_base: 0 })]), vast(26_913_465), query, options),
    ).rejects.toMatchObject({ code: 'provider_contract' });
  });
});
