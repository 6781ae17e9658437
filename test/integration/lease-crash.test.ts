import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../src/core/errors.ts';
import type { Collection, Collections, Store } from '../../src/core/store.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { ManualClock } from '../support/clock.ts';
import { anOffer, createFakeProvider, type FakeProvider } from '../support/fake-provider.ts';
import { createLeaseBench, type someTerms } from '../support/lease-bench.ts';

class Crash extends Error {}

/** Counts every step to the store and the cloud. At step `at` the process dies, and every later step of it dies too. */
function createFuse(at: number) {
  let steps = 0;
  return {
    step(): void {
      steps += 1;
      if (steps >= at) throw new Crash(`died at step ${steps}`);
    },
    get steps(): number {
      return steps;
    },
  };
}
type Fuse = ReturnType<typeof createFuse>;

/** The store as the dying process sees it: it may die before a step, or after its effect. A transaction commits or not. */
function fused(store: Store, fuse: Fuse): Store {
  const wrap = <T>(of: Collection<T>): Collection<T> => ({
    get: async (id) => around(async () => of.get(id)),
    list: async () => around(async () => of.list()),
    put: async (id, record) => around(async () => of.put(id, record)),
    delete: async (id) => around(async () => of.delete(id)),
  });
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    fuse.step();
    const result = await work();
    fuse.step();
    return result;
  };
  const all = (of: Collections): Collections => ({
    leases: wrap(of.leases),
    quotes: wrap(of.quotes),
    receipts: wrap(of.receipts),
    chain: wrap(of.chain),
    code: wrap(of.code),
    sessions: wrap(of.sessions),
    jobs: wrap(of.jobs),
    artifacts: wrap(of.artifacts),
    profiles: wrap(of.profiles),
    hostKeys: wrap(of.hostKeys),
    hosts: wrap(of.hosts),
    watchers: wrap(of.watchers),
    log: {
      append: async (entry) => around(async () => of.log.append(entry)),
      list: async (podId) => of.log.list(podId),
    },
  });
  return {
    ...all(store),
    transaction: async (work) => around(async () => store.transaction(async (tx) => work(all(tx)))),
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  };
}

type Faults = Partial<FakeProvider['faults']>;
type Scene = (pods: ReturnType<typeof createLeaseBench>) => Promise<unknown>;

const create: Scene = async (bench) => bench.create({ offerIds: two });
const createAndDestroy: Scene = async (bench) => {
  const outcome = await bench.create({ offerIds: two });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const request = { discardUnfetched: false, waitSeconds: 25 };
  await bench.pods.destroy(outcome.pod.podId, request, bench.options);
};
/** A pod that lets nobody in is given up, and the server's own rounds replace it. */
const replaceWith =
  (faults: Faults): Scene =>
  async (bench) => {
    bench.world.ssh = new RemoteError('ssh_refused', 'denied');
    await bench.create({ offerIds: two }, 0);
    bench.clock.advance(11);
    await bench.pods.tend(bench.options);
    Object.assign(bench.cloud.faults, faults);
    bench.clock.advance(61);
    await bench.pods.tend(bench.options);
  };
const two = ['vast:a', 'vast:b'] as unknown as ReturnType<typeof someTerms>['offerIds'];

/** One life: runs `scene` until step `at`, then starts again on what is left, and mends. */
async function dieAt(at: number, scene: Scene, faults: Faults) {
  const clock = new ManualClock();
  const store = createMemoryStore();
  const fuse = createFuse(at);
  const hook = (): void => {
    if (isDying) fuse.step();
  };
  let isDying = true;
  const cloud = createFakeProvider({
    clock,
    offers: [anOffer({ id: 'a' }), anOffer({ id: 'b', usdPerHour: 0.6 })],
    before: hook,
    after: hook,
  });
  Object.assign(cloud.faults, faults);
  const dying = createLeaseBench({
    provider: cloud,
    store: fused(store, fuse),
    clock,
    processId: 'first',
    limits: { autoApproveUsd: 100 },
  });
  await scene(dying).catch(() => undefined);
  // What still runs in the background of a dead process gets no further than its next step.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  isDying = false;
  const died = fuse.steps >= at;
  const next = createLeaseBench({
    provider: cloud,
    store,
    clock,
    processId: 'second',
    isAlive: (id) => id === 'second',
    limits: { autoApproveUsd: 100 },
  });
  for (let round = 0; round < 5; round += 1) {
    await next.pods.reconcile(next.options);
    await next.pods.tend(next.options);
    clock.advance(61);
  }
  return { died, cloud, store, next, clock };
}

/** With the machines that are made when nobody dies. */
const SCENES: readonly (readonly [string, Scene, Faults, number])[] = [
  ['create', create, {}, 1],
  ['create whose first candidate is refused', create, { noCapacity: 1 }, 1],
  ['create whose answer is lost', create, { loseAnswers: 1 }, 1],
  ['create whose pod fails to boot', create, { bootFails: 1 }, 2],
  ['create that leaves a machine behind', create, { failAfterMachine: 1 }, 2],
  ['a pod that is replaced while nobody waits', replaceWith({}), {}, 2],
  ['a replacement that is refused', replaceWith({ noCapacity: 1 }), {}, 1],
  ['a replacement whose answer is lost', replaceWith({ loseAnswers: 1 }), {}, 2],
  ['a replaced pod that lingers', replaceWith({ lingers: 2, terminateFails: 1 }), {}, 2],
  ['create and destroy', createAndDestroy, {}, 1],
  ['destroy of a pod that lingers', createAndDestroy, { lingers: 2 }, 1],
  ['destroy whose orders fail at first', createAndDestroy, { terminateFails: 2 }, 1],
];

describe('a server that dies at any step leaves nothing unknown [OW-07] [L-01] [OW-02]', () => {
  it.each(SCENES)('%s', async (_name, scene, faults, machines) => {
    let points = 0;
    for (let at = 1; ; at += 1) {
      const { died, cloud, store, next } = await dieAt(at, scene, faults);
      if (!died) {
        expect(cloud.machines).toHaveLength(machines);
        break;
      }
      points += 1;
      const leases = await store.leases.list();
      const open = leases.filter(({ state }) => state !== 'closed');
      const known = open.map(({ podId }) => podId);
      const where = `died at step ${at}: ${JSON.stringify(leases.map((l) => [l.state, l.podId]))}`;
      // Every machine that costs money is in a lease, and every lease in force has its machine.
      expect(
        cloud.alive().map(({ podId }) => podId),
        where,
      ).toEqual(known);
      expect(
        open.every(({ state }) => state === 'open'),
        where,
      ).toBe(true);
      expect(open.length, where).toBeLessThanOrEqual(1);
      expect(cloud.machines.filter(({ alive }) => alive).length, where).toBeLessThanOrEqual(1);
      const receipts = await store.receipts.list();
      const ended = cloud.machines.filter(({ alive }) => !alive).map(({ podId }) => podId);
      expect(receipts.map(({ podId }) => podId).sort(), where).toEqual(ended.sort());
      // The next server can list and end whatever was left.
      const { pods } = await next.pods.list({ includeEnded: false }, next.options);
      expect(
        pods.filter(({ mode }) => mode === 'unmanaged'),
        where,
      ).toEqual([]);
      for (const podId of known.filter((id) => id !== undefined)) {
        const request = { discardUnfetched: false, waitSeconds: 25 };
        const end = await next.pods.destroy(podId, request, next.options);
        expect(end.outcome, where).toBe('gone');
      }
      expect(cloud.alive(), where).toEqual([]);
    }
    expect(points).toBeGreaterThan(20);
  });
});
