import { describe, expect, it } from 'vitest';
import type { FetchRequest, FetchResult, Gate } from '../../../src/core/files.ts';
import { aJob } from '../../support/fake-services.ts';
import { fetchedOne } from '../../support/file-requests.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

type Bench = ReturnType<typeof createLeaseBench>;
type Care = NonNullable<NonNullable<Parameters<typeof createLeaseBench>[0]>['care']>;

/** A pod that is ready, of a cloud that holds no deadline of its own. */
async function rented(care: Care, world: (bench: Bench) => void = () => undefined) {
  const bench = createLeaseBench({
    limits: { autoApproveUsd: 3 },
    cloud: { canHoldDeadlines: false },
    care,
  });
  const outcome = await bench.create({ ttlMinutes: 60 });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
  world(bench);
  const [lease] = await bench.store.leases.list();
  const at = (seconds: number): void => {
    const due = Date.parse(lease?.deadlineAt ?? '') + seconds * 1000;
    bench.clock.advance((due - bench.clock.now().getTime()) / 1000);
  };
  return { bench, podId: outcome.pod.podId, lease, at };
}
const only = (made: readonly Bench[]): Bench => {
  const [one] = made;
  if (one === undefined) throw new Error('not made yet');
  return one;
};
const OPEN: Gate = { gate: 'artifact_not_fetched', path: 'model.pt', why: 'It is not home.' };

/** Files whose fetch closes the gate. */
function rescue(bench: () => Bench, fetched: FetchRequest[], failure?: Error) {
  return {
    folder: '/state/rescued',
    files: {
      gates: async () => Promise.resolve(bench().world.gates),
      fetch: async (request: FetchRequest): Promise<FetchResult> => {
        fetched.push(request);
        if (failure !== undefined) throw failure;
        bench().world.gates = [];
        return Promise.resolve(fetchedOne(request.podId));
      },
    },
  };
}

describe('a lease that another process of ours watches', () => {
  it('is left to it when its end is due, and ended all the same when it does nothing', async () => {
    let isWatched = true;
    const { bench, podId, at } = await rented({
      isLeftToOthers: async () => Promise.resolve(isWatched),
      actor: () => 'a server',
    });
    at(1);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    at(59);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
    at(61);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: destroyed, its deadline has come.`,
    ]);
    const log = await bench.store.log.list(podId);
    expect(log.map(({ text }) => text)).toContainEqual(
      expect.stringContaining('Destroyed by a server: its deadline has come'),
    );
    isWatched = false;
  });

  it('whose budget is spent is left to it for a minute of its price', async () => {
    const { bench, lease } = await rented({ isLeftToOthers: async () => Promise.resolve(true) });
    if (lease === undefined) throw new Error('no lease');
    const spend = async (usd: number): Promise<readonly string[]> => {
      const accruedAt = bench.clock.now().toISOString();
      const changed = { ...lease, budgetUsd: 1, accruedUsd: usd, accruedAt, warnedAt: accruedAt };
      await bench.store.leases.put(lease.leaseId, changed);
      return bench.pods.enforce(bench.options);
    };
    expect(await spend(1)).toEqual([]);
    const [said] = await spend(1 + lease.usdPerHour / 30);
    expect(said).toContain('destroyed, its budget of');
  });
});

describe('before an end that nobody asked for', () => {
  it('declared files come home, and then no gate is open', async () => {
    const fetched: FetchRequest[] = [];
    const made: Bench[] = [];
    const the = (): Bench => only(made);
    const { bench, podId, at } = await rented({ rescue: rescue(the, fetched) }, (one) => {
      made.push(one);
      one.world.jobs = [aJob({ artifacts: ['model.pt'], status: 'completed' })];
      one.world.gates = [OPEN];
    });
    at(-700);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    expect(fetched).toEqual([]);
    at(1);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: destroyed, its deadline has come.`,
    ]);
    const [job] = bench.world.jobs;
    expect(fetched).toMatchObject([
      { podId, jobId: job?.jobId, localPath: `${podId.replace(':', '-')}/${job?.jobId ?? ''}` },
    ]);
    expect((await bench.pods.receipt(podId))?.waiver).toBeUndefined();
    const log = (await bench.store.log.list(podId)).map(({ kind }) => kind);
    expect(log.indexOf('saved')).toBeGreaterThan(-1);
    expect(log.indexOf('saved')).toBeLessThan(log.indexOf('expired'));
  });

  it('they are brought home ten minutes early, in the background', async () => {
    const fetched: FetchRequest[] = [];
    const made: Bench[] = [];
    const { bench, at } = await rented({ rescue: rescue(() => only(made), fetched) }, (one) => {
      made.push(one);
      one.world.jobs = [aJob({ artifacts: ['model.pt'], status: 'completed' })];
      one.world.gates = [OPEN];
    });
    at(-590);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    await expect.poll(() => fetched.length).toBe(1);
    expect(bench.cloud.alive()).toHaveLength(1);
    // At home: not asked for again in the next round.
    bench.clock.advance(10);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    expect(fetched).toHaveLength(1);
  });

  it('what cannot be brought home holds up no end, and stays on record', async () => {
    const fetched: FetchRequest[] = [];
    const made: Bench[] = [];
    const failure = new Error('the pod lets nobody in');
    const { bench, podId, at } = await rented(
      { rescue: rescue(() => only(made), fetched, failure) },
      (one) => {
        made.push(one);
        one.world.jobs = [aJob({ artifacts: ['model.pt'], status: 'completed' })];
        one.world.gates = [OPEN];
      },
    );
    at(1);
    await bench.pods.enforce(bench.options);
    expect(bench.cloud.alive()).toEqual([]);
    expect(await bench.pods.receipt(podId)).toMatchObject({ waiver: { gates: [OPEN] } });
    expect((await bench.store.log.list(podId)).map(({ kind }) => kind)).toContain('not_saved');
  });

  it('a deadline that was moved while files came home is not the old one', async () => {
    const fetched: FetchRequest[] = [];
    const made: Bench[] = [];
    const inner = rescue(() => only(made), fetched);
    const later = '2027-01-01T00:00:00.000Z';
    const files = {
      ...inner.files,
      fetch: async (request: FetchRequest) => {
        const { store } = only(made);
        for (const lease of await store.leases.list())
          await store.leases.put(lease.leaseId, { ...lease, deadlineAt: later });
        return inner.files.fetch(request);
      },
    };
    const { bench, at } = await rented({ rescue: { ...inner, files } }, (one) => {
      made.push(one);
      one.world.jobs = [aJob({ artifacts: ['model.pt'], status: 'completed' })];
      one.world.gates = [OPEN];
    });
    at(1);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
  });
});

it('a deadline from before the present run is told, and ends nothing [CO-06]', async () => {
  const { bench, podId, lease } = await rented({});
  if (lease === undefined) throw new Error('no lease');
  bench.clock.advance(7200);
  const bootAt = bench.clock.now().toISOString();
  await bench.store.leases.put(lease.leaseId, { ...lease, bootAt });
  expect(await bench.pods.enforce(bench.options)).toEqual([
    `${podId}: its deadline is older than its present run. Nothing was done: give it another.`,
  ]);
  await bench.store.leases.put(lease.leaseId, { ...lease, deadlineAt: lease.createdAt });
  expect((await bench.pods.enforce(bench.options))[0]).toContain('Nothing was done');
  expect(bench.cloud.alive()).toHaveLength(1);
});
