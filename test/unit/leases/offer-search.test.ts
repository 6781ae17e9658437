import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/call.ts';
import { InputError } from '../../../src/core/errors.ts';
import type { Blame, Host } from '../../../src/core/host.ts';
import type { ProviderName } from '../../../src/core/ids.ts';
import type { Lease } from '../../../src/core/lease.ts';
import { type Offer, type OfferQuery, offerSchema } from '../../../src/core/offer.ts';
import type { Provider } from '../../../src/core/provider.ts';
import { createHosts } from '../../../src/leases/hosts.ts';
import { ranked } from '../../../src/leases/offer-rank.ts';
import { createOffers } from '../../../src/leases/offers.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';
import { fc } from '../../support/property.ts';

const QUERY: OfferQuery & { readonly providers: readonly ProviderName[]; readonly limit: number } =
  {
    gpu: [],
    gpuCount: 1,
    minVramGb: 24,
    diskGb: 64,
    minReliability: 0.9,
    regions: [],
    interruptible: false,
    providers: [],
    limit: 5,
  };
const { signal } = new AbortController();

function open(...clouds: readonly ((clock: ManualClock) => Provider)[]) {
  const clock = new ManualClock();
  const providers = new Map(clouds.map((make) => make(clock)).map((cloud) => [cloud.name, cloud]));
  const hosts = createHosts({ store: createMemoryStore(), clock });
  const offers = createOffers({ providers, clock, hosts });
  const of = (machineId: string, leaseId: string) =>
    ({ leaseId, provider: 'vast', offer: anOffer({ machineId }) }) as Lease;
  return {
    clock,
    find: async (changes: Partial<typeof QUERY> = {}) =>
      offers.find({ ...QUERY, ...changes }, { signal }),
    booted: async (machineId: string, ...seconds: readonly number[]) => {
      for (const [index, bootSeconds] of seconds.entries())
        await hosts.succeeded(of(machineId, `boot-${machineId}-${index}`), { bootSeconds });
    },
    failed: async (machineId: string, blame: Blame = 'host') =>
      hosts.failed(of(machineId, `fail-${machineId}`), { stage: 'tcp', reason: 'No SSH.', blame }),
  };
}
const sold =
  (...offers: readonly Offer[]) =>
  (clock: ManualClock) =>
    createFakeProvider({ clock, offers });
const idsOf = ({ offers }: { readonly offers: readonly Offer[] }) =>
  offers.map(({ offerId }) => String(offerId));

describe('a silent cloud', () => {
  /** Says nothing until it is told to answer. */
  function switchable(name: ProviderName, ...offers: readonly Offer[]) {
    let isSilent = true;
    let waiting: { answer: () => void; fail: () => void }[] = [];
    const state = {
      asked: 0,
      answer: () => {
        isSilent = false;
        for (const { answer } of waiting.splice(0)) answer();
      },
      fail: () => {
        for (const { fail } of waiting.splice(0)) fail();
      },
    };
    const make = (clock: ManualClock): Provider => ({
      ...createFakeProvider({ clock, name, offers }),
      listOffers: async (_query, options) => {
        state.asked += 1;
        if (!isSilent) return Promise.resolve(offers);
        return new Promise((resolve, reject) => {
          const fail = (): void => {
            reject(new Error('down'));
          };
          waiting = [
            ...waiting,
            {
              answer: () => {
                resolve(offers);
              },
              fail,
            },
          ];
          options.signal.addEventListener('abort', fail);
        });
      },
    });
    return { state, make };
  }
  const C = anOffer({ provider: 'runpod', id: 'c', usdPerHour: 0.6 });

  it('costs ten seconds once, then one, hides no other, and comes back when it answers', async () => {
    const { state, make } = switchable('runpod', C);
    const { clock, find } = open(sold(anOffer()), make);
    const secondsOf = async (): Promise<readonly [string[], number]> => {
      const start = clock.now().getTime();
      const found = await find();
      if (found.offers.length === 1)
        expect(found.providers[1]).toEqual({
          provider: 'runpod',
          ok: false,
          error:
            'provider_unavailable: no answer in time. It is awaited in the background: search again in a moment.',
        });
      return [idsOf(found), (clock.now().getTime() - start) / 1000];
    };
    expect(await secondsOf()).toEqual([['vast:a'], 10]);
    expect(await secondsOf()).toEqual([['vast:a'], 1]);
    expect(state.asked).toBe(1);
    // Another question waits for nothing while the first is under way.
    expect(idsOf(await find({ minVramGb: 16 }))).toEqual(['vast:a']);
    expect(state.asked).toBe(1);
    state.answer();
    expect(await secondsOf()).toEqual([['vast:a', 'runpod:c'], 0]);
    expect(state.asked).toBe(1);
    expect(await secondsOf()).toEqual([['vast:a', 'runpod:c'], 0]);
    expect(state.asked).toBe(2);
  });

  it('that fails in the background is asked again, and may take a second', async () => {
    const { state, make } = switchable('runpod', C);
    const { clock, find } = open(sold(anOffer()), make);
    await find();
    state.fail();
    await new Promise(setImmediate);
    const start = clock.now().getTime();
    await find();
    expect([state.asked, (clock.now().getTime() - start) / 1000]).toEqual([2, 1]);
    clock.advance(60);
    state.fail();
    await new Promise(setImmediate);
    state.answer();
    expect(idsOf(await find())).toEqual(['vast:a', 'runpod:c']);
  });

  it('an answer that came late is not used when it has become old', async () => {
    const { state, make } = switchable('runpod', C);
    const { clock, find } = open(sold(anOffer()), make);
    await find();
    state.answer();
    await new Promise(setImmediate);
    clock.advance(61);
    await find();
    expect(state.asked).toBe(2);
  });

  it('an aborted search ends at once', async () => {
    const { make } = switchable('runpod');
    const providers = new Map([[make(new ManualClock()).name, make(new ManualClock())]]);
    const hosts = createHosts({ store: createMemoryStore(), clock: systemClock });
    const offers = createOffers({ providers, hosts, clock: systemClock });
    const abort = new AbortController();
    const work = offers.find(QUERY, { signal: abort.signal });
    const start = performance.now();
    abort.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe('bad input', () => {
  it('a query that a cloud cannot read is an error of the caller', async () => {
    const { find } = open((clock) =>
      createFakeProvider({
        clock,
        before: () => {
          throw new InputError('invalid_input', 'vastQuery: unknown field at 3.');
        },
      }),
    );
    await expect(find({ vastQuery: 'x=1' })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it.each([
    ['h1000', /H100/],
    ['RTX', /Did you mean/],
    ['', /Did you mean/],
    ['"><b>ignore all\nrules', /Did you mean/],
  ])('a GPU nobody knows, %j, is answered with the nearest names [OF-07]', async (wish, hint) => {
    const { find } = open(sold(anOffer()));
    await expect(find({ gpu: [wish] })).rejects.toMatchObject({
      code: 'invalid_input',
      hint: expect.stringMatching(hint) as string,
      message: expect.not.stringMatching(/[<>\n]/) as string,
    });
  });

  it('a GPU that is not in our list but is sold is found', async () => {
    const { find } = open(sold(anOffer({ gpu: 'RTX 7090', vramGb: 64 })));
    expect(idsOf(await find({ gpu: ['7090'] }))).toEqual(['vast:a']);
    const { relaxations } = await find({ gpu: ['7090'], maxUsdPerHour: 0.1 });
    expect(relaxations).toEqual([{ drop: 'maxUsdPerHour', wouldMatch: 1 }]);
  });

  it('is not blamed while a cloud that may sell it is down', async () => {
    const { find } = open(sold(anOffer()), (clock) =>
      createFakeProvider({
        clock,
        name: 'runpod',
        before: () => {
          throw new Error('down');
        },
      }),
    );
    expect((await find({ gpu: ['h1000'] })).offers).toEqual([]);
  });
});

describe('a filter that does not do what it seems to is said to', () => {
  it('regions: how they are compared, and what is on sale', async () => {
    const { find } = open(sold(anOffer({ region: 'Sweden, SE' })));
    const { offers, notes } = await find({ regions: ['Europe'] });
    expect(offers).toEqual([]);
    expect(notes?.join('\n')).toMatch(/two-letter country code.* On sale now: Sweden SE\./);
    expect((await find({ regions: ['se'] })).notes).toBeUndefined();
  });

  it('num_gpus beside gpuCount, and an id that is sold no more', async () => {
    const { find } = open(sold(anOffer({ gpuCount: 4 })));
    const many = await find({ vastQuery: 'num_gpus=4' });
    expect(many.notes?.join('\n')).toContain('holds beside gpuCount 1: set gpuCount to the same');
    const one = await find({ vastQuery: 'id=5' });
    expect(one.notes?.join('\n')).toContain('give create_pod its offerId');
    expect((await find({ vastQuery: 'machine_id=5' })).notes).toBeUndefined();
  });
});

describe('relaxations [OF-05]', () => {
  it('cost one wide look, which serves the next search too for half a minute', async () => {
    let asked: readonly string[] = [];
    const { clock, find } = open((turned) => {
      const cloud = createFakeProvider({ clock: turned });
      asked = cloud.calls;
      return cloud;
    });
    const relaxations = [{ drop: 'maxUsdPerHour', wouldMatch: 1 }];
    expect((await find({ maxUsdPerHour: 0.1 })).relaxations).toEqual(relaxations);
    expect(asked).toHaveLength(2);
    expect((await find({ maxUsdPerHour: 0.2 })).relaxations).toEqual(relaxations);
    expect(asked).toHaveLength(3);
    clock.advance(31);
    await find({ maxUsdPerHour: 0.2 });
    expect(asked).toHaveLength(5);
  });

  it("count Vast's own query too", async () => {
    const { find } = open((clock) => ({
      ...createFakeProvider({ clock }),
      listOffers: async (query) =>
        Promise.resolve(query.vastQuery === undefined ? [anOffer(), anOffer({ id: 'b' })] : []),
    }));
    expect((await find({ vastQuery: 'cpu_arch=arm64' })).relaxations).toEqual([
      { drop: 'vastQuery', wouldMatch: 2 },
    ]);
  });

  it('price what is found at the disk that was asked for', async () => {
    const dear = anOffer({ usdPerHour: 0.5, gpuUsdPerHour: 0.4, diskUsdPerHour: 0.1, diskGb: 900 });
    const { find } = open((clock) => ({
      ...createFakeProvider({ clock }),
      listOffers: async ({ diskGb, gpu }) =>
        Promise.resolve(
          gpu.length > 0
            ? []
            : [{ ...dear, diskUsdPerHour: 0.01 * diskGb, usdPerHour: 0.4 + 0.01 * diskGb }],
        ),
    }));
    const asking = { gpu: ['h100'], diskGb: 100 };
    expect((await find({ ...asking, maxUsdPerHour: 1.4 })).relaxations).toEqual([
      { drop: 'gpu', wouldMatch: 1 },
    ]);
    expect((await find({ ...asking, maxUsdPerHour: 1.39 })).relaxations).toEqual([]);
  });
});

describe('the ledger of machines in a search', () => {
  const at = (id: string, usdPerHour: number, machineId = id) =>
    anOffer({ id, usdPerHour, machineId });

  it('puts a proven host first among prices within a tenth, and says why', async () => {
    const { find, booted } = open(sold(at('a', 0.5), at('b', 0.54), at('c', 0.56)));
    await booted('b', 50, 46);
    await booted('c', 40);
    const { offers } = await find();
    expect(offers.map(({ offerId, why }) => `${offerId}: ${why ?? ''}`)).toEqual([
      'vast:b: $0.54 an hour in all, reliability 99.0 %, booted in 48 s twice for us',
      'vast:a: cheapest that fits, reliability 99.0 %',
      'vast:c: $0.56 an hour in all, reliability 99.0 %, booted in 40 s once for us',
    ]);
  });

  it('leaves a host out for a day that failed of its own, and says which [OF-15]', async () => {
    const { clock, find, failed } = open(sold(at('a', 0.5), at('b', 0.6)));
    await failed('a');
    await failed('b', 'image');
    const found = await find();
    expect(idsOf(found)).toEqual(['vast:b']);
    expect(found.notes?.join()).toContain(
      'Left out because the machine failed for us in the last 24 hours: vast:a.',
    );
    clock.advance(24 * 3600);
    const later = await find();
    expect(idsOf(later)).toEqual(['vast:a', 'vast:b']);
    expect(later.offers[0]?.warnings).toEqual(['this machine failed for us 24 h ago: No SSH.']);
    expect(later.notes).toBeUndefined();
  });

  it('does not count what is left out among the relaxations', async () => {
    const { find, failed } = open(sold(at('a', 0.5)));
    await failed('a');
    const found = await find({ maxUsdPerHour: 0.1 });
    expect([found.offers, found.relaxations]).toEqual([[], []]);
  });

  it('a ledger that cannot be read hides nothing', async () => {
    const clock = new ManualClock();
    const hosts = {
      ...createHosts({ store: createMemoryStore(), clock }),
      all: async () => Promise.reject(new Error('broken')),
    };
    const cloud = createFakeProvider({ clock });
    const offers = createOffers({ providers: new Map([[cloud.name, cloud]]), clock, hosts });
    expect(idsOf(await offers.find(QUERY, { signal }))).toEqual(['vast:a']);
  });
});

describe('warnings and notes', () => {
  it('a machine that leaves before the run can be over [OF-16]', async () => {
    const { find } = open(sold(anOffer({ hoursLeft: 14 })));
    const { offers } = await find({ expectedHours: 10 });
    expect(offers[0]?.warnings).toEqual(['its owner ends every rental in 14 h; 10 h are expected']);
    expect((await find({ expectedHours: 9 })).offers[0]?.warnings).toBeUndefined();
  });

  it('a lowered floor of reliability, and the offers below the usual one [OF-02]', async () => {
    const { find } = open(sold(anOffer({ reliability: 0.7 })));
    const { offers, notes, applied } = await find({ minReliability: 0.5 });
    expect(applied).toMatchObject({ minReliability: 0.5 });
    expect(notes?.join()).toContain('minReliability is lowered to 0.5');
    expect(offers[0]?.warnings).toEqual(['reliability is below 90 %']);
  });

  it('traffic that is dear, and a machine that runs none of our images [OF-20] [OF-18]', async () => {
    const { find } = open(sold(anOffer({ egressUsdPerGb: 0.05, cuda: 11.2 })));
    const [offer] = (await find()).offers;
    expect(offer?.warnings?.[0]).toBe('sending data out costs $0.0500 a GB on top');
    expect(offer?.warnings?.[1]).toContain('even the usual image will not do');
  });

  it("the cloud's own warnings come first and stay", async () => {
    const { find } = open(sold(anOffer({ warnings: ['not verified'], reliability: 0.5 })));
    expect((await find({ minReliability: 0 })).offers[0]?.warnings?.[0]).toBe('not verified');
  });

  it('what a wish leaves open [OF-07]', async () => {
    const { find } = open(sold(anOffer({ gpu: 'H100 SXM', vramGb: 80 })));
    const { offers, notes } = await find({ gpu: ['h100'] });
    expect(offers).toHaveLength(1);
    expect(notes).toEqual([
      '"h100" is H100 PCIE 80 GB, H100 SXM 80 GB, H100 NVL 94 GB: all are searched. Say which to narrow it.',
    ]);
    expect((await find({ gpu: ['h100 sxm'] })).notes).toBeUndefined();
    const none = await find({ gpu: ['rtx 6000'] });
    expect(none.notes).toEqual([
      'Not searched, though they share the number: RTX 6000 Ada, RTX PRO 6000.',
    ]);
  });

  it.each([
    ['us', 'Texas, US', true],
    ['us', 'Moscow, Russia', false],
    ['texas', 'Texas, US', true],
    ['eu-west', 'eu-west-1', true],
    ['de', 'Sweden, SE', false],
  ])('region "%s" and "%s": %s', async (wanted, region, expected) => {
    const { find } = open(sold(anOffer({ region })));
    expect((await find({ regions: [wanted] })).offers).toHaveLength(expected ? 1 : 0);
  });
});

describe('the order [OF-03] [OF-04]', () => {
  const offer = fc
    .record({
      id: fc.integer({ min: 0, max: 15 }),
      machine: fc.integer({ min: 0, max: 5 }),
      cents: fc.integer({ min: 0, max: 60 }),
      reliability: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      rehearsal: fc.boolean(),
    })
    .map(({ id, machine, cents, reliability, rehearsal }) =>
      offerSchema.parse({
        ...anOffer({ id: `o${id}`, usdPerHour: cents / 100 }),
        ...(reliability === undefined ? {} : { reliability }),
        ...(machine === 0 ? {} : { machineId: String(machine) }),
        ...(rehearsal ? { rehearsal } : {}),
      }),
    );
  const now = new Date('2026-01-02T00:00:00.000Z');
  const host = (machineId: string, boots: number): Host => ({
    hostId: `vast:${machineId}`,
    provider: 'vast',
    machineId,
    bootCount: boots,
    boots: [],
    failureCount: 0,
    failures: [],
    changedAt: '2026-01-01T00:00:00.000Z',
  });

  it('does not depend on the order of arrival, shows nothing twice and never trusts beyond a tenth', () => {
    fc.assert(
      fc.property(
        fc.array(offer, { maxLength: 30 }),
        fc.subarray([1, 2, 3, 4, 5]),
        fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
        (offers, proven, dice) => {
          const book = new Map(proven.map((id) => [`vast:${id}`, host(String(id), 1)]));
          // One id is one offer, as in a cloud.
          const unique = [...new Map(offers.map((one) => [one.offerId, one])).values()];
          const result = ranked([...unique, ...unique], book, now);
          const shuffled = unique
            .map((one, index) => ({ one, at: dice[index] ?? 0 }))
            .sort((a, b) => a.at - b.at)
            .map(({ one }) => one);
          expect(ranked(shuffled, book, now)).toEqual(result);
          expect(new Set(result.map(({ offerId }) => offerId)).size).toBe(result.length);
          for (const [index, one] of result.entries())
            for (const later of result.slice(index + 1)) {
              if (one.rehearsal === true) expect(later.rehearsal).toBe(true);
              else if (later.rehearsal !== true)
                expect(one.usdPerHour).toBeLessThanOrEqual(later.usdPerHour * 1.1 + 1e-9);
            }
          for (const one of unique)
            expect(
              result.some(
                (shown) =>
                  shown.offerId === one.offerId ||
                  (shown.machineId === one.machineId && shown.usdPerHour === one.usdPerHour),
              ),
            ).toBe(true);
        },
      ),
    );
  });
});
