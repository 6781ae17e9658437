import { describe, expect, it } from 'vitest';
import { type Gate, gateSchema } from '../../../src/core/files.ts';
import type { StatedTerms } from '../../../src/core/pods.ts';
import type { Provider } from '../../../src/core/provider.ts';
import { survivesStop } from '../../../src/leases/stop-loss.ts';
import { LAMBDA_FACTS } from '../../../src/providers/lambda/facts.ts';
import { LOCAL_FACTS } from '../../../src/providers/local/facts.ts';
import { RUNPOD_FACTS } from '../../../src/providers/runpod/facts.ts';
import { VAST_FACTS } from '../../../src/providers/vast/facts.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider, type FakeProvider } from '../../support/fake-provider.ts';
import { aJob, JOB } from '../../support/fake-services.ts';
import { type BenchOptions, createLeaseBench, someTerms } from '../../support/lease-bench.ts';

const TWO = [anOffer({ id: 'a' }), anOffer({ id: 'b' })];

describe('what is said beside a quoteId [CO-12]', () => {
  async function quoted(offerIds: readonly ('vast:a' | 'vast:b' | 'vast:gone')[] = ['vast:a']) {
    const bench = createLeaseBench({ cloud: { offers: TWO } });
    bench.world.answer = 'unavailable';
    const terms = someTerms({ offerIds: offerIds as never, ttlMinutes: 30, ports: ['80', '81'] });
    const first = await bench.pods.create({ terms, waitSeconds: 120 }, bench.options);
    if (first.status !== 'needs_confirmation') throw new Error(first.status);
    const { quoteId } = first.quote;
    const take = async (stated?: StatedTerms) =>
      bench.pods.create({ terms, quoteId, stated, waitSeconds: 120 }, bench.options);
    return { bench, take };
  }

  it.each<[string, StatedTerms, string]>([
    ['another time', { ttlMinutes: 600 }, 'ttlMinutes (quoted 30, now 600)'],
    ['another end', { onExpiry: 'stop' }, 'onExpiry'],
    ['a budget', { budgetUsd: 1 }, 'budgetUsd (quoted without, now 1)'],
    ['another offer', { offerIds: ['vast:b'] as never }, 'offerIds'],
    ['variables', { env: { MODE: 'x' } }, 'env'],
  ])('is refused when it is %s; nothing is rented and the quote lives', async (_, stated, word) => {
    const { bench, take } = await quoted();
    await expect(take(stated)).rejects.toMatchObject({
      code: 'quote_invalid',
      message: expect.stringContaining(word) as string,
    });
    expect(bench.cloud.machines).toEqual([]);
    expect((await take({})).status).toBe('ready');
  });

  it('is taken when it is the same in other words, with offers that the quote left out', async () => {
    const { take } = await quoted(['vast:a', 'vast:gone', 'vast:b']);
    const same = {
      offerIds: ['vast:a', 'vast:gone', 'vast:b', 'vast:a'] as never,
      ttlMinutes: 30,
      ports: ['81', '80'],
      env: {},
    };
    await expect(take({ ...same, offerIds: ['vast:b', 'vast:a'] as never })).rejects.toMatchObject({
      code: 'quote_invalid',
    });
    expect((await take(same)).status).toBe('ready');
  });

  it('more time that the budget does not pay for is refused, not silently left out [CO-12]', async () => {
    const bench = createLeaseBench();
    const made = await bench.create({ ttlMinutes: 120, budgetUsd: 0.05 });
    if (made.status !== 'ready') throw new Error(made.status);
    const { podId } = made.pod;
    await expect(
      bench.pods.update(podId, { ttlMinutes: 6000 }, bench.options),
    ).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining('ttlMinutes alone gives no more time') as string,
      hint: expect.stringContaining('budgetUsd') as string,
    });
    bench.world.answer = 'unavailable';
    const raised = await bench.pods.update(podId, { budgetUsd: 2 }, bench.options);
    expect(raised.quote?.notes?.join(' ')).toContain(
      'with a budget of $2.00 (more time needs ttlMinutes too)',
    );
  });

  it('is refused for a change of a pod too', async () => {
    const bench = createLeaseBench();
    const made = await bench.create({ ttlMinutes: 60 });
    if (made.status !== 'ready') throw new Error(made.status);
    const { podId } = made.pod;
    bench.world.answer = 'unavailable';
    const { quote } = await bench.pods.update(podId, { ttlMinutes: 300 }, bench.options);
    const take = async (stated: object) =>
      bench.pods.update(podId, { quoteId: quote?.quoteId, ...stated }, bench.options);
    await expect(take({ ttlMinutes: 600 })).rejects.toMatchObject({
      code: 'quote_invalid',
      message: expect.stringContaining('ttlMinutes (quoted 300, now 600)') as string,
    });
    await expect(take({ action: 'stop' })).rejects.toMatchObject({ code: 'quote_invalid' });
    expect((await take({ ttlMinutes: 300, adopt: false })).deadlineBefore).toBeDefined();
  });
});

describe('onExpiry "stop" [TD-09]', () => {
  it('is refused, before anybody is asked, where no pod can be stopped', async () => {
    const bench = createLeaseBench({ cloud: { canStop: false } });
    await expect(bench.create({ onExpiry: 'stop' })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('destroyed') as string,
      hint: expect.stringContaining('onExpiry "destroy"') as string,
    });
    expect([bench.asked, await bench.store.quotes.list()]).toEqual([[], []]);
  });

  it('is fine where it can', async () => {
    const bench = createLeaseBench({ cloud: { canStop: true } });
    expect((await bench.create({ onExpiry: 'stop' })).status).toBe('ready');
  });
});

it('a quote of a cloud on this machine says that it is a rehearsal', async () => {
  const provider: FakeProvider = {
    ...createFakeProvider({ clock: new ManualClock() }),
    isMadeUp: true,
  };
  const bench = createLeaseBench({ provider });
  await bench.create();
  expect(bench.asked[0]).toContain('no machine or money there is real');
  const real = createLeaseBench();
  await real.create();
  expect(real.asked[0]).not.toContain('rehearsal');
});

describe('a stop with work that is not home [VO-04] [TD-08]', () => {
  const gate = (path: string): Gate =>
    gateSchema.parse({ gate: 'artifact_not_fetched', jobId: JOB, path, why: 'not home' });
  async function rented(facts: Provider['facts'], cwd: string, options: BenchOptions = {}) {
    const clock = new ManualClock();
    const cloud = createFakeProvider({ clock, canStop: true });
    const bench = createLeaseBench({ ...options, clock, provider: { ...cloud, facts } });
    const made = await bench.create();
    if (made.status !== 'ready') throw new Error(made.status);
    const { podId } = made.pod;
    bench.world.gates = [gate('model.pt')];
    bench.world.jobs = [aJob({ podId, cwd, status: 'completed' })];
    const stop = async (change: object = {}) =>
      bench.pods.update(podId, { action: 'stop', ...change }, bench.options);
    const orders = () => bench.cloud.calls.filter((call) => call === 'stopPod').length;
    return { bench, podId, stop, orders };
  }

  it('asks before the stop wipes it; a declined stop is none', async () => {
    const { bench, stop, orders } = await rented(RUNPOD_FACTS, '/root/run');
    bench.world.answer = 'declined';
    await expect(stop()).rejects.toMatchObject({ code: 'unsupported' });
    expect(bench.asked.at(-1)).toContain('"model.pt"');
    await expect(stop({ budgetUsd: 90 })).rejects.toMatchObject({ code: 'invalid_input' });
    expect(orders()).toBe(0);
    bench.world.answer = 'accepted';
    expect((await stop()).pod.status).toBe('stopped');
  });

  it('answers a quote where nobody can be asked, and stops with it alone', async () => {
    const { bench, podId, stop, orders } = await rented(RUNPOD_FACTS, '/root/run');
    bench.world.answer = 'unavailable';
    const { quote, pod } = await stop();
    expect([pod.status, orders()]).toEqual(['ready', 0]);
    expect(quote?.change).toEqual({ podId, action: 'stop', discardUnfetched: true });
    expect(quote?.notes?.join()).toContain('wipes work that is not home: "model.pt"');
    const done = await bench.pods.update(podId, { quoteId: quote?.quoteId }, bench.options);
    expect([done.pod.status, orders()]).toEqual(['stopped', 1]);
  });

  it('tells what stays on the disk, and asks nobody', async () => {
    const { bench, stop } = await rented(RUNPOD_FACTS, '/workspace/run');
    const questions = bench.asked.length;
    const { notHome, pod } = await stop();
    expect([pod.status, notHome, bench.asked.length]).toEqual([
      'stopped',
      [gate('model.pt')],
      questions,
    ]);
  });

  it('says nothing when all is home', async () => {
    const { bench, stop } = await rented(RUNPOD_FACTS, '/root/run');
    bench.world.gates = [];
    expect((await stop()).notHome).toBeUndefined();
  });

  it.each([
    ['runpod', RUNPOD_FACTS, '/workspace/a', true],
    ['runpod', RUNPOD_FACTS, '/workspaces/a', false],
    ['runpod', RUNPOD_FACTS, '/root/a', false],
    ['runpod', RUNPOD_FACTS, undefined, false],
    ['runpod', RUNPOD_FACTS, '/data/a', true],
    ['vast', VAST_FACTS, '/root/a', true],
    ['vast', VAST_FACTS, '/dev/shm/a', false],
    ['vast', VAST_FACTS, undefined, true],
    ['lambda', LAMBDA_FACTS, '/home/ubuntu/a', true],
    ['local', LOCAL_FACTS, '/home/me/a', true],
  ])('on %s by its facts: %#', (_, { paths }, place, survives) => {
    const mounts = [{ path: '/data', survivesStop: true, survivesDestroy: true }];
    expect(survivesStop(place, paths, mounts)).toBe(survives);
  });
});
