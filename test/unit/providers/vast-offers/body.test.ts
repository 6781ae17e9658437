import { describe, expect, it } from 'vitest';
import type { OfferQuery } from '../../../../src/core/offer.ts';
import { planSearch, searchBody } from '../../../../src/providers/vast/offers/body.ts';
import { NO_FILTER } from '../../../../src/providers/vast/offers/filter.ts';
import { parseVastQuery } from '../../../../src/providers/vast/offers/query.ts';
import { aQuery } from './a-query.ts';

const bodyOf = (changes: Partial<OfferQuery> = {}, vastQuery?: string): Record<string, unknown> => {
  const plan = planSearch(
    aQuery(changes),
    vastQuery === undefined ? NO_FILTER : parseVastQuery(vastQuery),
  );
  expect(plan).toBeDefined();
  return plan === undefined ? {} : searchBody(plan);
};

describe('the body of a search', () => {
  it('asks for the documented search with real numbers, and for prices at the disk asked for [OF-01, OF-03] (vast.md 3.6, 16.16)', () => {
    expect(bodyOf()).toEqual({
      verified: { eq: true },
      rentable: { eq: true },
      rented: { eq: false },
      external: { eq: false },
      num_gpus: { eq: 1 },
      gpu_ram: { gte: 22_609 },
      disk_space: { gte: 64 },
      reliability: { gte: 0.9 },
      order: [['dph_total', 'asc']],
      type: 'on-demand',
      limit: 3000,
      allocated_storage: 64,
    });
  });

  it('sends every wish that Vast.ai can filter by [OF-01]', () => {
    const body = bodyOf({
      gpu: ['RTX 4090'],
      gpuCount: 4,
      minVramGb: 80,
      diskGb: 200,
      maxUsdPerHour: 1.5,
      minReliability: 0.98,
      minDownloadMbps: 500,
      minVcpu: 15,
      minRamGb: 46,
      regions: ['us', 'CA'],
    });
    expect(body).toMatchObject({
      gpu_name: { in: ['RTX 4090D', 'RTX 4090'] },
      num_gpus: { eq: 4 },
      gpu_ram: { gte: 75_366 },
      disk_space: { gte: 200 },
      dph_total: { lte: 1.5001 },
      reliability: { gte: 0.98 },
      inet_down: { gte: 500 },
      cpu_cores_effective: { gte: 15 },
      cpu_ram: { gte: 46_000 },
      geolocation: { in: ['US', 'CA'] },
      allocated_storage: 200,
    });
  });

  it('asks for no GPU name when a wish is of no known one, and only for countries that have a code', () => {
    expect(bodyOf({ gpu: ['RTX 4090', 'Voodoo 9'] })).not.toHaveProperty('gpu_name');
    expect(bodyOf({ regions: ['US', 'Texas'] })).not.toHaveProperty('geolocation');
    expect(planSearch(aQuery({ gpu: ['Voodoo 9'] }), NO_FILTER)).toMatchObject({
      enough: Infinity,
    });
    expect(planSearch(aQuery({ regions: ['Texas'] }), NO_FILTER)).toMatchObject({
      enough: Infinity,
    });
    expect(planSearch(aQuery({ regions: ['US'] }), NO_FILTER)).toMatchObject({ enough: 50 });
  });

  it('of bids it asks by the lowest bid, never by an on-demand price [OF-06]', () => {
    const body = bodyOf({ interruptible: true, maxUsdPerHour: 0.5 }, 'dph<0.4');
    expect(body).toMatchObject({
      type: 'bid',
      order: [['min_bid', 'asc']],
      min_bid: { lte: 0.5001 },
    });
    expect(body).not.toHaveProperty('dph_total');
  });

  it('asks for no CUDA version without a compute capability: GPUs would be missing (vast.md 3.4)', () => {
    expect(bodyOf({ minCuda: 12.4 })).not.toHaveProperty('cuda_max_good');
    expect(bodyOf({}, 'cuda_vers>=12.4')).not.toHaveProperty('cuda_max_good');
    expect(bodyOf({ minCuda: 12.4 }, 'compute_cap>=800')).toMatchObject({
      cuda_max_good: { gte: 12.4 },
      compute_cap: { gte: 800 },
    });
    expect(planSearch(aQuery({ minCuda: 12.4 }), NO_FILTER)?.asked.get('cuda_max_good')).toEqual({
      gte: 12.4,
    });
  });

  it('asks by ask_contract_id for an id, which finds nothing (vast.md 3.4)', () => {
    const body = bodyOf({}, 'id=26913465');
    expect(body).toMatchObject({ ask_contract_id: { eq: 26_913_465 } });
    expect(body).not.toHaveProperty('id');
  });
});

describe('vastQuery and the parameters hold both', () => {
  it('keeps both sides of a field', () => {
    expect(bodyOf({ gpu: ['A100'] }, 'gpu_name="A100 PCIE" num_gpus<=2')).toMatchObject({
      gpu_name: { in: ['A100 PCIE', 'A100 SXM4'], eq: 'A100 PCIE' },
      num_gpus: { eq: 1, lte: 2 },
    });
  });

  it('of the same operator on both sides it takes the tighter', () => {
    expect(bodyOf({}, 'gpu_ram>=48 reliability>=0.5 disk_space>=32')).toMatchObject({
      gpu_ram: { gte: 48_000 },
      reliability: { gte: 0.9 },
      disk_space: { gte: 64 },
    });
  });

  it('asks nothing at all when no offer can be so', () => {
    expect(planSearch(aQuery({ gpuCount: 1 }), parseVastQuery('num_gpus=4'))).toBeUndefined();
    expect(
      planSearch(aQuery({ regions: ['US'] }), parseVastQuery('geolocation in [DE]')),
    ).toBeUndefined();
  });

  it.each([
    ['verified=any', 'verified'],
    ['external=any', 'external'],
    ['rentable=?', 'rentable'],
    ['rented=*', 'rented'],
  ])('%s lifts the default', (text, field) => {
    expect(bodyOf({}, text)).not.toHaveProperty(field);
  });

  it('a default gives way to what is said of its field', () => {
    expect(bodyOf({}, 'verified=false external=true')).toMatchObject({
      verified: { eq: false },
      external: { eq: true },
      rentable: { eq: true },
    });
  });

  it('any lifts no parameter of our own', () => {
    expect(bodyOf({ gpuCount: 2 }, 'num_gpus=any')).toMatchObject({ num_gpus: { eq: 2 } });
  });

  it('writes countries in capitals', () => {
    expect(bodyOf({}, 'geolocation in [us,de] geolocation!=de')).toMatchObject({
      geolocation: { in: ['US', 'DE'], neq: 'DE' },
    });
  });
});
