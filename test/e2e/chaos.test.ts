import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { listAt, textAt } from '../support/built-server.ts';
import { chaosGroups, hashesBelow, runChaos } from '../support/chaos.ts';
import { chaosPlans } from '../support/chaos-plan.ts';
import { openChaosWorld } from '../support/chaos-world.ts';
import { until, watchersOf } from '../support/watcher-process.ts';

/** `npm run bench -- chaos` runs many more. */
const SEED = 11;
const CYCLES = 6;
const HURRY_SECONDS = 12;

it('the same seed is the same chaos, whichever cycle of it is repeated', () => {
  const all = chaosPlans(SEED, 60);
  expect(chaosPlans(SEED, 60)).toEqual(all);
  expect(chaosPlans(SEED, 1, 17)).toEqual([all[17]]);
  expect(chaosPlans(SEED + 1, 60)).not.toEqual(all);
  // Every kind of trouble is in it.
  for (const key of ['strike', 'comeback', 'watcherDiesAt', 'podDies', 'network', 'fault'] as const)
    expect(all.filter((plan) => plan[key] !== undefined).length, key).toBeGreaterThan(2);
  expect(all.filter(({ isAbandoned }) => isAbandoned).length).toBeGreaterThan(2);
  const silent = chaosPlans(SEED, 200).filter(({ podDies }) => podDies?.isSilent === true);
  expect(silent.length).toBeGreaterThan(5);
  // Nobody is left to end a Lambda pod, which cannot end itself.
  expect(all.filter(({ isAbandoned, cloud }) => isAbandoned && cloud === 'lambda')).toEqual([]);
});

describe.concurrent('what the books of the clouds say', () => {
  it('servers, watcher, machines, links and clouds fail: nothing is charged late, lost or rented twice', async () => {
    const plans = chaosPlans(SEED, CYCLES).map((plan) => ({
      ...plan,
      isAbandoned: false,
      // However slow the machine is: the end is hurried.
      ttlMinutes: 10,
      startMilliseconds: plan.startMilliseconds / 4,
      hurrySeconds: HURRY_SECONDS,
    }));
    const results = await runChaos(chaosGroups(plans, CYCLES), CYCLES);
    const words = JSON.stringify(results, undefined, 1);
    expect(
      results.flatMap(({ broken }) => broken),
      words,
    ).toEqual([]);
    const sum = (of: (result: (typeof results)[number]) => number): number =>
      results.reduce((total, result) => total + of(result), 0);
    // A run in which nothing was rented, made or killed proves nothing.
    expect(
      sum(({ machines }) => machines),
      words,
    ).toBeGreaterThanOrEqual(3);
    expect(
      sum(({ home }) => home),
      words,
    ).toBeGreaterThanOrEqual(2);
    expect(
      sum(({ struck }) => struck),
      words,
    ).toBeGreaterThanOrEqual(2);
    expect(
      sum(({ sinceDeadline }) => sinceDeadline.length),
      words,
    ).toBeGreaterThanOrEqual(1);
  });

  it('one machine answers nothing, ever: the file of another comes home, and its meter stops in time [L-34]', async () => {
    await using world = await openChaosWorld(SEED);
    const server = await world.start(true);
    const rent = async (name: string, offerId: string): Promise<string> => {
      const terms = { offerId, name, ttlMinutes: 10, diskGb: 16, waitSeconds: 45 };
      const podId = textAt(await server.call('create_pod', terms), 'pod.podId');
      await server.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
      return podId;
    };
    const found = await server.call('find_offer', {
      providers: ['vast'],
      vastQuery: 'verified=any direct_port_count>=1',
      minReliability: 0,
    });
    const [one = '', two = ''] = listAt(found, 'offers').map((offer) => textAt(offer, 'offerId'));
    const [silent, other] = await Promise.all([rent('silent', one), rent('other', two)]);
    const command = 'mkdir -p out && printf weights >out/model.bin && sleep 1';
    const { jobId } = await server.call('job_start', {
      podId: other,
      command,
      artifacts: ['out/model.bin'],
    });
    await server.call('job_start', { podId: silent, command, artifacts: ['out/model.bin'] });
    await server.call('job_wait', { jobId, waitSeconds: 30 });
    await until(
      30,
      async () => watchersOf(world.home),
      (pids) => pids.length === 1,
    );
    expect(await world.killMachine(silent, 'SIGSTOP')).toBeGreaterThan(0);
    await server.kill9();
    // The silent one is due first: the watcher is busy with it when the other one is due.
    await world.hurry('silent', 1);
    await world.hurry('other', 12);
    const dueAt = Date.now() + 12_000;
    await until(
      60,
      async () => Promise.resolve(world.charged()),
      (charged) => !charged.includes(other),
    );
    expect((Date.now() - dueAt) / 1000).toBeLessThanOrEqual(25);
    const weights = createHash('sha256').update('weights').digest('hex');
    expect((await hashesBelow(world)).has(weights)).toBe(true);
    await until(
      60,
      async () => Promise.resolve(world.charged()),
      (charged) => charged.length === 0,
    );
    // Its deadline was 11 s before the other's.
    expect((Date.now() - dueAt) / 1000 + 11).toBeLessThanOrEqual(60);
  });
});
