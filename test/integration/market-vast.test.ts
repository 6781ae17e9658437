import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import type { Offer } from '../../src/core/offer.ts';
import type { Provider } from '../../src/core/provider.ts';
import { createAccountBook } from '../../src/leases/account-book.ts';
import { createHosts } from '../../src/leases/hosts.ts';
import { createOffers } from '../../src/leases/offers.ts';
import { checkPreconditions } from '../../src/leases/preconditions.ts';
import { freshOffers } from '../../src/leases/quotes.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { someTerms } from '../support/lease-bench.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';

const { signal } = new AbortController();
const QUERY = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 24,
  diskGb: 64,
  minReliability: 0.9,
  regions: [],
  interruptible: false,
  providers: [],
  limit: 50,
};
let sandbox: VastSandbox;
let provider: Provider;
const store = createMemoryStore();
const hosts = createHosts({ store, clock: systemClock });

beforeAll(async () => {
  sandbox = await startVastSandbox({ machines: 'none', offers: 200, seed: 7 });
  provider = createVastProvider({
    apiKey: sandbox.apiKey,
    baseUrl: sandbox.url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(`ssh-ed25519 ${'A'.repeat(68)} test`),
  });
});
afterAll(async () => sandbox[Symbol.asyncDispose]());

const providersOf = () => new Map([[provider.name, provider]]);
const find = async (changes: Partial<Parameters<Find>[0]> = {}) =>
  createOffers({ providers: providersOf(), clock: systemClock, hosts }).find(
    { ...QUERY, ...changes },
    { signal },
  );
type Find = ReturnType<typeof createOffers>['find'];
const first = ([offer]: readonly Offer[]): Offer => {
  if (offer === undefined) throw new Error('The market is empty.');
  return offer;
};

describe('the market over a fake Vast.ai', () => {
  it('sorts by the whole price, and every offer keeps what was asked [OF-01] [OF-03]', async () => {
    const { offers, providers } = await find({ maxUsdPerHour: 2, minDownloadMbps: 100 });
    expect(providers).toEqual([{ provider: 'vast', ok: true }]);
    expect(offers.length).toBeGreaterThan(3);
    const prices = offers.map(({ usdPerHour }) => usdPerHour);
    expect(prices).toEqual([...prices].sort((a, b) => a - b));
    for (const offer of offers) {
      expect(offer.usdPerHour).toBeCloseTo(
        (offer.gpuUsdPerHour ?? 0) + (offer.diskUsdPerHour ?? 0),
        5,
      );
      expect(offer.vramGb).toBeGreaterThanOrEqual(24);
      expect(offer.reliability).toBeGreaterThanOrEqual(0.9);
      expect(offer.downloadMbps).toBeGreaterThanOrEqual(100);
      expect(offer.machineId).toBeDefined();
    }
  });

  it('names the filter to drop when nothing fits, at the disk that was asked for [OF-05]', async () => {
    const { offers } = await find();
    const cheapest = first(offers);
    const none = await find({ maxUsdPerHour: cheapest.usdPerHour / 2 });
    expect(none.offers).toEqual([]);
    const dropped = none.relaxations.find(({ drop }) => drop === 'maxUsdPerHour');
    expect(dropped?.wouldMatch).toBeGreaterThanOrEqual(offers.length);
    const odd = await find({ vastQuery: 'cpu_arch=arm64 num_gpus=77' });
    expect(odd.relaxations.map(({ drop }) => drop)).toContain('vastQuery');
  });

  it('a query with a mistake is an error of the caller, not a cloud that is down', async () => {
    await expect(find({ vastQuery: 'gpu_nmae=RTX_4090' })).rejects.toMatchObject({
      code: 'invalid_input',
    });
  });

  it('the candidates of an order are priced in one search', async () => {
    const { offers } = await find({ limit: 3 });
    const searches = (): number =>
      sandbox.sandbox.requests().filter(({ path }) => path.startsWith('/api/v0/bundles')).length;
    const before = searches();
    const terms = someTerms({ offerIds: offers.map(({ offerId }) => offerId) });
    const fresh = await freshOffers(providersOf(), terms, { signal });
    expect(fresh.map(({ offerId }) => offerId)).toEqual(offers.map(({ offerId }) => offerId));
    for (const [index, { usdPerHour }] of fresh.entries())
      expect(usdPerHour).toBeCloseTo(offers[index]?.usdPerHour ?? 0, 9);
    expect(searches() - before).toBeLessThanOrEqual(2);
  });

  it('the checks before the money see account, image and volume [KE-01] [CR-06] [VO-02]', async () => {
    const offer = first((await find()).offers);
    const providers = providersOf();
    const accounts = createAccountBook({ providers, clock: systemClock });
    const deps = { providers, store, hosts, accounts, clock: systemClock };
    const terms = someTerms({ offerIds: [offer.offerId] });
    const { notes, terms: planned } = await checkPreconditions([offer], terms, deps, { signal });
    expect(planned.workloadImage).toMatch(/^pytorch\/pytorch:/);
    expect(notes.join('\n')).toContain('is added before the order');
    await expect(
      checkPreconditions([offer], { ...terms, volume: 'V.999999:/data' }, deps, { signal }),
    ).rejects.toMatchObject({ code: 'not_found' });
    expect(sandbox.books().instances).toEqual([]);
  });

  it('an account that pays for less than a quarter of an hour is told so before anybody is asked', async () => {
    await using poor = await startVastSandbox({
      machines: 'none',
      offers: 30,
      vast: { creditUsd: 0.001 },
    });
    const cloud = createVastProvider({
      apiKey: poor.apiKey,
      baseUrl: poor.url,
      clock: systemClock,
      ownPublicKey: async () => Promise.resolve(undefined),
    });
    const providers = new Map([[cloud.name, cloud]]);
    const offer = first(await cloud.listOffers({ ...QUERY, gpuCount: 0 }, { signal }));
    await expect(
      checkPreconditions(
        [offer],
        someTerms({ offerIds: [offer.offerId] }),
        {
          providers,
          store,
          hosts,
          accounts: createAccountBook({ providers, clock: systemClock }),
          clock: systemClock,
        },
        { signal },
      ),
    ).rejects.toMatchObject({ code: 'insufficient_credit' });
    expect(poor.books().instances).toEqual([]);
  });
});
