import { describe, expect, it } from 'vitest';
import { offerIdSchema, podIdSchema } from '../../../src/core/ids.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

const request = { discardUnfetched: false, waitSeconds: 25 };
const limits = { autoApproveUsd: 100 };

/** Two servers on one state. The cloud of the first makes the machine only when `answer` is called. */
function slowCreation(name: 'vast' | 'local' = 'vast') {
  const clock = new ManualClock();
  const store = createMemoryStore();
  let answer = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    answer = resolve;
  });
  let arrive = (): void => undefined;
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const cloud = createFakeProvider({
    clock,
    name,
    offers: [anOffer({ id: 'a', provider: name })],
    before: async (call) => {
      if (call !== 'createPod') return;
      arrive();
      await gate;
    },
  });
  const open = (processId: string) =>
    createLeaseBench({
      provider: cloud,
      store,
      clock,
      limits,
      processId,
      isAlive: (id) => id === 'first' || id === 'second',
    });
  return { clock, store, cloud, first: open('first'), second: open('second'), answer, arrived };
}
const handleIn = async ({ store }: ReturnType<typeof slowCreation>) => {
  const [lease] = await store.leases.list();
  return podIdSchema.parse(`${lease?.provider ?? ''}:${lease?.label ?? ''}`);
};

describe('a creation that ends late', () => {
  it('is ours again although a clock that jumped made others give it up [L-01] [CR-04]', async () => {
    const scene = slowCreation('local');
    const { clock, store, cloud, first, second } = scene;
    const creating = first.create({ offerIds: [offerIdSchema.parse('local:a')] });
    await scene.arrived;
    // A laptop slept: the creator is as alive as before, and its creation looks too old to be true.
    clock.advance(1000);
    await second.pods.list({ includeEnded: false }, second.options);
    expect((await store.leases.list())[0]).toMatchObject({ state: 'closed' });
    scene.answer();
    const outcome = await creating;
    const [lease, ...others] = await store.leases.list();
    expect(others).toEqual([]);
    expect(cloud.machines).toHaveLength(1);
    expect(lease).toMatchObject({ state: 'open', podId: 'local:1000' });
    expect(outcome).toMatchObject({ status: 'provisioning', pod: { podId: 'local:1000' } });
  });

  it('waits for the creator before it calls a pod gone that was destroyed meanwhile [TD-04]', async () => {
    const scene = slowCreation();
    const { store, cloud, first, second } = scene;
    const creating = first.create();
    await scene.arrived;
    const podId = await handleIn(scene);
    const seen = await second.pods.destroy(podId, { ...request, waitSeconds: 100 }, second.options);
    expect(seen).toMatchObject({ outcome: 'unknown' });
    scene.answer();
    expect(await creating).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
    expect(cloud.alive()).toEqual([]);
    expect((await store.leases.list())[0]).toMatchObject({ state: 'closed', podId: 'vast:1000' });
  });

  it('ends what a destroy before it meant, even when that was given up [TD-06]', async () => {
    const scene = slowCreation('local');
    const { clock, store, cloud, first, second } = scene;
    const creating = first.create({ offerIds: [offerIdSchema.parse('local:a')] });
    await scene.arrived;
    clock.advance(1000);
    const podId = await handleIn(scene);
    await second.pods.destroy(podId, { ...request, waitSeconds: 200 }, second.options);
    expect((await store.leases.list())[0]).toMatchObject({ state: 'closed' });
    scene.answer();
    const outcome = await creating;
    expect(cloud.machines).toHaveLength(1);
    expect(cloud.alive()).toEqual([]);
    expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
  });
});

it('an order that is carried out long after it was given up is found without anybody asking [OW-02]', async () => {
  const bench = createLeaseBench({ limits });
  bench.cloud.faults.loseRequests = 1;
  await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
  await bench.pods.reconcile(bench.options);
  bench.clock.advance(61);
  await bench.pods.reconcile(bench.options);
  const [given] = await bench.store.leases.list();
  expect(given?.state).toBe('closed');
  const late = bench.cloud.foreign(given?.label ?? '');
  const before = bench.cloud.calls.length;
  await bench.pods.reconcile(bench.options);
  expect(bench.cloud.calls.slice(before).filter((call) => call === 'listPods').length).toBe(0);
  bench.clock.advance(120);
  await bench.pods.reconcile(bench.options);
  expect((await bench.store.leases.list())[0]).toMatchObject({ state: 'open', podId: late });
  bench.clock.advance(7 * 3600);
  await bench.pods.enforce(bench.options);
  expect(bench.cloud.alive()).toEqual([]);
});

it.each(['list', 'reconcile'] as const)(
  'an answer of the cloud from before the end, read after it by another process, takes no end back: %s [TD-04] [CO-12]',
  async (way) => {
    const clock = new ManualClock();
    const store = createMemoryStore();
    const cloud = createFakeProvider({ clock });
    const first = createLeaseBench({ provider: cloud, store, clock, limits, processId: 'first' });
    const outcome = await first.create();
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const { podId } = outcome.pod;
    let isAsked = false;
    const slow = {
      ...cloud,
      listPods: async (options: Parameters<typeof cloud.listPods>[0]) => {
        const pods = await cloud.listPods(options);
        if (isAsked) return pods;
        isAsked = true;
        clock.advance(1);
        expect(await first.pods.destroy(podId, request, first.options)).toMatchObject({
          outcome: 'gone',
        });
        return pods;
      },
    };
    const second = createLeaseBench({ provider: slow, store, clock, limits, processId: 'second' });
    if (way === 'reconcile') await second.pods.reconcile(second.options);
    else {
      const { pods } = await second.pods.list({ includeEnded: false }, second.options);
      expect(pods.filter((pod) => pod.podId === podId)).toEqual([]);
    }
    expect(isAsked).toBe(true);
    // The same old answer, kept for a while.
    await second.pods.reconcile(second.options);
    const lease = (await store.leases.list()).find((one) => one.podId === podId);
    expect(lease?.state).toBe('closed');
    const log = (await store.log.list(podId)).map(({ kind }) => kind);
    expect(log).not.toContain('reopened');
    expect(await first.pods.receipt(podId)).toBeDefined();
  },
);

it('a receipt that spoke too early is replaced by the true one [RP-05]', async () => {
  const bench = createLeaseBench({ limits });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  bench.clock.advance(3600);
  await bench.pods.destroy(podId, request, bench.options);
  const early = await bench.pods.receipt(podId);
  for (const machine of bench.cloud.machines) machine.alive = true;
  bench.clock.advance(3600);
  await bench.pods.list({ includeEnded: false }, bench.options);
  await bench.pods.reconcile(bench.options);
  const late = await bench.pods.receipt(podId);
  expect(bench.cloud.alive()).toEqual([]);
  expect(Date.parse(late?.endedAt ?? '')).toBeGreaterThan(Date.parse(early?.endedAt ?? '') + 3e6);
  expect(late?.estimatedUsd).toBeGreaterThan((early?.estimatedUsd ?? 0) + 0.4);
});

it('a lease whose times cannot be read blocks spending instead of hiding from the limits [CO-12]', async () => {
  const bench = createLeaseBench({ limits: { ...limits, budgetUsd: 10 } });
  await bench.create();
  const [lease] = await bench.store.leases.list();
  if (lease === undefined) throw new Error('no lease');
  await bench.store.leases.put(lease.leaseId, { ...lease, deadlineAt: 'soon' });
  await expect(bench.create({ ttlMinutes: 60 })).rejects.toMatchObject({ code: 'budget_exceeded' });
  expect(bench.cloud.alive()).toHaveLength(1);
});

it('a pod that is gone already when it shall be stopped ends its lease, once [RE-19]', async () => {
  const bench = createLeaseBench({
    limits,
    cloud: {
      canStop: true,
      before: (call) => {
        if (call === 'stopPod') throw new Error('404');
      },
    },
  });
  const outcome = await bench.create({ ttlMinutes: 60, onExpiry: 'stop' });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  bench.cloud.vanish(outcome.pod.podId);
  bench.clock.advance(3600);
  expect(await bench.pods.enforce(bench.options)).toEqual([
    `${outcome.pod.podId}: gone already, its deadline has come.`,
  ]);
  expect(await bench.pods.enforce(bench.options)).toEqual([]);
  expect(await bench.pods.receipt(outcome.pod.podId)).toBeDefined();
});

it('a pod that failed says that it may go on costing money', async () => {
  const bench = createLeaseBench({ limits });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  for (const machine of bench.cloud.machines) machine.status = 'failed';
  const { pod } = await bench.pods.get(outcome.pod.podId, { waitSeconds: 0 }, bench.options);
  expect(pod).toMatchObject({ status: 'failed' });
  expect(pod.problem).toContain('may go on costing money');
});

it('two servers that enforce one deadline at once: one end, one receipt, one waiver [CO-05]', async () => {
  const clock = new ManualClock();
  const store = createMemoryStore();
  const cloud = createFakeProvider({ clock, canHoldDeadlines: false });
  const open = (processId: string) =>
    createLeaseBench({ provider: cloud, store, clock, limits, processId });
  const [one, two] = [open('one'), open('two')];
  const outcome = await one.create({ ttlMinutes: 60 });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  for (const machine of cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
  clock.advance(3600);
  await Promise.all([one.pods.enforce(one.options), two.pods.enforce(two.options)]);
  expect(cloud.alive()).toEqual([]);
  expect(await store.receipts.list()).toHaveLength(1);
  expect((await store.log.list()).filter(({ kind }) => kind === 'closed')).toHaveLength(1);
});

it.each([0.5, 1e-9])('a pod for %d minutes is refused in words that fit', async (ttlMinutes) => {
  const bench = createLeaseBench({ limits });
  await expect(bench.create({ ttlMinutes })).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining('ttlMinutes') as string,
  });
  expect(await bench.store.leases.list()).toEqual([]);
});

describe('a machine that no list showed for a while, and nobody calls a tool', () => {
  const rent = async (changes = {}) => {
    const bench = createLeaseBench({ limits });
    const outcome = await bench.create(changes);
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const { podId } = outcome.pod;
    const [machine] = bench.cloud.machines;
    if (machine === undefined) throw new Error('no machine');
    const lease = async () => (await bench.store.leases.list())[0];
    const listings = () => bench.cloud.calls.filter((call) => call === 'listPods').length;
    const round = async (seconds: number) => {
      bench.clock.advance(seconds);
      await bench.pods.reconcile(bench.options);
      return bench.pods.enforce(bench.options);
    };
    return { bench, podId, machine, lease, listings, round };
  };

  it('is ended again when its end was ordered [TD-06] [OW-02]', async () => {
    const { bench, podId, machine, lease, round } = await rent();
    await bench.pods.destroy(podId, request, bench.options);
    expect(await lease()).toMatchObject({ state: 'closed' });
    machine.alive = true;
    await round(61);
    expect(bench.cloud.alive()).toEqual([]);
    expect(await lease()).toMatchObject({ state: 'closed' });
    const said = (await bench.store.log.list(podId)).filter(({ kind }) => kind === 'reopened');
    expect(said.map(({ text }) => text)).toEqual([
      'It was seen after its lease was closed: ended again.',
    ]);
  });

  it('is ended when it shows again after an order to end it found nothing [TD-06]', async () => {
    const { bench, podId, machine, lease, round } = await rent();
    bench.clock.advance(120);
    machine.alive = false;
    const ended = await bench.pods.destroy(podId, request, bench.options);
    expect(ended).toMatchObject({ outcome: 'gone' });
    // Whoever shows nothing is ordered to end it all the same.
    expect(bench.cloud.calls.filter((call) => call === 'terminatePod')).toHaveLength(1);
    machine.alive = true;
    await round(61);
    expect(bench.cloud.alive()).toEqual([]);
    expect(await lease()).toMatchObject({ state: 'closed' });
  });

  it('is kept, and counted, when nobody ordered its end: what is on it may be the only copy [TD-01] [OW-02]', async () => {
    const { bench, podId, machine, lease, round } = await rent({ ttlMinutes: 90 });
    bench.clock.advance(120);
    machine.alive = false;
    await bench.pods.list({ includeEnded: false }, bench.options);
    expect(await lease()).toMatchObject({ state: 'closed' });
    machine.alive = true;
    await round(61);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(await lease()).toMatchObject({ state: 'open', podId });
    expect(await bench.pods.receipt(podId)).toBeUndefined();
    await round(89 * 60);
    expect(bench.cloud.alive()).toEqual([]);
    const receipt = await bench.pods.receipt(podId);
    expect(receipt?.runtimeSeconds).toBeGreaterThan(85 * 60);
  });

  it('is looked for once a minute, for an hour', async () => {
    const { bench, podId, listings, round } = await rent();
    await bench.pods.destroy(podId, request, bench.options);
    await round(1);
    const before = listings();
    for (let seconds = 0; seconds < 1200; seconds += 10) await round(10);
    expect(listings() - before).toBeGreaterThanOrEqual(18);
    expect(listings() - before).toBeLessThanOrEqual(21);
    for (let seconds = 0; seconds < 3600; seconds += 60) await round(60);
    const late = listings();
    await round(600);
    expect(listings()).toBe(late);
  });

  it('is found by a server that starts days later', async () => {
    const { bench, podId, machine, lease } = await rent();
    await bench.pods.destroy(podId, request, bench.options);
    bench.clock.advance(2 * 86_400);
    machine.alive = true;
    const { clock, store, cloud: provider } = bench;
    const next = createLeaseBench({ provider, store, clock, limits });
    await next.pods.reconcile(next.options);
    expect(bench.cloud.alive()).toEqual([]);
    expect(await lease()).toMatchObject({ state: 'closed', podId });
  });
});
