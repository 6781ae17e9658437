import { describe, expect, it } from 'vitest';
import type { FetchRequest, FetchResult, Gate } from '../../../src/core/files.ts';
import type { PodId } from '../../../src/core/ids.ts';
import { SharedClock } from '../../support/clock.ts';
import { aJob } from '../../support/fake-services.ts';
import { fetchedOne } from '../../support/file-requests.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

const PATIENCE = { patienceSeconds: 5 };
/** After its deadline a machine may be charged no longer than this. */
const GRACE_SECONDS = 60;
const OPEN: Gate = { gate: 'artifact_not_fetched', path: 'model.pt', why: 'It is not home.' };

/** Two pods of a cloud that holds no deadline of its own, with a job each whose file is not home. */
async function twoPods(pullSeconds = 0) {
  const fetched: string[] = [];
  const bench = createLeaseBench({
    clock: new SharedClock(),
    limits: { autoApproveUsd: 30 },
    cloud: { canHoldDeadlines: false },
    care: {
      rescue: {
        folder: '/state/rescued',
        files: {
          gates: async (podId) => {
            if (bench.world.silent.has(podId)) await new Promise(() => undefined);
            return [OPEN];
          },
          fetch: async ({ podId }: FetchRequest): Promise<FetchResult> => {
            await bench.clock.sleep(pullSeconds, { signal: bench.signal });
            fetched.push(podId);
            return fetchedOne(podId);
          },
        },
      },
    },
  });
  const rent = async (): Promise<PodId> => {
    const outcome = await bench.create({ ttlMinutes: 60 });
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    return outcome.pod.podId;
  };
  const silent = await rent();
  const other = await rent();
  for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
  bench.world.jobs = [aJob({ artifacts: ['model.pt'], status: 'completed' })];
  bench.world.silent.add(silent);
  const leases = await bench.store.leases.list();
  const deadlineOf = (podId: string): number =>
    Date.parse(leases.find((lease) => lease.podId === podId)?.deadlineAt ?? '');
  const at = (podId: string, seconds: number): void => {
    bench.clock.advance((deadlineOf(podId) - bench.clock.now().getTime()) / 1000 + seconds);
  };
  const late = (podId: string): number => (bench.clock.now().getTime() - deadlineOf(podId)) / 1000;
  const isAlive = (podId: string): boolean =>
    bench.cloud.alive().some((machine) => machine.podId === podId);
  return { bench, silent, other, fetched, at, late, isAlive };
}

describe('a machine that takes every call and answers none', () => {
  it('holds up no other: its file comes home and its end is in time [L-34]', async () => {
    const { bench, other, fetched, at, late, isAlive } = await twoPods();
    at(other, -19);
    const said = await bench.pods.enforce({ ...bench.options, ...PATIENCE });
    expect(said).toEqual([`${other}: destroyed, its deadline is near.`]);
    expect(fetched).toEqual([other]);
    expect(isAlive(other)).toBe(false);
    expect(late(other)).toBeLessThanOrEqual(0);
  });

  it.each([
    ['before its deadline', -19],
    ['when nobody lived at its deadline', 5],
  ])(
    'is ended within the grace, %s, and what was not looked at is on record',
    async (_, seconds) => {
      const { bench, silent, at, late, isAlive } = await twoPods();
      at(silent, seconds);
      while (isAlive(silent)) {
        expect(late(silent)).toBeLessThanOrEqual(GRACE_SECONDS);
        await bench.pods.enforce({ ...bench.options, ...PATIENCE });
      }
      // Its receipt is written when it was seen gone.
      await bench.pods.enforce(bench.options);
      expect(await bench.pods.receipt(silent)).toMatchObject({
        waiver: { by: 'expiry', gates: [{ gate: 'not_checked' }] },
      });
    },
  );

  it('is not what is heard and slow: that brings its file home first', async () => {
    const { bench, other, fetched, at, isAlive } = await twoPods(90);
    at(other, 5);
    while (isAlive(other)) await bench.pods.enforce({ ...bench.options, ...PATIENCE });
    expect(fetched).toEqual([other]);
  });

  it('is not ended twice while its end is under way', async () => {
    const { bench, silent, at } = await twoPods();
    at(silent, -19);
    const rounds = [1, 2, 3].map(async () => bench.pods.enforce({ ...bench.options, ...PATIENCE }));
    const said = (await Promise.all(rounds)).flat();
    for (let round = 0; round < 10; round += 1)
      said.push(...(await bench.pods.enforce({ ...bench.options, ...PATIENCE })));
    expect(said.filter((line) => line.startsWith(`${silent}:`))).toHaveLength(1);
    const log = await bench.store.log.list(silent);
    expect(log.filter(({ kind }) => kind === 'expired')).toHaveLength(1);
  });

  it('that is destroyed by hand near its deadline is not asked for its logs beyond it', async () => {
    const { bench, silent, at, late } = await twoPods();
    bench.world.silent.clear();
    bench.world.gates = [OPEN];
    at(silent, -25);
    const waiver = { discardUnfetched: true, reason: 'not needed', waitSeconds: 20 };
    const ask = async (): Promise<'accepted'> => {
      bench.world.silent.add(silent);
      return Promise.resolve('accepted');
    };
    const { outcome } = await bench.pods.destroy(silent, waiver, { ...bench.options, ask });
    expect(outcome).toBe('gone');
    expect(late(silent)).toBeLessThanOrEqual(GRACE_SECONDS / 2);
  });

  it('that is destroyed by hand far from its deadline is asked first whether it is heard: 20 s, not 120', async () => {
    const { bench, silent } = await twoPods();
    bench.world.silent.clear();
    bench.world.gates = [OPEN];
    let begun = 0;
    const waiver = { discardUnfetched: true, reason: 'not needed', waitSeconds: 20 };
    const ask = async (): Promise<'accepted'> => {
      bench.world.silent.add(silent);
      begun = bench.clock.now().getTime();
      return Promise.resolve('accepted');
    };
    const { outcome } = await bench.pods.destroy(silent, waiver, { ...bench.options, ask });
    expect(outcome).toBe('gone');
    const seconds = (bench.clock.now().getTime() - begun) / 1000;
    expect(seconds).toBeGreaterThanOrEqual(20);
    expect(seconds).toBeLessThanOrEqual(25);
  });
});
