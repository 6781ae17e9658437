import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import { type PodId, sessionIdSchema } from '../../../src/core/ids.ts';
import type { Lease, Terms } from '../../../src/core/lease.ts';
import type { Pod } from '../../../src/core/pods.ts';
import type { SessionRecord } from '../../../src/core/session.ts';
import { createBootLogs } from '../../../src/leases/boot-log.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const refused = new RemoteError('ssh_refused', 'denied');
const three = [
  anOffer({ id: 'a', machineId: 'm-a' }),
  anOffer({ id: 'b', machineId: 'm-b', usdPerHour: 0.6 }),
  anOffer({ id: 'c', machineId: 'm-c', usdPerHour: 0.7 }),
];
const offerIds = ['vast:a', 'vast:b', 'vast:c'] as unknown as Terms['offerIds'];

/** A pod that lets nobody in, rented by a caller who did not wait. */
async function stuck(bench: LeaseBench, changes: Partial<Terms> = {}): Promise<PodId> {
  bench.world.ssh = refused;
  const outcome = await bench.create({ offerIds, ...changes }, 0);
  if (outcome.status !== 'provisioning') throw new Error(outcome.status);
  return outcome.pod.podId;
}
/** Time enough for the pod to be given up, and one round of a server. */
async function giveUp(bench: LeaseBench): Promise<void> {
  bench.clock.advance(61);
  await bench.pods.tend(bench.options);
}
/** The next server after one that died as it asked what the next candidate costs, its failed pod being gone. */
async function diedBetweenEndAndOrder(bench: LeaseBench): Promise<LeaseBench> {
  bench.clock.advance(61);
  const dying = createLeaseBench({
    provider: { ...bench.cloud, listOffers: async () => new Promise<never>(() => undefined) },
    store: bench.store,
    clock: bench.clock,
  });
  dying.world.ssh = refused;
  void dying.pods.tend(dying.options);
  await expect.poll(async () => (await leases(bench))[0]?.state).toBe('closed');
  return createLeaseBench({
    provider: bench.cloud,
    store: bench.store,
    clock: bench.clock,
    processId: 'next',
  });
}
const request = { discardUnfetched: false, waitSeconds: 25 };
const leases = async (bench: LeaseBench): Promise<readonly Lease[]> => bench.store.leases.list();
const benchOf = (options: Parameters<typeof createLeaseBench>[0] = {}): LeaseBench =>
  createLeaseBench({ ...options, cloud: { offers: three, bootSeconds: 0, ...options.cloud } });

describe('a pod that fails before it was ever ready, with nobody waiting', () => {
  it('is ended, proven gone and replaced by the next candidate [CR-05] [OF-23] [L-08]', async () => {
    const bench = benchOf();
    const old = await stuck(bench);
    expect(bench.cloud.machines).toHaveLength(1);
    await giveUp(bench);
    expect(bench.cloud.machines.map(({ alive }) => alive)).toEqual([false, true]);
    const [first, second] = await leases(bench);
    expect(first).toMatchObject({
      state: 'closed',
      failure: 'The pod refuses our SSH key.',
      replacedBy: `vast:${second?.label ?? ''}`,
    });
    expect(second).toMatchObject({
      state: 'open',
      replaces: old,
      approvedBy: 'form',
      name: first?.name,
      attempts: [{ offerId: 'vast:a', podId: old, stage: 'banner', cleanup: 'gone', seconds: 61 }],
    });
    expect(bench.asked).toHaveLength(1);
  });

  it('says so from the moment it failed, and in every list until the other is there', async () => {
    const bench = benchOf();
    const podId = await stuck(bench);
    bench.clock.advance(61);
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod).toMatchObject({ status: 'failed', isBeingReplaced: true });
    await giveUp(bench);
    const { pods } = await bench.pods.list({ includeEnded: true }, bench.options);
    expect(pods.map(({ isBeingReplaced }) => isBeingReplaced)).toEqual([undefined, undefined]);
  });

  it('is followed by whoever waits for it, and names the other when it is looked at', async () => {
    const bench = benchOf();
    const old = await stuck(bench);
    await giveUp(bench);
    bench.world.ssh = undefined;
    const wait = { waitFor: 'ready' as const, waitSeconds: 45 };
    const { pod, reached } = await bench.pods.get(old, wait, bench.options);
    expect([pod.status, reached, pod.replaces]).toEqual(['ready', true, old]);
    const { pod: before } = await bench.pods.get(old, { waitSeconds: 0 }, bench.options);
    expect(before).toMatchObject({ podId: old, status: 'gone', replacedBy: pod.podId });
    const { pods } = await bench.pods.list({ includeEnded: true }, bench.options);
    expect(pods.find(({ podId }) => podId === old)?.replacedBy).toBe(pod.podId);
  });

  it('keeps its waiters while the replacement is being made', async () => {
    const bench = benchOf();
    const old = await stuck(bench);
    const wait = { waitFor: 'ready' as const, waitSeconds: 200 };
    const waiting = bench.pods.get(old, wait, bench.options);
    // The server's own rounds go on meanwhile, and the second pod is a good one.
    const state = { isOver: false };
    void waiting.finally(() => {
      state.isOver = true;
    });
    while (!state.isOver) {
      await bench.pods.tend(bench.options);
      if (bench.cloud.machines.length > 1) bench.world.ssh = undefined;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await waiting).pod).toMatchObject({ status: 'ready', replaces: old });
  });

  it('is replaced at most as often as was agreed, and then ended', async () => {
    const bench = benchOf();
    await stuck(bench, { maxAttempts: 2 });
    for (let round = 0; round < 5; round += 1) await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(2);
    expect(bench.cloud.alive()).toEqual([]);
    expect((await leases(bench)).map(({ state }) => state)).toEqual(['closed', 'closed']);
  });

  it('leaves no machine behind when no candidate is left', async () => {
    const bench = benchOf();
    await stuck(bench, { offerIds: offerIds.slice(0, 1) });
    await giveUp(bench);
    expect(bench.cloud.alive()).toEqual([]);
    expect((await leases(bench)).map(({ state }) => state)).toEqual(['closed']);
  });

  it('is replaced by nothing dearer than was agreed', async () => {
    const bench = benchOf();
    await stuck(bench);
    bench.cloud.faults.dearer = 0.05;
    await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('passes over what is not sold or refused, and says so in the next', async () => {
    const bench = benchOf();
    await stuck(bench);
    bench.cloud.offersAre([three[0], three[2]].flatMap((offer) => offer ?? []));
    await giveUp(bench);
    const last = (await leases(bench)).at(-1);
    expect(last?.offer.offerId).toBe('vast:c');
    expect(last?.attempts).toMatchObject([{ offerId: 'vast:a' }, { offerId: 'vast:b' }]);
    const other = benchOf();
    await stuck(other);
    other.cloud.faults.noCapacity = 1;
    await giveUp(other);
    const after = (await leases(other)).at(-1);
    expect(after?.attempts.map(({ cleanup }) => cleanup)).toEqual(['gone', 'nothing_created']);
    expect(after?.replaces).toBe('vast:1000');
  });

  it('hands on deadline and budget, and takes what it cost from them [CO-12]', async () => {
    const bench = benchOf();
    const old = await stuck(bench, { ttlMinutes: 120, budgetUsd: 1 });
    await bench.pods.update(old, { name: 'mine' }, bench.options);
    await giveUp(bench);
    const [first, second] = await leases(bench);
    const hours = (second?.budgetUsd ?? 0) / 0.6;
    const paidUntil = Date.parse(second?.createdAt ?? '') + hours * 3_600_000;
    expect(Date.parse(second?.deadlineAt ?? '')).toBeCloseTo(paidUntil, -1);
    expect(second?.name).toBe('mine');
    expect((second?.budgetUsd ?? 0) + (first?.accruedUsd ?? 0)).toBeCloseTo(1, 6);
    expect(Date.parse(second?.deadlineAt ?? '')).toBeLessThan(Date.parse(first?.deadlineAt ?? ''));
  });

  it('is not replaced when the deadline leaves no time', async () => {
    const bench = benchOf();
    await stuck(bench, { ttlMinutes: 2 });
    bench.clock.advance(61);
    await bench.pods.tend(bench.options);
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('is not replaced where the limits forbid it', async () => {
    const bench = benchOf({ limits: { maxUsdPerHour: 0.55 } });
    await stuck(bench);
    await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('with an image that cannot be had is ended, and tried on no other host [RE-10]', async () => {
    const bench = benchOf();
    bench.cloud.faults.bootFails = 9;
    bench.cloud.faults.bootProblem = { blame: 'image', problem: 'The image does not exist.' };
    const outcome = await bench.create({ offerIds }, 25);
    expect(outcome).toMatchObject({
      status: 'failed',
      attempts: [{ reason: 'The image does not exist.', cleanup: 'gone' }],
    });
    expect(bench.cloud.machines).toHaveLength(1);
    await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
  });
});

describe('a failed pod that cannot be proven gone', () => {
  it('stops everything, and stands first in every list as cleanup_failed [TD-12]', async () => {
    const bench = benchOf();
    const old = await stuck(bench);
    bench.cloud.faults.terminateFails = 999;
    await giveUp(bench);
    bench.clock.advance(181);
    await bench.pods.tend(bench.options);
    expect(bench.cloud.machines).toHaveLength(1);
    bench.cloud.foreign('other');
    const { pods } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(pods[0]).toMatchObject({ podId: old, status: 'cleanup_failed' });
    const { pod } = await bench.pods.get(old, { waitSeconds: 0 }, bench.options);
    expect(pod.problem).toContain('no other is rented');
    bench.cloud.faults.terminateFails = 0;
    await bench.pods.reconcile(bench.options);
    for (let round = 0; round < 3; round += 1) await giveUp(bench);
    expect(bench.cloud.machines.filter(({ request }) => request.label !== 'other')).toHaveLength(1);
  });
});

describe('what is never taken away', () => {
  it('a pod that was ready once', async () => {
    const bench = benchOf();
    await bench.create({ offerIds });
    bench.world.ssh = refused;
    for (let round = 0; round < 3; round += 1) await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('a pod that somebody works on already', async () => {
    const bench = benchOf();
    const podId = await stuck(bench);
    const sessionId = sessionIdSchema.parse('ses_abcdefgh');
    const record: Partial<SessionRecord> = { sessionId, podId };
    await bench.store.sessions.put(sessionId, record as SessionRecord);
    await giveUp(bench);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect((await leases(bench)).map(({ state }) => state)).toEqual(['open']);
    // Nobody is told to wait for another that never comes.
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod.status).toBe('failed');
    expect(pod.isBeingReplaced).toBeUndefined();
  });

  it('a pod that the user stopped and started', async () => {
    const bench = benchOf({ cloud: { canStop: true } });
    const podId = await stuck(bench);
    await bench.pods.update(podId, { action: 'stop' }, bench.options);
    await giveUp(bench);
    await bench.pods.update(podId, { action: 'start' }, bench.options);
    await giveUp(bench);
    await giveUp(bench);
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod.isBeingReplaced).toBeUndefined();
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('a machine that was adopted', async () => {
    const bench = benchOf();
    const podId = bench.cloud.foreign('of the user');
    await bench.pods.update(podId, { adopt: true }, bench.options);
    bench.world.ssh = refused;
    for (let round = 0; round < 3; round += 1) await giveUp(bench);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(bench.cloud.calls).not.toContain('terminatePod');
  });

  it('nothing takes the place of a pod that somebody ended by hand [RE-19]', async () => {
    const bench = benchOf();
    const podId = await stuck(bench);
    bench.clock.advance(61);
    bench.cloud.vanish(podId);
    for (let round = 0; round < 3; round += 1) await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
    const wait = { waitFor: 'ready' as const, waitSeconds: 45 };
    const { pod, reached } = await bench.pods.get(podId, wait, bench.options);
    expect([pod.status, reached]).toEqual(['gone', false]);
  });
});

describe('destroy', () => {
  it('of a pod on its way wants no other in its place', async () => {
    const bench = benchOf();
    const podId = await stuck(bench);
    expect(await bench.pods.destroy(podId, request, bench.options)).toMatchObject({
      outcome: 'gone',
    });
    for (let round = 0; round < 3; round += 1) await giveUp(bench);
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('of a pod that was replaced ends the one in its place', async () => {
    const bench = benchOf();
    const old = await stuck(bench);
    await giveUp(bench);
    expect(bench.cloud.alive()).toHaveLength(1);
    const outcome = await bench.pods.destroy(old, request, bench.options);
    expect(outcome).toMatchObject({ outcome: 'gone', receipt: { podId: 'vast:1001' } });
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('of a pod that is gone and not replaced yet calls the replacement off', async () => {
    const bench = benchOf();
    const podId = await stuck(bench);
    const next = await diedBetweenEndAndOrder(bench);
    const before = await next.pods.list({ includeEnded: false }, next.options);
    expect(before.pods).toMatchObject([{ podId, status: 'gone', isBeingReplaced: true }]);
    const { pod } = await next.pods.get(podId, { waitSeconds: 0 }, next.options);
    expect(pod.isBeingReplaced).toBe(true);
    expect(await next.pods.destroy(podId, request, next.options)).toMatchObject({
      outcome: 'gone',
      receipt: { podId },
    });
    const after = await next.pods.list({ includeEnded: false }, next.options);
    expect(after.pods).toEqual([]);
    bench.clock.advance(30);
    await next.pods.tend(next.options);
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('while the replacement is being ordered leaves nothing', async () => {
    let destroy = async (): Promise<unknown> => Promise.resolve();
    const ends: Promise<unknown>[] = [];
    let isArmed = false;
    const bench = benchOf({
      cloud: {
        before: (call) => {
          if (call !== 'createPod' || !isArmed) return;
          isArmed = false;
          ends.push(destroy());
        },
      },
    });
    bench.world.ssh = refused;
    const outcome = await bench.create({ offerIds }, 0);
    if (outcome.status !== 'provisioning') throw new Error(outcome.status);
    isArmed = true;
    destroy = async () => bench.pods.destroy(outcome.pod.podId, request, bench.options);
    await giveUp(bench);
    expect(ends).toHaveLength(1);
    await Promise.all(ends);
    for (let round = 0; round < 3; round += 1) {
      await bench.pods.reconcile(bench.options);
      await giveUp(bench);
    }
    expect(bench.cloud.machines.length).toBeLessThanOrEqual(2);
    expect(bench.cloud.alive()).toEqual([]);
  });
});

describe('several servers', () => {
  it('never replace one pod twice', async () => {
    const bench = benchOf();
    await stuck(bench);
    bench.clock.advance(61);
    const others = ['second', 'third'].map((processId) => {
      const other = createLeaseBench({
        provider: bench.cloud,
        store: bench.store,
        clock: bench.clock,
        processId,
        isAlive: () => true,
      });
      other.world.ssh = refused;
      return other;
    });
    await Promise.all([bench, ...others].map(async ({ pods, options }) => pods.tend(options)));
    expect(bench.cloud.machines.map(({ alive }) => alive)).toEqual([false, true]);
    const open = (await leases(bench)).filter(({ state }) => state === 'open');
    expect(open.map(({ podId }) => podId)).toEqual(['vast:1001']);
  });

  it('go on where one died between end and order, for ten minutes', async () => {
    for (const [waitSeconds, machines] of [
      [30, 2],
      [601, 1],
    ] as const) {
      const bench = benchOf();
      await stuck(bench);
      const next = await diedBetweenEndAndOrder(bench);
      bench.clock.advance(waitSeconds);
      await next.pods.tend(next.options);
      expect(bench.cloud.machines).toHaveLength(machines);
      expect(bench.cloud.alive()).toHaveLength(machines - 1);
    }
  });
});

it('a replacement that takes so long that the lists say nothing follows is not made any more', async () => {
  let sleep = (): void => undefined;
  const bench = benchOf({
    cloud: {
      before: (call) => {
        if (call === 'listOffers' || call === 'getOffer') sleep();
      },
    },
  });
  const podId = await stuck(bench);
  // The laptop is closed while the next candidate is priced.
  sleep = () => {
    bench.clock.advance(601);
  };
  await giveUp(bench);
  expect(bench.cloud.machines).toHaveLength(1);
  expect(bench.cloud.alive()).toEqual([]);
  const [lease] = await leases(bench);
  expect(lease).toMatchObject({ podId, state: 'closed' });
  expect(lease?.mayReplace).toBeUndefined();
});

describe('between an order that was refused and the next one', () => {
  /** The first pod failed, the order of the second candidate was refused, and the third is being priced. */
  async function pricingTheThird(): Promise<{
    readonly bench: LeaseBench;
    readonly goOn: (failure?: Error) => Promise<void>;
  }> {
    let open = (): void => undefined;
    let fail: (failure: Error) => void = open;
    const gate = new Promise<undefined>((resolve, reject) => {
      open = () => {
        resolve(undefined);
      };
      fail = reject;
    });
    let arrive = (): void => undefined;
    const arrived = new Promise<undefined>((resolve) => {
      arrive = () => {
        resolve(undefined);
      };
    });
    let isArmed = false;
    const bench = benchOf({
      cloud: {
        before: async (call) => {
          if (!isArmed || (call !== 'listOffers' && call !== 'getOffer')) return;
          if (bench.cloud.calls.filter((one) => one === 'createPod').length < 2) return;
          arrive();
          await gate;
        },
      },
    });
    await stuck(bench);
    isArmed = true;
    bench.cloud.faults.noCapacity = 1;
    const round = giveUp(bench);
    await arrived;
    return {
      bench,
      async goOn(failure) {
        if (failure === undefined) open();
        else fail(failure);
        await round;
      },
    };
  }
  const list = async ({ pods, options }: LeaseBench): Promise<readonly Pod[]> =>
    (await pods.list({ includeEnded: false }, options)).pods;

  it('no list says that nothing is left [CR-05]', async () => {
    const { bench, goOn } = await pricingTheThird();
    expect(bench.cloud.alive()).toEqual([]);
    expect(await list(bench)).toMatchObject([{ status: 'failed', isBeingReplaced: true }]);
    await goOn();
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(await list(bench)).toMatchObject([{ podId: bench.cloud.alive()[0]?.podId }]);
  });

  it('destroy calls the next one off', async () => {
    const { bench, goOn } = await pricingTheThird();
    const [pod] = await list(bench);
    if (pod === undefined) throw new Error('Nothing is listed.');
    const outcome = await bench.pods.destroy(pod.podId, request, bench.options);
    expect(outcome.outcome).toBe('gone');
    expect(await list(bench)).toEqual([]);
    await goOn();
    expect([bench.cloud.alive(), await list(bench)]).toEqual([[], []]);
  });

  it('whoever took too long orders nothing, and says so', async () => {
    const { bench, goOn } = await pricingTheThird();
    bench.clock.advance(181);
    expect(await list(bench)).toEqual([]);
    await goOn();
    expect([bench.cloud.alive(), await list(bench)]).toEqual([[], []]);
  });

  it('a failure of ours leaves nothing to wait for', async () => {
    const { bench, goOn } = await pricingTheThird();
    await goOn(new Error('The disk is full.'));
    expect([bench.cloud.alive(), await list(bench)]).toEqual([[], []]);
  });
});

describe('what is remembered of a failed boot', () => {
  it('is the end of its log, masked, beside the attempt and for diagnose [RE-16]', async () => {
    const bench = benchOf({
      cloud: { bootLog: (podId) => `${'x\n'.repeat(9000)}\u001b[31mtoken hf_x\n${podId} broke` },
      redact: (text) => text.replaceAll('hf_x', '***'),
    });
    bench.cloud.faults.bootFails = 1;
    const outcome = await bench.create({ offerIds });
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const [attempt] = outcome.attempts;
    expect(attempt?.foreignText).toMatch(/token \*\*\*\nvast:1000 broke$/);
    expect(attempt?.foreignText?.length).toBeLessThan(700);
    const logs = createBootLogs({
      store: bench.store,
      providers: new Map([['vast', bench.cloud]]),
      clock: bench.clock,
    });
    const kept = await logs.tail('vast:1000' as PodId, bench.options);
    expect(kept?.length).toBeLessThan(13_000);
    expect(kept).toMatch(/vast:1000 broke$/);
    expect(await logs.tail(outcome.pod.podId, bench.options)).toMatch(/vast:1001 broke$/);
    expect(await logs.tail('vast:nobody' as PodId, bench.options)).toBeUndefined();
  });

  it('is whose fault it was, and how long the good one took [OF-15]', async () => {
    const bench = benchOf({ cloud: { bootSeconds: 12 } });
    bench.cloud.faults.bootFails = 1;
    bench.cloud.faults.bootProblem = { blame: 'host', problem: 'The host is broken.' };
    await bench.create({ offerIds });
    const [bad, good] = await bench.store.hosts.list();
    expect(bad).toMatchObject({
      hostId: 'vast:m-a',
      failures: [{ blame: 'host', reason: 'The host is broken.' }],
    });
    expect(good).toMatchObject({ hostId: 'vast:m-b', bootCount: 1 });
    expect(good?.boots[0]?.seconds).toBeGreaterThanOrEqual(12);
  });
});
