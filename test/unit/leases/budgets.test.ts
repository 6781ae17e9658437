import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { Lease, Terms } from '../../../src/core/lease.ts';
import type { Store } from '../../../src/core/store.ts';
import type { Limits } from '../../../src/leases/limits.ts';
import { TOOLS } from '../../../src/tools/index.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { aJob } from '../../support/fake-services.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const NO_END = '2999-01-01T00:00:00.000Z';
const end = { discardUnfetched: false, waitSeconds: 25 };
const refusedFor = (name: string) => ({
  code: 'budget_exceeded',
  message: expect.stringContaining(name) as string,
});

async function rented(
  options: Parameters<typeof createLeaseBench>[0] = {},
  terms: Partial<Terms> = {},
) {
  const bench = createLeaseBench({
    ...options,
    limits: { autoApproveUsd: 100, ...options.limits },
  });
  const outcome = await bench.create(terms);
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  return { bench, podId: outcome.pod.podId };
}
/** The same state and cloud, by a server that was started with other limits. */
const restarted = (bench: LeaseBench, limits: Limits): LeaseBench =>
  createLeaseBench({
    store: bench.store,
    provider: bench.cloud,
    clock: bench.clock,
    processId: 'next',
    limits: { autoApproveUsd: 100, ...limits },
  });
const firstLease = async (bench: LeaseBench): Promise<Lease> => {
  const [lease] = await bench.store.leases.list();
  if (lease === undefined) throw new Error('no lease');
  return lease;
};

describe('the budget of a day [CO-12]', () => {
  it('counts a lease over midnight in both days, each with its part', async () => {
    // From 22:00 to 04:00 at half a dollar an hour: one dollar today, two tomorrow.
    const clock = new ManualClock('2026-01-01T22:00:00.000Z');
    const { bench } = await rented({ clock, limits: { budgetDayUsd: 3.2 } });
    expect(await bench.create({ ttlMinutes: 119 })).toMatchObject({ status: 'ready' });
    await expect(bench.create()).rejects.toMatchObject(refusedFor('GPU_LEASE_BUDGET_DAY_USD'));
    await expect(bench.create()).rejects.toThrow('for 2026-01-02 (UTC)');
    expect(await bench.create({ ttlMinutes: 240 })).toMatchObject({ status: 'ready' });
    await expect(bench.create({ ttlMinutes: 119 })).rejects.toThrow('for 2026-01-01 (UTC)');
  });

  it('begins anew at midnight by UTC, and not a second before', async () => {
    const clock = new ManualClock('2026-01-01T12:00:00.000Z');
    const { bench, podId } = await rented(
      { clock, limits: { budgetDayUsd: 3.2 } },
      { ttlMinutes: 360 },
    );
    clock.advance(5 * 3600);
    await bench.pods.destroy(podId, end, bench.options);
    clock.advance((Date.parse('2026-01-01T23:58:00.000Z') - clock.now().getTime()) / 1000);
    const next = { ttlMinutes: 200 };
    const spent = await bench.create(next);
    expect(spent).toMatchObject({ status: 'ready' });
    if (spent.status !== 'ready') return;
    await bench.pods.destroy(spent.pod.podId, end, bench.options);
    await expect(bench.create({ ttlMinutes: 1440 })).rejects.toMatchObject(
      refusedFor('2026-01-02'),
    );
    clock.advance((Date.parse('2026-01-02T00:00:00.000Z') - clock.now().getTime()) / 1000);
    expect(await bench.create({ ttlMinutes: 380 })).toMatchObject({ status: 'ready' });
  });

  it('money that was spent today is not there again on the same day', async () => {
    const clock = new ManualClock('2026-01-01T01:00:00.000Z');
    const { bench, podId } = await rented({ clock, limits: { budgetDayUsd: 3.1 } });
    clock.advance(5 * 3600);
    await bench.pods.destroy(podId, end, bench.options);
    await expect(bench.create({ ttlMinutes: 120 })).rejects.toMatchObject(refusedFor('2026-01-01'));
    clock.advance(19 * 3600);
    expect(await bench.create({ ttlMinutes: 120 })).toMatchObject({ status: 'ready' });
  });
});

describe('a clock that is set back', () => {
  it.each([
    ['in all', { budgetUsd: 3.2 }],
    ['for the day', { budgetDayUsd: 3.2 }],
  ])('frees no money that was counted, %s', async (_what, limits) => {
    const clock = new ManualClock('2026-01-02T06:00:00.000Z');
    const { bench, podId } = await rented({ clock, limits });
    clock.advance(5 * 3600);
    await bench.pods.enforce(bench.options);
    const before = (await bench.pods.list({ includeEnded: true }, bench.options)).spentUsd;
    expect(before).toBeGreaterThan(2.5);
    clock.advance(-4.5 * 3600);
    await bench.pods.destroy(podId, end, bench.options);
    const after = (await bench.pods.list({ includeEnded: true }, bench.options)).spentUsd;
    expect(after).toBeCloseTo(before, 2);
    await expect(bench.create({ ttlMinutes: 120 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
    // On the day before, too: what is on the books of a day that has not come counts.
    clock.advance(-20 * 3600);
    await expect(bench.create({ ttlMinutes: 120 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
  });
});

describe('money that is reserved', () => {
  it('is the whole rest of a lease that may exist although nobody knows [CR-04]', async () => {
    const bench = createLeaseBench({ limits: { budgetUsd: 4, autoApproveUsd: 100 } });
    bench.cloud.faults.loseRequests = 1;
    await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
    await expect(bench.create()).rejects.toMatchObject({ code: 'budget_exceeded' });
    bench.clock.advance(61);
    await bench.pods.reconcile(bench.options);
    bench.clock.advance(61);
    await bench.pods.reconcile(bench.options);
    expect((await firstLease(bench)).state).toBe('closed');
    expect(await bench.create()).toMatchObject({ status: 'ready' });
  });

  it('is a day of its disk where a pod only stops, also when its deadline is over', async () => {
    const offers = [anOffer({ usdPerHourStopped: 0.1 })];
    const stopping = { ttlMinutes: 60, onExpiry: 'stop' } as const;
    const cloud = { canStop: true, offers };
    // 0.50 until the deadline, 2.40 for a day of the disk.
    await expect(rented({ cloud, limits: { budgetUsd: 2.8 } }, stopping)).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
    const { bench } = await rented({ cloud, limits: { budgetUsd: 3.5 } }, stopping);
    await expect(bench.create({ ttlMinutes: 90 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
    bench.clock.advance(2 * 3600);
    await bench.pods.enforce(bench.options);
    await expect(bench.create({ ttlMinutes: 90 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
  });

  it('stays reserved while the pod is stopped: its start takes nothing from anybody', async () => {
    const { bench, podId } = await rented({ cloud: { canStop: true }, limits: { budgetUsd: 4 } });
    await bench.pods.update(podId, { action: 'stop' }, bench.options);
    await expect(bench.create()).rejects.toMatchObject({ code: 'budget_exceeded' });
    const { pod } = await bench.pods.update(podId, { action: 'start' }, bench.options);
    expect(pod.status).not.toBe('stopped');
  });

  it.each([
    ['GPU_LEASE_BUDGET_USD', { budgetUsd: 2 }],
    ['GPU_LEASE_BUDGET_DAY_USD', { budgetDayUsd: 2 }],
    ['GPU_LEASE_BUDGET_POD_USD', { budgetPodUsd: 2 }],
    ['GPU_LEASE_MAX_USD_PER_HOUR', { maxUsdPerHour: 0.4 }],
  ])('%s that was lowered forbids a start', async (name, limits) => {
    const { bench, podId } = await rented({ cloud: { canStop: true } });
    await bench.pods.update(podId, { action: 'stop' }, bench.options);
    const next = restarted(bench, limits);
    await expect(next.pods.update(podId, { action: 'start' }, next.options)).rejects.toMatchObject(
      refusedFor(name),
    );
    expect(bench.cloud.calls).not.toContain('startPod');
  });

  it('that a shortening freed and another rent took is not taken back by a change that began before', async () => {
    const { bench, podId } = await rented({ limits: { budgetUsd: 3.1 } });
    const [first] = bench.cloud.machines;
    // While this change is being decided, another process shortens the lease, and a third spends what that freed.
    const transaction = bench.store.transaction.bind(bench.store);
    let isFirst = true;
    const racing = restarted(bench, { budgetUsd: 3.1 });
    Object.assign(bench.store, {
      transaction: async (work: Parameters<Store['transaction']>[0]) => {
        if (isFirst) {
          isFirst = false;
          await racing.pods.update(podId, { ttlMinutes: 10 }, racing.options);
          expect(await racing.create({ ttlMinutes: 300 })).toMatchObject({ status: 'ready' });
        }
        return transaction(work);
      },
    });
    await expect(
      bench.pods.update(podId, { ttlMinutes: 355 }, bench.options),
    ).rejects.toMatchObject({ code: 'budget_exceeded' });
    const deadline = Date.parse((await firstLease(bench)).deadlineAt);
    expect(deadline - bench.clock.now().getTime()).toBeLessThanOrEqual(600_000);
    expect(first?.alive).toBe(true);
  });
});

describe('the budget of one pod [CO-12]', () => {
  it('refuses what costs more, however much it is agreed to, and longer time too', async () => {
    const { bench, podId } = await rented(
      { limits: { budgetPodUsd: 2 } },
      { ttlMinutes: 180, budgetUsd: 1.9 },
    );
    await expect(bench.create({ ttlMinutes: 360 })).rejects.toMatchObject(
      refusedFor('GPU_LEASE_BUDGET_POD_USD'),
    );
    for (const change of [
      { ttlMinutes: 300, budgetUsd: 50 },
      { ttlMinutes: 3000, budgetUsd: 2.6 },
    ])
      await expect(bench.pods.update(podId, change, bench.options)).rejects.toMatchObject(
        refusedFor('GPU_LEASE_BUDGET_POD_USD'),
      );
  });

  it.each([
    ['too dear for what is left', 2.4, 1],
    ['within what is left', 2.6, 2],
  ])(
    'counts what the failed pods before it cost: the next is %s',
    async (_what, budgetPodUsd, pods) => {
      const offers = [anOffer({ id: 'a', usdPerHour: 0.5 }), anOffer({ id: 'b', usdPerHour: 1.5 })];
      const bench = createLeaseBench({
        limits: { budgetPodUsd, autoApproveUsd: 100 },
        cloud: { offers },
      });
      bench.cloud.faults.neverBoots = true;
      const offerIds = offers.map(({ offerId }) => offerId);
      const outcome = await bench.create({ offerIds, ttlMinutes: 120 }, 10);
      expect(outcome.status).toBe('provisioning');
      // A quarter of a dollar for half an hour of nothing; the other would cost 2.25 until the deadline.
      bench.clock.advance(1800);
      for (const machine of bench.cloud.machines) machine.status = 'failed';
      await bench.pods.tend(bench.options);
      expect(bench.cloud.machines).toHaveLength(pods);
      expect(bench.cloud.machines[0]?.alive).toBe(false);
    },
  );
});

describe('at 80 % [CO-03]', () => {
  const spending = { ttlMinutes: 360 };
  it.each([
    ['its own budget', {}, { budgetUsd: 3 }, 'of the budget of $3.00 of vast:1000'],
    ['the total', { budgetUsd: 3 }, {}, 'GPU_LEASE_BUDGET_USD ($3.00 in all)'],
    ['the day', { budgetDayUsd: 3 }, {}, 'GPU_LEASE_BUDGET_DAY_USD ($3.00 for 2026-01-01, UTC)'],
    ['one pod', { budgetPodUsd: 3 }, {}, 'GPU_LEASE_BUDGET_POD_USD ($3.00 for one pod)'],
  ])(
    '%s is warned of for the pod, its jobs and its sessions',
    async (_what, limits, terms, words) => {
      const { bench, podId } = await rented({ limits }, { ...spending, ...terms });
      const warnings = async (...ids: string[]) => (await bench.pods.warnings?.(ids)) ?? [];
      bench.clock.advance(4.7 * 3600);
      await bench.pods.used?.([podId]);
      expect(await warnings(podId)).toEqual([]);
      bench.clock.advance(0.11 * 3600);
      await bench.store.jobs.put('job_a', aJob({ podId, artifacts: [] }));
      await bench.store.sessions.put('ses_a', { podId } as never);
      for (const id of [podId, 'job_a', 'ses_a']) {
        const said = await warnings(id, id);
        expect(said).toHaveLength(1);
        expect(said[0]).toContain(words);
        expect(said[0]).toContain('destroyed at 2026-01-01T06:');
      }
      expect(await warnings('vast:other', 'job_other', 'ssh:mine')).toEqual([]);
      await bench.pods.destroy(podId, end, bench.options);
      bench.clock.advance(6);
      expect(await warnings(podId)).toEqual([]);
    },
  );

  it('says nothing while the state cannot be read: the result stands without it', async () => {
    const { bench, podId } = await rented({ limits: { budgetUsd: 3 } });
    bench.clock.advance(5 * 3600);
    await bench.pods.used?.([podId]);
    const list = bench.store.leases.list.bind(bench.store.leases);
    Object.assign(bench.store.leases, { list: async () => Promise.reject(new Error('no')) });
    expect(await bench.pods.warnings?.([podId])).toEqual([]);
    Object.assign(bench.store.leases, { list });
    expect(await bench.pods.warnings?.([podId])).toHaveLength(1);
  });
});

describe('at 100 % [CO-03] [L-33]', () => {
  it('a limit that was lowered ends every paid pod, after a grace in which results can be saved', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 600 });
    const second = await bench.create({ ttlMinutes: 600 });
    if (second.status !== 'ready') throw new Error(second.status);
    bench.clock.advance(3600);
    const { pods, options } = restarted(bench, { budgetUsd: 0.5 });
    const [said] = await pods.enforce(options);
    expect(said).toContain('GPU_LEASE_BUDGET_USD ($0.50 in all) is as good as spent');
    expect((await pods.warnings?.([podId]))?.[0]).toContain((await firstLease(bench)).budgetEndAt);
    for (let seconds = 0; seconds < 90; seconds += 10) {
      expect(await pods.enforce(options)).toEqual([]);
      bench.clock.advance(10);
    }
    expect(bench.cloud.alive()).toHaveLength(2);
    bench.clock.advance(30);
    expect((await pods.enforce(options))[0]).toContain('destroyed, GPU_LEASE_BUDGET_USD');
    expect(bench.cloud.alive()).toEqual([]);
    expect(bench.world.farewells).toEqual([]);
    expect(await pods.receipt(podId)).toMatchObject({ podId });
  });

  it('is over before the money is when it comes by itself', async () => {
    const { bench } = await rented({ cloud: { canHoldDeadlines: false } }, { ttlMinutes: 600 });
    for (const machine of bench.cloud.machines) machine.deadlineAt = NO_END;
    const next = restarted(bench, { budgetDayUsd: 2 });
    let said: string[] = [];
    for (let seconds = 0; seconds < 4.2 * 3600 && bench.cloud.alive().length > 0; seconds += 10) {
      bench.clock.advance(10);
      said = [...said, ...(await next.pods.enforce(next.options))];
    }
    expect(said.at(-1)).toContain('destroyed, GPU_LEASE_BUDGET_DAY_USD');
    const { spentUsd } = await next.pods.list({ includeEnded: true }, next.options);
    expect(spentUsd).toBeLessThanOrEqual(2);
    expect(spentUsd).toBeGreaterThan(1.98);
  });

  it('the word is taken back when the limit was raised or another day has begun', async () => {
    const { bench } = await rented({}, { ttlMinutes: 600 });
    bench.clock.advance(3600);
    const low = restarted(bench, { budgetUsd: 0.5 });
    await low.pods.enforce(low.options);
    expect((await firstLease(bench)).budgetEndAt).toBeDefined();
    const raised = restarted(bench, { budgetUsd: 50 });
    await raised.pods.enforce(raised.options);
    expect((await firstLease(bench)).budgetEndAt).toBeUndefined();
    bench.clock.advance(600);
    await raised.pods.enforce(raised.options);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('a pod that was agreed to stop is stopped, once; its disk stays', async () => {
    const { bench } = await rented(
      { cloud: { canStop: true } },
      { ttlMinutes: 600, onExpiry: 'stop' },
    );
    bench.clock.advance(3600);
    const { pods, options } = restarted(bench, { budgetUsd: 0.5 });
    await pods.enforce(options);
    bench.clock.advance(121);
    expect((await pods.enforce(options))[0]).toContain('stopped, GPU_LEASE_BUDGET_USD');
    bench.clock.advance(600);
    expect(await pods.enforce(options)).toEqual([]);
    expect(bench.cloud.calls.filter((call) => call === 'stopPod')).toHaveLength(1);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('a free pod is never ended for money', async () => {
    const offers = [anOffer({ usdPerHour: 0, usdPerHourStopped: 0 })];
    const { bench } = await rented({ cloud: { offers } });
    const { pods, options } = restarted(bench, { budgetUsd: 0, budgetDayUsd: 0, budgetPodUsd: 0 });
    bench.clock.advance(300);
    expect(await pods.enforce(options)).toEqual([]);
    bench.clock.advance(300);
    expect(await pods.enforce(options)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
  });
});

describe('a limit of the person', () => {
  it('is lifted by nothing that an agent or a form can say', async () => {
    const limits = {
      budgetUsd: 3.5,
      budgetDayUsd: 3.5,
      budgetPodUsd: 3.5,
      maxUsdPerHour: 0.6,
      maxPods: 1,
    };
    const offers = [
      anOffer({ id: 'a' }),
      anOffer({ id: 'spot', pricing: 'interruptible', usdPerHour: 0.3 }),
    ];
    const { bench, podId } = await rented({
      limits,
      cloud: { offers, canBid: true, canStop: true },
    });
    const spot = { offerIds: [anOffer({ id: 'spot' }).offerId], bidUsdPerHour: 0.2 };
    const wishes: readonly Partial<Terms>[] = [
      {},
      { budgetUsd: 1_000_000 },
      { ttlMinutes: 1, expectedHours: 0.01 },
      { maxAttempts: 99, budgetUsd: 0.01, ttlMinutes: 1 },
      spot,
    ];
    for (const wish of wishes)
      await expect(bench.create(wish)).rejects.toMatchObject({ code: 'budget_exceeded' });
    const foreign = bench.cloud.foreign('mine', 0.01);
    for (const change of [
      { budgetUsd: 1_000_000, ttlMinutes: 100_000 },
      { ttlMinutes: 2000 },
      { ttlMinutes: 431 },
    ])
      await expect(bench.pods.update(podId, change, bench.options)).rejects.toMatchObject({
        code: 'budget_exceeded',
      });
    await expect(
      bench.pods.update(foreign, { adopt: true, budgetUsd: 1_000_000 }, bench.options),
    ).rejects.toMatchObject({ code: 'budget_exceeded' });
    expect(bench.cloud.calls.filter((call) => call === 'createPod')).toHaveLength(1);
    expect(bench.cloud.calls).not.toContain('setDeadline');
  });

  it('has no name among the parameters of the tools', () => {
    const names = TOOLS.flatMap(({ name, input }) =>
      Object.keys(input.shape).map((parameter) => `${name}.${parameter}`),
    );
    expect(names.length).toBeGreaterThan(50);
    // Of one pod, which only binds it tighter, and of a search, which only narrows it.
    expect(names.filter((name) => /budget|max(?:Usd|Pods)|approve|limit/i.test(name))).toEqual([
      'find_offer.maxUsdPerHour',
      'find_offer.limit',
      'create_pod.budgetUsd',
      'update_pod.budgetUsd',
    ]);
  });
});

describe('limits in the list', () => {
  it('are all that are set, with what is used of each, over all clouds', async () => {
    const limits = { maxPods: 2, maxUsdPerHour: 1, budgetUsd: 9, budgetDayUsd: 5, budgetPodUsd: 4 };
    const { bench } = await rented({ limits });
    const seen = await bench.pods.list({ provider: 'lambda', includeEnded: false }, bench.options);
    expect(seen.limits).toEqual([
      { name: 'GPU_LEASE_MAX_PODS', limit: 2, used: 1, scope: 'pods' },
      { name: 'GPU_LEASE_MAX_USD_PER_HOUR', limit: 1, used: 0.5, scope: 'an hour' },
      { name: 'GPU_LEASE_BUDGET_POD_USD', limit: 4, used: 3, scope: 'by the dearest pod' },
      {
        name: 'GPU_LEASE_BUDGET_DAY_USD',
        limit: 5,
        used: 3,
        scope: 'spent or reserved for 2026-01-01 (UTC)',
      },
      { name: 'GPU_LEASE_BUDGET_USD', limit: 9, used: 3, scope: 'spent or reserved in all' },
    ]);
    const night = createLeaseBench({ limits: { budgetDayUsd: 50, autoApproveUsd: 50 } });
    night.clock.advance(20 * 3600);
    await night.create({ ttlMinutes: 360 });
    const late = await night.pods.list({ includeEnded: false }, night.options);
    expect(late.limits?.map(({ name, scope }) => `${name} ${scope}`)).toContain(
      'GPU_LEASE_BUDGET_DAY_USD spent or reserved for 2026-01-02 (UTC)',
    );
    const none = restarted(bench, {});
    expect(await none.pods.list({ includeEnded: false }, none.options)).not.toHaveProperty(
      'limits',
    );
  });
});

describe('reconcile [OW-02]', () => {
  it('ends the lease of a pod that is gone without anybody asking, and gives its money back', async () => {
    const { bench, podId } = await rented({ limits: { budgetUsd: 3.1 } });
    bench.clock.advance(120);
    bench.cloud.vanish(podId);
    await expect(bench.create({ ttlMinutes: 60 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
    await bench.pods.reconcile(bench.options);
    expect(await firstLease(bench)).toMatchObject({
      state: 'closed',
      failure: 'It was ended outside of this server.',
    });
  });

  it('asks each cloud for one list a minute, and takes no silence for an end [TD-05]', async () => {
    const { bench, podId } = await rented();
    await bench.create();
    bench.clock.advance(120);
    bench.cloud.vanish(podId);
    bench.cloud.faults.listFails = 1;
    await bench.pods.reconcile(bench.options);
    expect((await firstLease(bench)).state).toBe('open');
    const before = bench.cloud.calls.length;
    for (let round = 0; round < 5; round += 1) {
      await bench.pods.reconcile(bench.options);
      bench.clock.advance(10);
    }
    expect(bench.cloud.calls.length).toBe(before);
    bench.clock.advance(10);
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list()).map(({ state }) => state)).toEqual(['closed', 'open']);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('touches no machine that no lease speaks of, whoever gave it a label of ours [OW-03]', async () => {
    const { bench } = await rented();
    const orphan = bench.cloud.foreign('gl-from-another-machine', 2);
    for (let round = 0; round < 3; round += 1) {
      bench.clock.advance(120);
      await bench.pods.reconcile(bench.options);
      await bench.pods.enforce(bench.options);
      await bench.pods.tend(bench.options);
    }
    expect(bench.cloud.alive().map(({ podId }) => podId)).toContain(orphan);
    expect(await bench.store.leases.list()).toHaveLength(1);
    await expect(bench.pods.destroy(orphan, end, bench.options)).rejects.toMatchObject({
      code: 'not_owned',
    });
    // Only by its own name.
    const other = podIdSchema.parse('vast:4242');
    await expect(bench.pods.update(other, { adopt: true }, bench.options)).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await bench.store.leases.list()).toHaveLength(1);
  });

  it('what could not be ended stands first, whatever else is wrong [TD-12]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.terminateFails = 999;
    bench.clock.advance(60);
    await bench.pods.destroy(podId, { ...end, waitSeconds: 0 }, bench.options);
    bench.clock.advance(200);
    bench.cloud.faults.bootFails = 1;
    await bench.create({ maxAttempts: 1 });
    await bench.create();
    bench.cloud.foreign('gl-orphan', 2);
    const { pods } = await bench.pods.list({ includeEnded: true }, bench.options);
    expect(pods.length).toBeGreaterThan(2);
    expect(pods[0]).toMatchObject({ podId, status: 'cleanup_failed' });
  });
});
