import { describe, expect, it } from 'vitest';
import type { ProviderName } from '../../../src/core/ids.ts';
import { type Offer, type OfferQuery, offerSchema } from '../../../src/core/offer.ts';
import type { Provider } from '../../../src/core/provider.ts';
import { isGpuMatch } from '../../../src/leases/gpu-name.ts';
import { createHosts } from '../../../src/leases/hosts.ts';
import { createOffers } from '../../../src/leases/offers.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';

const QUERY: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 24,
  diskGb: 64,
  minReliability: 0.9,
  regions: [],
  interruptible: false,
};
const clock = new ManualClock();
const { signal } = new AbortController();
const cloud = (name: ProviderName, ...offers: readonly Offer[]) =>
  createFakeProvider({ clock, name, offers });
const REHEARSAL = offerSchema.parse({
  offerId: 'local:cpu',
  provider: 'local',
  gpuCount: 0,
  vcpu: 4,
  ramGb: 8,
  diskGb: 5,
  region: 'here',
  pricing: 'on_demand',
  usdPerHour: 0,
  rehearsal: true,
});

async function find(
  clouds: readonly Provider[],
  changes: Partial<OfferQuery> = {},
  providers: readonly ProviderName[] = [],
  limit = 5,
) {
  const offers = createOffers({
    providers: new Map(clouds.map((c) => [c.name, c])),
    clock,
    hosts: createHosts({ store: createMemoryStore(), clock }),
  });
  return offers.find({ ...QUERY, ...changes, providers, limit }, { signal });
}
const idsOf = ({ offers }: { offers: readonly Offer[] }) => offers.map(({ offerId }) => offerId);

describe('find', () => {
  it('asks all clouds, cheapest first, at most `limit` [OF-03] [OF-04]', async () => {
    const found = await find(
      [
        cloud('vast', anOffer({ id: 'a', usdPerHour: 0.5 }), anOffer({ id: 'b', usdPerHour: 0.3 })),
        cloud('runpod', anOffer({ provider: 'runpod', id: 'c', usdPerHour: 0.4 })),
      ],
      { expectedHours: 2 },
      [],
      2,
    );
    expect(idsOf(found)).toEqual(['vast:b', 'runpod:c']);
    expect(found.offers[0]?.why).toBe(
      'cheapest that fits, reliability 99.0 %, about $0.60 for 2 h',
    );
    expect(found.snapshotAt).toBe('2026-01-01T00:00:00.000Z');
  });

  it('tells every filter in force, defaults too [OF-02] [MO-07]', async () => {
    const { applied } = await find([cloud('vast', anOffer())], { gpu: ['4090'], maxUsdPerHour: 1 });
    expect(applied).toEqual({
      gpu: ['4090'],
      gpuCount: 1,
      minVramGb: 24,
      diskGb: 64,
      maxUsdPerHour: 1,
      minReliability: 0.9,
      interruptible: false,
      providers: ['vast'],
      limit: 5,
    });
  });

  it('one cloud down hides no other', async () => {
    const down = createFakeProvider({
      clock,
      name: 'runpod',
      before: () => {
        throw new Error('secret detail');
      },
    });
    const found = await find([cloud('vast', anOffer()), down], {}, ['vast', 'runpod', 'lambda']);
    expect(idsOf(found)).toEqual(['vast:a']);
    expect(found.providers).toEqual([
      { provider: 'vast', ok: true },
      { provider: 'runpod', ok: false, error: 'internal: Unexpected failure.' },
      {
        provider: 'lambda',
        ok: false,
        error:
          'config_missing: lambda is off: the server has no LAMBDA_API_KEY. The user can set it and restart the server. What works meanwhile: pods of this machine (local), and machines that the user already has (ssh_profile).',
      },
    ]);
  });

  it.each([
    ['gpu', { gpu: ['H100'] }],
    ['gpuCount', { gpuCount: 2 }],
    ['minVramGb', { minVramGb: 48 }],
    ['diskGb', { diskGb: 501 }],
    ['maxUsdPerHour', { maxUsdPerHour: 0.1 }],
    ['minReliability', { minReliability: 0.999 }],
    ['minCuda', { minCuda: 12.4 }],
    ['minDownloadMbps', { minDownloadMbps: 1 }],
    ['minVcpu', { minVcpu: 17 }],
    ['minRamGb', { minRamGb: 65 }],
    ['regions', { regions: ['us'] }],
    ['interruptible', { interruptible: true }],
  ])(
    'without offers it names the one filter to drop: %s [OF-01] [OF-05] [MO-19]',
    async (drop, changes) => {
      const found = await find([cloud('vast', anOffer())], changes);
      expect(found.offers).toEqual([]);
      expect(found.relaxations).toEqual([{ drop, wouldMatch: 1 }]);
    },
  );

  it('suggests nothing that alone would not help', async () => {
    const found = await find([cloud('vast', anOffer())], { gpu: ['H100'], maxUsdPerHour: 0.1 });
    expect(found.relaxations).toEqual([]);
  });
});

describe('rehearsal offers', () => {
  it('come when no cloud is configured, whatever GPU is asked for', async () => {
    const found = await find([cloud('local', REHEARSAL)], { gpu: ['H100'], gpuCount: 8 });
    expect(idsOf(found)).toEqual(['local:cpu']);
  });

  it('stay away beside a cloud unless they are named, and then come last', async () => {
    const clouds = [cloud('local', REHEARSAL), cloud('vast', anOffer({ usdPerHour: 9 }))];
    expect(idsOf(await find(clouds))).toEqual(['vast:a']);
    expect(idsOf(await find(clouds, {}, ['local', 'vast']))).toEqual(['vast:a', 'local:cpu']);
    const none = await find(clouds, { maxUsdPerHour: 1 });
    expect([idsOf(none), none.relaxations]).toEqual([
      [],
      [{ drop: 'maxUsdPerHour', wouldMatch: 1 }],
    ]);
  });

  it('are not exempt from what the machine has', async () => {
    expect(idsOf(await find([cloud('local', REHEARSAL)], { minVcpu: 999 }))).toEqual([]);
  });
});

describe('names of GPUs [OF-07]', () => {
  it.each([
    ['4090', 'NVIDIA GeForce RTX 4090', true],
    ['rtx4090', 'RTX_4090', true],
    ['RTX 4090', 'NVIDIA GeForce RTX 4090 Laptop GPU', false],
    ['4090', 'RTX 4090D', false],
    ['3080', 'NVIDIA GeForce RTX 3080 Ti', false],
    ['3080 ti', 'NVIDIA GeForce RTX 3080 Ti', true],
    ['H100', 'NVIDIA H100 80GB HBM3', true],
    ['h100 sxm', 'H100 SXM5', true],
    ['h100 pcie', 'H100 SXM5', false],
    ['a100', 'NVIDIA RTX A1000', false],
    ['a100 80', 'NVIDIA A100-SXM4', true],
    ['a100 40gb', 'NVIDIA A100-SXM4', false],
    ['', 'NVIDIA A100', false],
  ])('"%s" and "%s": %s', (wanted, offered, expected) => {
    expect(isGpuMatch(wanted, offered, 80)).toBe(expected);
  });
});

it('a cloud without interruptible machines says so, and what it sells at a fixed price [OF-05]', async () => {
  const offer = anOffer({ provider: 'lambda', id: 'a' });
  const lambda = createFakeProvider({ clock, name: 'lambda', offers: [offer] });
  const plain: Provider = {
    ...lambda,
    facts: { ...lambda.facts, hasNoInterruptible: true },
    listOffers: async ({ interruptible }) => Promise.resolve(interruptible ? [] : [offer]),
  };
  const none = await find([plain], { interruptible: true });
  expect(none.offers).toEqual([]);
  expect(none.relaxations).toEqual([{ drop: 'interruptible', wouldMatch: 1 }]);
  expect(none.notes).toContain('lambda has no interruptible machines.');
  expect((await find([plain])).notes).toBeUndefined();
  const other = cloud('vast', anOffer({ pricing: 'interruptible' }));
  const some = await find([plain, other], { interruptible: true });
  expect([some.offers.length, some.notes]).toEqual([1, undefined]);
  const named = await find([plain, other], { interruptible: true }, ['lambda', 'vast']);
  expect(named.notes).toEqual(['lambda has no interruptible machines.']);
});
