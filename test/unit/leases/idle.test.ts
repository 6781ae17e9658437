import { describe, expect, it } from 'vitest';
import type { FetchRequest, FetchResult, Gate } from '../../../src/core/files.ts';
import { idleAfter } from '../../../src/leases/idle.ts';
import { gpuReading } from '../../../src/leases/idle-look.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { aJob } from '../../support/fake-services.ts';
import { fetchedOne } from '../../support/file-requests.ts';
import { type BenchOptions, createLeaseBench } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

const OPEN: Gate = {
  gate: 'artifact_not_fetched',
  path: 'model.pt',
  why: 'It is only on the pod.',
};

/** A pod at half a dollar an hour that is ready; ten idle minutes are its limit. */
async function rented(options: BenchOptions = {}, idleMinutes: number | 'unset' = 10) {
  const bench = createLeaseBench({
    ...options,
    limits: { autoApproveUsd: 100, ...(idleMinutes === 'unset' ? {} : { idleMinutes }) },
  });
  const outcome = await bench.create({ ttlMinutes: 600, ...stopOf(options) });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  const enforce = async () => bench.pods.enforce(bench.options);
  /** Rounds as a watcher makes them, ten seconds apart. */
  const pass = async (minutes: number): Promise<readonly string[]> => {
    const said: string[] = [];
    for (let seconds = 0; seconds < minutes * 60; seconds += 10) {
      bench.clock.advance(10);
      said.push(...(await enforce()));
    }
    return said;
  };
  const warnings = async () => bench.pods.warnings?.([podId]) ?? [];
  const lease = async () => (await bench.store.leases.list())[0];
  return { bench, podId, pass, warnings, lease };
}
const stopOf = ({ cloud }: BenchOptions) =>
  cloud?.canStop === true ? ({ onExpiry: 'stop' } as const) : {};

describe('a pod on which nothing runs [CO-04] [L-33]', () => {
  it('is announced after the idle minutes, then ended, and its files are brought home first', async () => {
    const fetched: FetchRequest[] = [];
    const made: ReturnType<typeof createLeaseBench>[] = [];
    const { bench, podId, pass, warnings } = await rented({
      care: { actor: () => 'the watcher', rescue: rescue(made, fetched) },
    });
    made.push(bench);
    bench.world.jobs = [
      aJob({ podId, status: 'completed', artifacts: ['model.pt'], createdAt: START }),
    ];
    bench.world.gates = [OPEN];
    expect(await pass(10.5)).toEqual([]);
    const announced = await pass(1);
    expect(announced).toEqual([
      expect.stringMatching(/^\S+: nothing has run on it since \S+: it is destroyed at \S+ unless/),
    ]);
    expect(await warnings()).toEqual([
      expect.stringMatching(/^Idle: nothing has run on .* unless/),
    ]);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(await pass(2.5)).toEqual([
      `${podId}: destroyed, nothing ran on it for 10 minutes (GPU_LEASE_IDLE_MINUTES).`,
    ]);
    expect(fetched).toHaveLength(1);
    expect(bench.cloud.alive()).toEqual([]);
    const log = (await bench.store.log.list(podId)).map(({ text }) => text);
    expect(log).toContainEqual(
      expect.stringContaining('Destroyed by the watcher: nothing ran on it for 10 minutes'),
    );
    const receipt = await bench.pods.receipt(podId);
    expect(receipt?.waiver).toBeUndefined();
  });

  it('is told in the singular after one minute, with the limit in the list', async () => {
    const { bench, podId, pass } = await rented({}, 1);
    const [limit] = (await bench.pods.list({ includeEnded: false }, bench.options)).limits ?? [];
    expect(limit).toEqual({ name: 'GPU_LEASE_IDLE_MINUTES', limit: 1, used: 0, scope: 'minutes' });
    expect((await pass(6)).at(-1)).toBe(
      `${podId}: destroyed, nothing ran on it for 1 minute (GPU_LEASE_IDLE_MINUTES).`,
    );
  });

  it('is only stopped where its policy says so', async () => {
    const { bench, podId, pass, lease } = await rented({ cloud: { canStop: true } });
    expect((await pass(14)).at(-1)).toBe(
      `${podId}: stopped, nothing ran on it for 10 minutes (GPU_LEASE_IDLE_MINUTES).`,
    );
    expect(bench.cloud.alive()).toHaveLength(1);
    expect((await lease())?.stoppedAt).toBeDefined();
    // And that is all: a stopped pod is not idle.
    expect(await pass(14)).toEqual([]);
  });

  it.each<[string, (bench: Awaited<ReturnType<typeof rented>>['bench']) => void]>([
    ['a job runs', ({ world }) => (world.jobs = [aJob({ status: 'running' })])],
    ['a command runs in a session', ({ world }) => (world.isSessionBusy = true)],
    ['one GPU of two is busy', ({ world }) => (world.gpuUse = '0\n5\n')],
    [
      'the job cannot be seen',
      ({ world }) => (world.jobs = [aJob({ status: 'running_unreachable' })]),
    ],
    ['the pod does not answer', ({ world }) => (world.ssh = new Error('down'))],
    ['its driver does not answer', ({ world }) => (world.gpuUse = 'failed\n')],
    ['its driver says nothing', ({ world }) => (world.gpuUse = '')],
  ])('is kept while %s', async (_what, happen) => {
    const { bench, pass } = await rented();
    happen(bench);
    const said = await pass(30);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(said.filter((text) => text.includes('destroyed'))).toEqual([]);
  });

  it('that cannot be seen is told of once, and its time begins anew when it can', async () => {
    const { bench, pass } = await rented();
    await pass(9);
    bench.world.gpuUse = 'failed\n';
    expect(await pass(5)).toEqual([
      expect.stringContaining('whether it is idle cannot be seen (gpu_unreadable). It is kept.'),
    ]);
    bench.world.gpuUse = '0\n';
    expect(await pass(9)).toEqual([]);
    expect(await pass(5)).toHaveLength(2);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('and is used after the announcement stays, and is given all its time again', async () => {
    const { bench, podId, pass, warnings } = await rented();
    expect(await pass(11.5)).toHaveLength(1);
    await bench.pods.used?.([podId]);
    expect(await pass(2)).toEqual([`${podId}: it is used again, so it is kept.`]);
    expect(await warnings()).toEqual([]);
    expect(await pass(8)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
    expect(await pass(6)).toHaveLength(2);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('is used by what goes through a job or a session of it', async () => {
    const { bench, podId, pass } = await rented();
    const job = aJob({ podId, status: 'completed', createdAt: START });
    await bench.store.jobs.put(job.jobId, job);
    for (let round = 0; round < 4; round += 1) {
      await pass(8);
      await bench.pods.used?.([job.jobId]);
    }
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('is kept for files that cannot be brought home, and not for files that were never written', async () => {
    const { bench, podId, pass } = await rented();
    bench.world.gates = [OPEN];
    expect(await pass(14)).toEqual([
      expect.stringContaining('it is destroyed at'),
      expect.stringContaining(
        'it is kept: what is declared is not home (1 open: artifact_not_fetched).',
      ),
    ]);
    expect(bench.cloud.alive()).toHaveLength(1);
    bench.world.gates = [
      { ...OPEN, why: 'The job ended as failed and no file on the pod matches.' },
    ];
    expect((await pass(14)).at(-1)).toContain(`${podId}: destroyed`);
    expect((await bench.pods.receipt(podId))?.waiver).toMatchObject({
      by: 'expiry',
      gates: [{ path: 'model.pt' }],
    });
  });

  it('is not looked at when it is free, when nobody set a limit, or when another process watches', async () => {
    const free = await rented({ cloud: { offers: [anOffer({ usdPerHour: 0 })] } });
    const unset = await rented({}, 'unset');
    const left = await rented({ care: { isLeftToOthers: async () => Promise.resolve(true) } });
    for (const { bench, pass, lease } of [free, unset, left]) {
      expect(await pass(20)).toEqual([]);
      expect(bench.cloud.alive()).toHaveLength(1);
      expect((await lease())?.idle).toBeUndefined();
    }
  });

  it('that nobody looked at for an hour is not idle for that hour', async () => {
    const { bench, pass } = await rented();
    await pass(5);
    bench.clock.advance(3600);
    expect(await pass(9)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
  });
});

describe('a pod that costs money and does nothing is mentioned [CO-07]', () => {
  it('from 15 minutes on, with what it cost, and no longer once it is used', async () => {
    const { bench, podId, warnings } = await rented({}, 'unset');
    bench.clock.advance(14 * 60);
    expect(await warnings()).toEqual([]);
    bench.clock.advance(61);
    expect(await warnings()).toEqual([
      `Idle? No job runs on ${podId} and nothing was asked of it for 15 minutes, at $0.50 an hour ($0.13): give it work, or destroy it.`,
    ]);
    await bench.pods.used?.([podId]);
    bench.clock.advance(10);
    expect(await warnings()).toEqual([]);
  });

  it('not while a job runs, not when it is free', async () => {
    const { bench, podId, warnings } = await rented({}, 'unset');
    const job = aJob({ podId, status: 'running', createdAt: START });
    await bench.store.jobs.put(job.jobId, job);
    bench.clock.advance(3600);
    expect(await warnings()).toEqual([]);
    const free = await rented({ cloud: { offers: [anOffer({ usdPerHour: 0 })] } }, 'unset');
    free.bench.clock.advance(3600);
    expect(await free.warnings()).toEqual([]);
  });
});

describe('what nvidia-smi says', () => {
  it.each([
    ['none\n', 'idle'],
    ['0\n4\n', 'idle'],
    ['0\n5\n', 'busy'],
    ['100\n', 'busy'],
    ['[N/A]\n', 'idle'],
    ['[N/A]\n37\n', 'busy'],
    ['failed\n', 'unreadable'],
    ['12\nfailed\n', 'unreadable'],
    ['', 'unreadable'],
    ['No devices were found\n', 'unreadable'],
    ['[Unknown Error]\n', 'unreadable'],
  ])('%j is %s', (text, kind) => {
    expect(gpuReading(text).kind).toBe(kind);
  });
});

it('an end is announced only after looks without a gap that all saw nothing for the whole time', () => {
  const step = fc.record({
    seconds: fc.integer({ min: 1, max: 900 }),
    kind: fc.constantFrom('idle', 'idle', 'idle', 'busy', 'unreadable'),
    isUsed: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const idleSeconds = 600;
      let [now, usedAt, began] = [1_000_000_000_000, 0, Infinity];
      let idle: ReturnType<typeof idleAfter> | undefined;
      for (const { seconds, kind, isUsed } of steps) {
        if (isUsed) usedAt = now + 1;
        now += seconds * 1000;
        // What is known to be idle begins at the first look of an unbroken row, or at the last use.
        began = kind !== 'idle' || seconds > 360 ? now : Math.max(Math.min(began, now), usedAt);
        const reading =
          kind === 'unreadable' ? ({ kind, code: 'x' } as const) : ({ kind } as { kind: 'idle' });
        idle = idleAfter(idle, reading, { now, usedAt, idleSeconds });
        if (idle.endAt === undefined) continue;
        expect(now - began).toBeGreaterThanOrEqual(idleSeconds * 1000);
        expect(kind).toBe('idle');
      }
    }),
  );
});

const START = '2026-01-01T00:00:00.000Z';

/** Files whose fetch closes the gate. */
function rescue(made: readonly ReturnType<typeof createLeaseBench>[], fetched: FetchRequest[]) {
  return {
    folder: '/state/rescued',
    files: {
      gates: async () => Promise.resolve(made[0]?.world.gates ?? []),
      fetch: async (request: FetchRequest): Promise<FetchResult> => {
        fetched.push(request);
        for (const bench of made) bench.world.gates = [];
        return Promise.resolve(fetchedOne(request.podId));
      },
    },
  };
}
