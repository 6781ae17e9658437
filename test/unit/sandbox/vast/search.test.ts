import { describe, expect, it } from 'vitest';
import { passes } from '../../../../src/sandbox/vast/filters.ts';
import { drawMarket } from '../../../../src/sandbox/vast/market.ts';
import { fc } from '../../../support/property.ts';
import { type Loose, openBench, START } from './bench.ts';

/** `search offers 'gpu_ram>=24 num_gpus=1 reliability>0.9 disk_space>=64' -o dph_total`, as the official tool sends it. */
const SKILL_SEARCH = {
  verified: { eq: true },
  external: { eq: false },
  rentable: { eq: true },
  gpu_ram: { gte: 24_000 },
  num_gpus: { eq: '1' },
  reliability: { gt: '0.9' },
  disk_space: { gte: '64' },
  order: [['dph_total', 'asc']],
  type: 'on-demand',
  allocated_storage: 5,
};
const num = (row: Loose, column: string): number => row[column] as number;

describe('the market', () => {
  it('follows from the seed', () => {
    const plain = (seed: number) => JSON.stringify(drawMarket(seed, 200, START));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.integer({ min: 1, max: 300 }),
        (seed, count) => {
          const market = drawMarket(seed, count, START);
          expect(market).toHaveLength(count);
          expect(new Set(market.map(({ id }) => id)).size).toBe(count);
          expect(JSON.stringify(drawMarket(seed, count, START))).toBe(JSON.stringify(market));
        },
      ),
      { numRuns: 20 },
    );
    expect(plain(1)).not.toBe(plain(2));
  });

  it('is spread as the real one is', () => {
    const market = drawMarket(1, 2_000, START);
    const share = (test: (ask: (typeof market)[number]) => boolean) =>
      market.filter(test).length / market.length;
    expect(new Set(market.map(({ machine }) => machine.gpu.name)).size).toBeGreaterThan(20);
    expect(new Set(market.map(({ count }) => count))).toEqual(new Set([1, 2, 4, 8]));
    expect(share(({ machine }) => machine.verification === 'verified')).toBeGreaterThan(0.6);
    expect(share(({ machine }) => machine.verification === 'deverified')).toBeGreaterThan(0);
    expect(share(({ machine }) => machine.geolocation === null)).toBeGreaterThan(0);
    expect(share(({ machine }) => machine.cpuCores === null)).toBeGreaterThan(0);
    expect(share(({ machine }) => machine.directPorts === 0)).toBeGreaterThan(0.05);
    expect(share(({ machine }) => machine.volumeAskId !== null)).toBeGreaterThan(0.2);
    expect(share(({ machine }) => machine.endSeconds < START + 86_400)).toBeGreaterThan(0);
    expect(market.every(({ usdPerHour, minBidUsdPerHour }) => minBidUsdPerHour < usdPerHour)).toBe(
      true,
    );
    expect(new Set(market.map(({ machine }) => machine)).size).toBeLessThan(market.length);
  });
});

describe('the search', () => {
  it('takes numbers and booleans as text, and answers in order (vast.md 17.5, 16.13)', async () => {
    await using bench = openBench();
    const rows = await bench.search(SKILL_SEARCH);
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      expect(row).toMatchObject({ num_gpus: 1, verification: 'verified', rentable: true });
      expect(num(row, 'gpu_ram')).toBeGreaterThanOrEqual(24_000);
      expect(num(row, 'reliability')).toBeGreaterThan(0.9);
    }
    const prices = rows.map((row) => num(row, 'dph_total'));
    expect(prices).toEqual(prices.toSorted((a, b) => a - b));
    const typed = {
      ...SKILL_SEARCH,
      num_gpus: { eq: 1 },
      reliability: { gt: 0.9 },
      disk_space: { gte: 64 },
    };
    expect(await bench.search(typed)).toEqual(rows);
    expect(await bench.search({ ...SKILL_SEARCH, verified: { eq: 'True' } })).toEqual(rows);
  });

  it('prices with the storage that is asked for (vast.md 17.5, 16.16)', async () => {
    await using bench = openBench();
    const id = await bench.cheapest({ disk_space: { gte: 100 } });
    const at = async (gb: number): Promise<Loose> => {
      const [row] = await bench.search({ ask_contract_id: { eq: id }, allocated_storage: gb });
      return row ?? {};
    };
    for (const gb of [5, 64]) {
      const row = await at(gb);
      const disk = (gb * num(row, 'storage_cost')) / 720;
      expect(num(row, 'storage_total_cost')).toBeCloseTo(disk, 12);
      expect(num(row, 'dph_total')).toBeCloseTo(num(row, 'dph_base') + disk, 12);
      expect(row['search']).toMatchObject({
        totalHour: row['dph_total'],
        diskHour: row['storage_total_cost'],
      });
    }
    // Without it, 8 GB; and an offer with less disk than that is none.
    const [plain] = await bench.search({ ask_contract_id: { eq: id } });
    expect(plain).toEqual(await at(8));
    for (const row of await bench.search({ allocated_storage: 1_000, limit: 64 }))
      expect(num(row, 'disk_space')).toBeGreaterThanOrEqual(1_000);
  });

  it('knows all eight operators (vast.md 17.5)', async () => {
    await using bench = openBench({ options: { searchCap: 1_000 } });
    const all = await bench.search();
    expect(all).toHaveLength(200 - (await hidden()));
    const ids = async (filter: Loose) =>
      new Set((await bench.search({ gpu_ram: filter })).map((row) => row['id']));
    const expected = (test: (mb: number) => boolean) =>
      new Set(all.filter((row) => test(num(row, 'gpu_ram'))).map((row) => row['id']));
    expect(await ids({ eq: '24564' })).toEqual(expected((mb) => mb === 24_564));
    expect(await ids({ neq: 24_564 })).toEqual(expected((mb) => mb !== 24_564));
    expect(await ids({ gt: 24_564 })).toEqual(expected((mb) => mb > 24_564));
    expect(await ids({ gte: 24_564 })).toEqual(expected((mb) => mb >= 24_564));
    expect(await ids({ lt: 24_564 })).toEqual(expected((mb) => mb < 24_564));
    expect(await ids({ lte: 24_564 })).toEqual(expected((mb) => mb <= 24_564));
    expect(await ids({ in: ['24564', 24_576] })).toEqual(
      expected((mb) => mb === 24_564 || mb === 24_576),
    );
    expect(await ids({ notin: [24_564] })).toEqual(expected((mb) => mb !== 24_564));
    expect(await ids({ gte: 20_000, lt: 30_000 })).toEqual(
      expected((mb) => mb >= 20_000 && mb < 30_000),
    );

    /** Machines with less than the default storage, which no search finds. */
    async function hidden(): Promise<number> {
      const market = drawMarket(7, 200, START);
      return Promise.resolve(market.filter(({ machine }) => machine.diskGb < 8).length);
    }
  });

  it('a word that is no operator is refused', async () => {
    await using bench = openBench();
    expect(await bench.raw('POST /api/v0/bundles/', { num_gpus: { least: 1 } })).toMatchObject({
      status: 400,
      body: { error: 'invalid_request', msg: 'least is not a valid search op' },
    });
  });

  it('names may have underscores (vast.md 17.5, 3.4)', async () => {
    await using bench = openBench();
    const spaces = await bench.search({ gpu_name: { eq: 'RTX 4090' } });
    expect(spaces.length).toBeGreaterThan(0);
    expect(await bench.search({ gpu_name: { eq: 'RTX_4090' } })).toEqual(spaces);
    expect(await bench.search({ gpu_name: { in: ['RTX_4090'] } })).toEqual(spaces);
  });

  it('knows the columns that are made up while it looks (vast.md 17.5, 3.4)', async () => {
    await using bench = openBench();
    for (const row of await bench.search({ geolocation: { in: ['US', 'CA'] } }))
      expect(String(row['geolocation'])).toMatch(/(?:US|CA)$/);
    for (const row of await bench.search({ geolocation: { notin: ['US'] } }))
      expect(String(row['geolocation'])).not.toMatch(/(?:US|null)$/);
    for (const row of await bench.search({ datacenter: { eq: true } }))
      expect(row['hosting_type']).toBe(1);
    for (const row of await bench.search({ verified: { eq: false } }))
      expect(row['verification']).not.toBe('verified');
    for (const row of await bench.search({ duration: { gte: 200 * 86_400 } }))
      expect(num(row, 'end_date')).toBeGreaterThanOrEqual(START + 200 * 86_400);
    for (const row of await bench.search({ reliability2: { lt: 0.95 } }))
      expect(num(row, 'reliability')).toBeLessThan(0.95);
    for (const row of await bench.search({ driver_version: { gte: '560.00.00' } }))
      expect(num(row, 'driver_vers')).toBeGreaterThanOrEqual(560_000_000);
    expect(await bench.search({ driver_version: { gte: 560_000_000 } })).toEqual(
      await bench.search({ driver_version: { gte: '560.00.00' } }),
    );
  });

  it('finds nothing by id, and one by ask_contract_id (vast.md 3.4)', async () => {
    await using bench = openBench();
    const id = await bench.cheapest();
    expect(await bench.search({ id: { eq: id } })).toEqual([]);
    expect(await bench.search({ ask_contract_id: { eq: String(id) } })).toHaveLength(1);
  });

  it('answers 64 at most, and what limit says below that (vast.md 17.5)', async () => {
    await using bench = openBench();
    expect(await bench.search()).toHaveLength(64);
    expect(await bench.search({ limit: 3_000 })).toHaveLength(64);
    expect(await bench.search({ limit: '5' })).toHaveLength(5);
  });

  it('hides what is rented unless it is asked for (vast.md 17.5)', async () => {
    await using bench = openBench();
    const id = await bench.cheapest();
    await bench.create({ disk: 8 }, id);
    expect(await bench.search({ ask_contract_id: { eq: id } })).toEqual([]);
    expect(
      await bench.search({ ask_contract_id: { eq: id }, rentable: { eq: false } }),
    ).toMatchObject([{ rented: true, rentable: false }]);
  });

  it('bids are priced at the lowest bid, reserved ones with a discount (vast.md 3.3)', async () => {
    await using bench = openBench();
    for (const type of ['bid', 'interruptible'])
      for (const row of await bench.search({ type, limit: 5 }))
        expect(row).toMatchObject({ is_bid: true, dph_base: row['min_bid'] });
    for (const type of ['on-demand', 'ondemand', 'ask'])
      for (const row of await bench.search({ type, limit: 5 })) expect(row['is_bid']).toBe(false);
    for (const row of await bench.search({ type: 'reserved', limit: 5 }))
      expect(num(row, 'discounted_dph_total')).toBeLessThan(num(row, 'dph_total'));
  });

  it('answers the same below q (vast.md 3.1), and none with 200', async () => {
    await using bench = openBench();
    expect(
      await bench.json('PUT /api/v0/search/asks/', { select_cols: ['*'], q: SKILL_SEARCH }),
    ).toEqual({
      offers: await bench.search(SKILL_SEARCH),
    });
    expect(await bench.raw('POST /api/v0/bundles/', { num_gpus: { eq: 99 } })).toEqual({
      status: 200,
      body: { offers: [] },
    });
  });

  it('can drop the newest GPUs from a filter on CUDA alone (vast.md 3.4)', async () => {
    await using bench = openBench({ options: { cudaFilterDropsGpus: true } });
    const newest = { compute_cap: { gte: 1000 } };
    expect((await bench.search({ ...newest, cuda_max_good: { gte: 12 } })).length).toBeGreaterThan(
      0,
    );
    for (const row of await bench.search({ cuda_max_good: { gte: 12 } }))
      expect(num(row, 'compute_cap')).toBeLessThan(1000);
  });

  it('a price may rise after it was seen, once, however often it is looked at', async () => {
    await using bench = openBench();
    const id = await bench.cheapest();
    const look = async () =>
      num((await bench.search({ ask_contract_id: { eq: id } }))[0] ?? {}, 'dph_base');
    const before = await look();
    bench.book.add({ kind: 'price-rise', offerId: String(id), value: 2 });
    expect(await look()).toBe(before);
    expect(await look()).toBeCloseTo(before * 2, 6);
    expect(await look()).toBeCloseTo(before * 2, 6);
  });
});

describe('a condition', () => {
  const operators = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in', 'notin'] as const;

  it('never passes an unknown value, except one that asks for it', () => {
    for (const operator of operators) {
      expect(passes(null, operator, 5)).toBe(false);
      expect(passes(undefined, operator, 'x')).toBe(false);
    }
    expect(passes(null, 'eq', null)).toBe(true);
    expect(passes(5, 'neq', null)).toBe(true);
  });

  it('treats a number sent as text as the number', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer(),
        fc.constantFrom(...operators),
        (actual, wanted, operator) => {
          expect(passes(actual, operator, String(wanted))).toBe(passes(actual, operator, wanted));
        },
      ),
    );
  });

  it('each has its opposite', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (actual, wanted) => {
        expect(passes(actual, 'eq', wanted)).toBe(!passes(actual, 'neq', wanted));
        expect(passes(actual, 'gt', wanted)).toBe(!passes(actual, 'lte', wanted));
        expect(passes(actual, 'gte', wanted)).toBe(!passes(actual, 'lt', wanted));
        expect(passes(actual, 'in', [wanted])).toBe(!passes(actual, 'notin', [wanted]));
      }),
    );
  });
});
