import { describe, expect, it } from 'vitest';
import { InputError } from '../../../src/core/errors.ts';
import { type Lease, leaseSchema, type Terms } from '../../../src/core/lease.ts';
import { createAccountBook } from '../../../src/leases/account-book.ts';
import { createHosts } from '../../../src/leases/hosts.ts';
import { checkPreconditions } from '../../../src/leases/preconditions.ts';
import { ensureKey } from '../../../src/leases/supplies.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import {
  anOffer,
  createFakeProvider,
  type FakeProviderOptions,
} from '../../support/fake-provider.ts';
import { createLeaseBench, someTerms } from '../../support/lease-bench.ts';

const { signal } = new AbortController();
const A = anOffer({ id: 'a', cuda: 12.8 });
const B = anOffer({ id: 'b', cuda: 12.8, usdPerHour: 0.7 });

function open(cloud: Omit<Partial<FakeProviderOptions>, 'clock'> = {}) {
  const clock = new ManualClock();
  const store = createMemoryStore();
  const provider = createFakeProvider({ clock, offers: [A, B], ...cloud });
  const hosts = createHosts({ store, clock });
  const providers = new Map([[provider.name, provider]]);
  const deps = {
    providers,
    store,
    hosts,
    accounts: createAccountBook({ providers, clock }),
    clock,
  };
  return {
    clock,
    store,
    hosts,
    provider,
    check: async (terms: Partial<Terms> = {}, offers = [A]) =>
      checkPreconditions(offers, someTerms(terms), deps, { signal }),
  };
}
const noted = (notes: readonly string[]): string => notes.join('\n');

describe('the account [KE-01] [CO-10]', () => {
  it('is read once for every cloud, and has nothing to say when all is well', async () => {
    const { provider, check } = open({ balanceUsd: 3 });
    const { notes, mustAsk, offers } = await check({ image: 'mine' }, [A, A]);
    expect([notes, mustAsk, offers.length]).toEqual([[], false, 2]);
    expect(provider.calls).toEqual(['checkAccount']);
  });

  it.each([
    ['pays for less than 15 minutes', 0.12, {}],
    ['is in debt', -4, {}],
  ])('refuses when it %s, with the balance', async (_what, balanceUsd, terms) => {
    await expect(open({ balanceUsd }).check(terms)).rejects.toMatchObject({
      code: 'insufficient_credit',
      retryable: false,
      message: expect.stringContaining(`$${balanceUsd.toFixed(2)}`) as string,
    });
  });

  it('says how long a balance lasts that does not last the whole time, and lets a person decide [KE-02]', async () => {
    const { notes, mustAsk } = await open({ balanceUsd: 1 }).check();
    expect(noted(notes)).toContain('$1.00, lasts 2.0 hours at this price');
    expect(mustAsk).toBe(true);
    const short = await open({ balanceUsd: 0.25 }).check();
    expect(noted(short.notes)).toContain('lasts 30 minutes');
  });

  it('a budget that ends before the balance is no worry; a longer expected run is', async () => {
    expect((await open({ balanceUsd: 1 }).check({ budgetUsd: 0.9 })).mustAsk).toBe(false);
    expect((await open({ balanceUsd: 3.1 }).check({ expectedHours: 12 })).mustAsk).toBe(true);
  });

  it('counts the pods that burn the same balance', async () => {
    const { store, check } = open({ balanceUsd: 1 });
    const lease = leaseSchema.parse({
      leaseId: 'lea_other',
      label: 'gl-other',
      provider: 'vast',
      offer: A,
      terms: someTerms(),
      approvedBy: 'form',
      state: 'open',
      name: 'other',
      usdPerHour: 4,
      createdAt: '2026-01-01T00:00:00.000Z',
      deadlineAt: '2026-01-01T06:00:00.000Z',
      stages: [],
      stage: 'ready',
      attempts: [],
    }) satisfies Lease;
    await store.leases.put(lease.leaseId, lease);
    await expect(check()).rejects.toMatchObject({
      code: 'insufficient_credit',
      message: expect.stringContaining('$4.50 an hour with the pods that run') as string,
    });
    await store.leases.put(lease.leaseId, { ...lease, state: 'closed' });
    expect((await check()).mustAsk).toBe(true);
  });

  it('that cannot be read ends the call, in our own words', async () => {
    const down = open({
      before: (call) => {
        if (call === 'checkAccount') throw new Error('secret detail');
      },
    });
    await expect(down.check()).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'The account of vast cannot be read.',
    });
    await expect(open({ accountProblem: 'The key was revoked.' }).check()).rejects.toMatchObject({
      message: 'The key was revoked.',
    });
  });

  it('of one cloud that is broken leaves the candidates of the others', async () => {
    const { store, hosts, clock, provider } = open();
    const broke = createFakeProvider({ clock, name: 'runpod', balanceUsd: 0 });
    const other = anOffer({ provider: 'runpod', id: 'c' });
    const providers = new Map([provider, broke].map((c) => [c.name, c]));
    const { offers, notes } = await checkPreconditions(
      [other, A],
      someTerms(),
      { providers, store, hosts, accounts: createAccountBook({ providers, clock }), clock },
      { signal },
    );
    expect(offers).toEqual([A]);
    expect(noted(notes)).toContain('runpod:c is left out: The balance on runpod is $0.00');
  });

  it('announces that our key will be added [KE-04]', async () => {
    expect(noted((await open({ accountKeys: [] }).check()).notes)).toContain(
      'is added before the order',
    );
    expect(noted((await open({ accountKeys: ['k'] }).check()).notes)).not.toContain('SSH key');
  });
});

describe('the plan', () => {
  it('is shown to the cloud with the resolved image, and its notes are passed on', async () => {
    const seen: unknown[] = [];
    const { check } = open({
      checkPlan: async (offer, plan) => {
        seen.push({ offer: offer.offerId, image: plan.image });
        return Promise.resolve(['The disk cannot grow later.']);
      },
    });
    const { notes, terms } = await check();
    expect(seen).toEqual([{ offer: 'vast:a', image: terms.workloadImage }]);
    expect(notes).toContain('The disk cannot grow later.');
  });

  it('that one candidate cannot serve leaves it out, and none ends the call', async () => {
    const refusing = open({
      checkPlan: async ({ offerId }) => {
        if (offerId === A.offerId) throw new InputError('invalid_input', 'The bid is too low.');
        return Promise.resolve(['All is well.']);
      },
    });
    const { offers, notes } = await refusing.check({}, [A, B]);
    expect(offers).toEqual([B]);
    expect(notes).toEqual(
      expect.arrayContaining(['vast:a is left out: The bid is too low.', 'vast:b: All is well.']),
    );
    await expect(refusing.check()).rejects.toMatchObject({ message: 'The bid is too low.' });
  });

  it('is asked about no more candidates than may be tried', async () => {
    const { provider, check } = open({ checkPlan: async () => Promise.resolve([]) });
    const { offers } = await check({ maxAttempts: 1 }, [A, B]);
    expect(offers).toEqual([A, B]);
    expect(provider.calls.filter((call) => call === 'checkPlan')).toHaveLength(1);
  });

  it('with a volume needs a cloud that has volumes, and this one [VO-01] [VO-02]', async () => {
    await expect(open().check({ volume: 'new:20:/data' })).rejects.toMatchObject({
      code: 'unsupported',
    });
    const { check } = open({ volumes: [] });
    await expect(check({ volume: 'runpod:1:/data' })).rejects.toMatchObject({
      code: 'unsupported',
    });
    expect((await check({ volume: 'vast:V.1:/data' })).offers).toEqual([A]);
  });
});

describe('what the person is told', () => {
  it('the image that stands for the workload [CR-06]', async () => {
    const { notes, terms } = await open().check({ workload: 'jax' });
    expect(terms.workloadImage).toMatch(/^nvidia\/cuda:/);
    expect(noted(notes)).toContain(`The image is ${terms.workloadImage ?? ''}.`);
    expect(noted(notes)).toContain('JAX is not in this image');
    expect((await open().check({ image: 'mine:1' })).terms.workloadImage).toBeUndefined();
    expect((await open().check({ template: 'abc' })).notes).toEqual([]);
  });

  it('keeps the image that a quote has bound', async () => {
    const { terms } = await open().check({ workload: 'pytorch', workloadImage: 'bound:1' });
    expect(terms.workloadImage).toBe('bound:1');
  });

  it('that a driver or a GPU does not fit the image [OF-18] [OF-19]', async () => {
    const { notes } = await open().check({ image: 'me/x:cuda13.0' });
    expect(noted(notes)).toContain(
      'vast:a: its driver takes CUDA up to 12.8 and the image has 13.0',
    );
  });

  it('that setup looks like the main job [CR-09]', async () => {
    for (const setup of ['torchrun train.py', 'python -u src/train_lora.py', 'x --epochs 3'])
      expect(noted((await open().check({ setup })).notes)).toContain('job_start');
    for (const setup of ['pip install torch', 'apt-get install -y git', 'python -m pip install x'])
      expect(noted((await open().check({ setup })).notes)).not.toContain('job_start');
  });

  it('that a machine which is named failed for us before [OF-15]', async () => {
    const { hosts, check } = open();
    const named = anOffer({ machineId: '7' });
    const lease = { leaseId: 'l', provider: 'vast', offer: named } as Lease;
    await hosts.failed(lease, { stage: 'tcp', reason: 'No SSH.', blame: 'host' });
    expect(noted((await check({}, [named])).notes)).toContain('vast:a: this machine failed for us');
  });

  it('nothing about images for a rehearsal', async () => {
    const { notes, terms } = await open().check({}, [anOffer({ rehearsal: true, usdPerHour: 0 })]);
    expect([notes, terms.workloadImage]).toEqual([[], undefined]);
  });
});

describe('our key on the account [KE-04]', () => {
  it('is added once, and a cloud without keys is left alone', async () => {
    const { provider } = open({ accountKeys: ['other'] });
    await ensureKey(provider, 'ours', { signal });
    await ensureKey(provider, 'ours', { signal });
    expect(provider.accountKeys).toEqual(['other', 'ours']);
    await ensureKey(open().provider, 'ours', { signal });
  });
});

describe('from call to order', () => {
  it('the key is on the account before the order and after the approval', async () => {
    const bench = createLeaseBench({ cloud: { accountKeys: [] } });
    await bench.create({}, 0);
    const steps = bench.cloud.calls.filter((call) => /registerKey|createPod/.test(call));
    expect(steps).toEqual(['registerKey', 'createPod']);
    const refused = createLeaseBench({ cloud: { accountKeys: [] } });
    refused.world.answer = 'declined';
    await refused.create();
    expect(refused.cloud.calls).not.toContain('registerKey');
  });

  it('a key that cannot be added rents nothing', async () => {
    const bench = createLeaseBench({ cloud: { accountKeys: [], keysFail: true } });
    await expect(bench.create()).rejects.toMatchObject({ code: 'auth_rejected' });
    expect(bench.cloud.machines).toEqual([]);
    expect(await bench.store.leases.list()).toEqual([]);
  });

  it('nobody is asked for what the account cannot pay', async () => {
    const bench = createLeaseBench({ cloud: { balanceUsd: 0.1 } });
    await expect(bench.create()).rejects.toMatchObject({ code: 'insufficient_credit' });
    expect([bench.asked, bench.cloud.machines]).toEqual([[], []]);
  });

  it('a person is asked when the balance ends early, even below the automatic limit', async () => {
    const bench = createLeaseBench({ limits: { autoApproveUsd: 9 }, cloud: { balanceUsd: 1 } });
    bench.world.answer = 'unavailable';
    const outcome = await bench.create();
    expect(outcome).toMatchObject({ status: 'needs_confirmation' });
    expect(JSON.stringify(outcome)).toContain('lasts 2.0 hours');
  });

  it('image, login and volume reach the cloud; the login is kept nowhere [CR-16]', async () => {
    const bench = createLeaseBench({
      cloud: { volumes: [] },
      secrets: { REGISTRY: 'me:very-secret-word@ghcr.io' },
    });
    await bench.create(
      { registryAuth: 'REGISTRY', volume: 'new:20:/data', workload: 'pytorch' },
      0,
    );
    expect(bench.cloud.machines[0]?.request).toMatchObject({
      image: expect.stringMatching(/^pytorch\//) as string,
      registryLogin: { host: 'ghcr.io', username: 'me', password: 'very-secret-word' },
      volume: { newGb: 20, mountPath: '/data' },
    });
    const kept = JSON.stringify([
      await bench.store.leases.list(),
      await bench.store.quotes.list(),
      await bench.store.log.list(),
      bench.asked,
    ]);
    expect(kept).toContain('REGISTRY');
    expect(kept).not.toContain('very-secret-word');
  });

  it.each([
    ['a port that is none', { ports: ['80:80'] }, 'invalid_input'],
    ['a volume that cannot be read', { volume: 'data' }, 'invalid_input'],
    ['a login nobody set', { registryAuth: 'NOBODY' }, 'config_missing'],
    ['a workload nobody knows', { workload: 'pascal' }, 'invalid_input'],
  ])('refuses %s before anything is rented', async (_what, changes, code) => {
    const bench = createLeaseBench();
    await expect(bench.create(changes)).rejects.toMatchObject({ code });
    expect([bench.asked, bench.cloud.machines]).toEqual([[], []]);
  });

  it('a machine that failed is not tried again under another offer, and both machines are remembered [OF-15] [CR-05]', async () => {
    const offers = [
      anOffer({ id: 'a', machineId: '7' }),
      anOffer({ id: 'b', machineId: '7' }),
      anOffer({ id: 'c', machineId: '8' }),
    ];
    const bench = createLeaseBench({ cloud: { offers } });
    bench.cloud.faults.bootFails = 1;
    const outcome = await bench.create({ offerIds: offers.map(({ offerId }) => offerId) });
    expect(outcome).toMatchObject({
      status: 'ready',
      attempts: [
        { offerId: 'vast:a', cleanup: 'gone' },
        { offerId: 'vast:b', cleanup: 'nothing_created' },
      ],
    });
    expect(bench.cloud.machines.map(({ request }) => request.offerId)).toEqual([
      'vast:a',
      'vast:c',
    ]);
    const hosts = await bench.store.hosts.list();
    expect(
      hosts.map(({ hostId, bootCount, failureCount }) => [hostId, bootCount, failureCount]),
    ).toEqual([
      ['vast:7', 0, 1],
      ['vast:8', 1, 0],
    ]);
  });
});
