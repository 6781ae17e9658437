import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import { offerIdSchema, quoteIdSchema } from '../../../src/core/ids.ts';
import type { CreateOutcome } from '../../../src/core/pods.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench, someTerms } from '../../support/lease-bench.ts';

type Confirmation = Extract<CreateOutcome, { status: 'needs_confirmation' }>;

async function quoted(bench: LeaseBench, changes = {}): Promise<Confirmation> {
  bench.world.answer = 'unavailable';
  const outcome = await bench.create(changes);
  if (outcome.status !== 'needs_confirmation') throw new Error(`was ${outcome.status}`);
  return outcome;
}
const redeem = async (
  bench: LeaseBench,
  { quote: { quoteId } }: Confirmation,
  terms = someTerms(),
) => bench.pods.create({ terms, quoteId, waitSeconds: 25 }, bench.options);

describe('confirmation of money', () => {
  it('rents after a person agreed, and climbs to ready [CR-01] [RE-04]', async () => {
    const bench = createLeaseBench();
    const outcome = await bench.create();
    expect(bench.asked).toHaveLength(1);
    expect(bench.asked[0]).toContain('at most $3.00 in all');
    expect(outcome).toMatchObject({ status: 'ready', attempts: [] });
    expect(bench.cloud.alive()).toHaveLength(1);
    const [lease] = await bench.store.leases.list();
    expect(lease).toMatchObject({ state: 'open', approvedBy: 'form', usdPerHour: 0.5 });
  });

  it('writes the intent before it asks the cloud [CR-02] [L-01] [OW-01]', async () => {
    const bench = createLeaseBench({
      cloud: {
        before: async (call) => {
          if (call !== 'createPod') return;
          const [lease] = await bench.store.leases.list();
          expect(lease).toMatchObject({ state: 'intended', creator: 'this' });
          expect(lease?.label).toMatch(/^gl-[a-z0-9]{16}$/);
        },
      },
    });
    await bench.create();
    expect(bench.cloud.calls).toContain('createPod');
    const [machine] = bench.cloud.machines;
    const [lease] = await bench.store.leases.list();
    expect(machine?.request.label).toBe(lease?.label);
    expect(machine?.request.deadlineAt).toBe(lease?.deadlineAt);
  });

  it('rents nothing when the person declines, and says so', async () => {
    const bench = createLeaseBench();
    bench.world.answer = 'declined';
    const outcome = await bench.create();
    expect(outcome).toMatchObject({ status: 'needs_confirmation', declined: true });
    expect(bench.cloud.machines).toEqual([]);
    expect(await bench.store.leases.list()).toEqual([]);
  });

  it('gives a quote to a client that cannot ask, and takes it once [CR-01]', async () => {
    const bench = createLeaseBench();
    const confirmation = await quoted(bench, { budgetUsd: 1 });
    expect(confirmation.declined).toBeUndefined();
    expect(confirmation.quote).toMatchObject({ usdPerHour: 0.5, maxUsd: 1 });
    expect(bench.cloud.machines).toEqual([]);
    const other = someTerms({ ttlMinutes: 9999, diskGb: 999, offerIds: someTerms().offerIds });
    expect(await redeem(bench, confirmation, other)).toMatchObject({ status: 'ready' });
    expect(bench.cloud.machines[0]?.request.diskGb).toBe(64);
    const [lease] = await bench.store.leases.list();
    expect(lease).toMatchObject({ approvedBy: 'quote', quoteId: confirmation.quote.quoteId });
    await expect(redeem(bench, confirmation)).rejects.toMatchObject({ code: 'quote_invalid' });
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('names the candidates that are not sold any more', async () => {
    const bench = createLeaseBench();
    bench.world.answer = 'unavailable';
    const [offerId] = someTerms().offerIds;
    if (offerId === undefined) throw new Error('no offer');
    const gone = offerIdSchema.parse('vast:sold-out');
    const outcome = await bench.create({ offerIds: [gone, offerId] });
    if (outcome.status !== 'needs_confirmation') throw new Error(outcome.status);
    expect(outcome.quote.terms.offerIds).toEqual([offerId]);
    expect(outcome.quote.notes?.[0]).toBe(
      'vast:sold-out is left out: it is not sold any more with this disk.',
    );
  });

  it('lets two calls with one quote rent one pod', async () => {
    const bench = createLeaseBench();
    const confirmation = await quoted(bench);
    const ends = await Promise.allSettled([
      redeem(bench, confirmation),
      redeem(bench, confirmation),
    ]);
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('refuses a quote after five minutes, and one nobody made', async () => {
    const bench = createLeaseBench();
    const confirmation = await quoted(bench);
    bench.clock.advance(5 * 60);
    await expect(redeem(bench, confirmation)).rejects.toMatchObject({ code: 'quote_invalid' });
    const unknown = {
      quote: { ...confirmation.quote, quoteId: quoteIdSchema.parse('quo_nobody') },
    };
    await expect(redeem(bench, { status: 'needs_confirmation', ...unknown })).rejects.toMatchObject(
      { code: 'quote_invalid' },
    );
    expect(bench.cloud.machines).toEqual([]);
  });

  it('rents nothing when the price rose between quote and create', async () => {
    const bench = createLeaseBench();
    const confirmation = await quoted(bench);
    bench.cloud.faults.dearer = 0.01;
    await expect(redeem(bench, confirmation)).rejects.toMatchObject({ code: 'price_changed' });
    expect(bench.cloud.machines).toEqual([]);
  });

  it('takes an offer that became cheaper', async () => {
    const bench = createLeaseBench();
    const confirmation = await quoted(bench);
    bench.cloud.faults.dearer = -0.1;
    expect(await redeem(bench, confirmation)).toMatchObject({ pod: { usdPerHour: 0.4 } });
  });

  it('asks nobody for a free pod', async () => {
    const bench = createLeaseBench({ cloud: { offers: [anOffer({ usdPerHour: 0 })] } });
    expect(await bench.create()).toMatchObject({ status: 'ready' });
    expect(bench.asked).toEqual([]);
  });

  it.each([
    [3, 0],
    [2.99, 1],
  ])('asks nobody when the whole lease costs at most %d', async (autoApproveUsd, questions) => {
    const bench = createLeaseBench({ limits: { autoApproveUsd } });
    await bench.create();
    expect(bench.asked).toHaveLength(questions);
  });

  it('ends a lease when its budget is spent, through the deadline', async () => {
    const bench = createLeaseBench();
    await bench.create({ budgetUsd: 1, ttlMinutes: 600 });
    expect(bench.cloud.machines[0]?.request.deadlineAt).toBe('2026-01-01T02:00:00.000Z');
    await expect(bench.create({ budgetUsd: 0.001 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
  });
});

describe('candidates', () => {
  const two = { offers: [anOffer({ id: 'a' }), anOffer({ id: 'b', usdPerHour: 0.7 })] };
  const offerIds = ['vast:a', 'vast:b'] as unknown as ReturnType<typeof someTerms>['offerIds'];

  it('a machine that a refusal left and the cloud client removed is told as gone, not as never made [CR-05]', async () => {
    const bench = createLeaseBench({ cloud: two });
    bench.cloud.faults.failAndRemove = 1;
    expect(await bench.create({ offerIds })).toMatchObject({
      status: 'ready',
      attempts: [{ offerId: 'vast:a', cleanup: 'gone' }],
    });
  });

  it('goes on to the next after a refusal, and says what happened [CR-05] [OF-23] [L-08]', async () => {
    const bench = createLeaseBench({ cloud: two });
    bench.cloud.faults.noCapacity = 1;
    const outcome = await bench.create({ offerIds });
    expect(outcome).toMatchObject({
      status: 'ready',
      pod: { usdPerHour: 0.7 },
      attempts: [{ offerId: 'vast:a', cleanup: 'nothing_created' }],
    });
    expect(bench.asked[0]).toContain('$0.70 an hour');
    const states = (await bench.store.leases.list()).map(({ state }) => state);
    expect(states).toEqual(['closed', 'open']);
  });

  it('ends a pod that fails to boot before it rents another [CR-05] [OF-08]', async () => {
    const bench = createLeaseBench({ cloud: two });
    bench.cloud.faults.bootFails = 1;
    const outcome = await bench.create({ offerIds });
    expect(outcome).toMatchObject({ status: 'ready', attempts: [{ cleanup: 'gone' }] });
    expect(bench.cloud.machines.map(({ alive }) => alive)).toEqual([false, true]);
  });

  it('stops at maxAttempts', async () => {
    const bench = createLeaseBench({ cloud: two });
    bench.cloud.faults.noCapacity = 9;
    expect(await bench.create({ offerIds, maxAttempts: 1 })).toMatchObject({
      status: 'failed',
      attempts: [{ offerId: 'vast:a' }],
    });
    expect(bench.cloud.calls.filter((call) => call === 'createPod')).toHaveLength(1);
  });

  it('rents no second pod while the first may be there', async () => {
    const bench = createLeaseBench({ cloud: two });
    bench.cloud.faults.bootFails = 1;
    bench.cloud.faults.terminateFails = 99;
    const outcome = await bench.create({ offerIds });
    expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'present' }] });
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('says so when no candidate is sold any more', async () => {
    const bench = createLeaseBench({ cloud: { offers: [] } });
    await expect(bench.create()).rejects.toMatchObject({ code: 'offer_gone' });
  });

  it('wants a bid for an interruptible offer and none for another [OF-06]', async () => {
    const spot = anOffer({ pricing: 'interruptible' });
    const bench = createLeaseBench({ cloud: { offers: [spot] } });
    await expect(bench.create()).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await bench.create({ bidUsdPerHour: 0.3 })).toMatchObject({ pod: { usdPerHour: 0.3 } });
    const fixed = createLeaseBench();
    await expect(fixed.create({ bidUsdPerHour: 0.3 })).rejects.toMatchObject({
      code: 'invalid_input',
    });
  });
});

describe('lost answers', () => {
  it('finds the pod of a lost answer by its label, the only handle there is (vast.md 16.20) [CR-03] [CR-04]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.loseAnswers = 1;
    expect(await bench.create()).toMatchObject({ status: 'ready' });
    expect(bench.cloud.calls.filter((call) => call === 'createPod')).toHaveLength(1);
    const [lease] = await bench.store.leases.list();
    expect(lease).toMatchObject({ state: 'open', podId: 'vast:1000' });
  });

  it('finds it although the list fails at first', async () => {
    const bench = createLeaseBench();
    Object.assign(bench.cloud.faults, { loseAnswers: 1, listFails: 3 });
    expect(await bench.create()).toMatchObject({ pod: { podId: 'vast:1000' } });
  });

  it('keeps the lease open and rents nothing else when nobody can tell [L-15]', async () => {
    const bench = createLeaseBench();
    Object.assign(bench.cloud.faults, { loseAnswers: 1, listMisses: 99 });
    await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
    const [lease] = await bench.store.leases.list();
    expect(lease).toMatchObject({ state: 'open' });
    expect(lease?.podId).toBeUndefined();
    const id = `vast:${lease?.label ?? ''}` as Parameters<typeof bench.pods.get>[0];
    const { pod } = await bench.pods.get(id, { waitSeconds: 0 }, bench.options);
    expect(pod).toMatchObject({ podId: id, status: 'unknown' });
    bench.cloud.faults.listMisses = 0;
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list())[0]).toMatchObject({ podId: 'vast:1000' });
    const { pod: found } = await bench.pods.get(id, { waitSeconds: 0 }, bench.options);
    expect(found.podId).toBe('vast:1000');
  });

  it('gives up a request that never arrived only after two looks a minute apart [RE-11] [L-14]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.loseRequests = 1;
    await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list())[0]?.state).toBe('open');
    bench.clock.advance(59);
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list())[0]?.state).toBe('open');
    bench.clock.advance(2);
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list())[0]).toMatchObject({ state: 'closed', accruedUsd: 0 });
  });

  it('ends what appeared when creation failed all the same [TD-06]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.failAfterMachine = 1;
    const outcome = await bench.create();
    expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
    expect(bench.cloud.machines).toHaveLength(1);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('ends a pod that costs more than was agreed', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.overcharges = 1;
    expect(await bench.create()).toMatchObject({
      status: 'failed',
      attempts: [{ cleanup: 'gone' }],
    });
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('an abort stops the waiting, not the lease [CR-26] [L-17]', async () => {
    const abort = new AbortController();
    const bench = createLeaseBench({
      cloud: {
        after: (call) => {
          if (call === 'createPod') abort.abort();
        },
      },
    });
    const work = bench.pods.create(
      { terms: someTerms(), waitSeconds: 25 },
      { ask: bench.options.ask, signal: abort.signal },
    );
    await expect(work).rejects.toThrow();
    await expect
      .poll(async () => (await bench.store.leases.list())[0], { timeout: 2000 })
      .toMatchObject({ state: 'open', podId: 'vast:1000' });
  });
});

describe('what may not be sent to a cloud', () => {
  it.each([
    ['a token in env', { env: { A: 'hf_abcdefghijklmnopqrstuvwx' } }],
    ['a secret by its name', { env: { MY_API_KEY: 'correct horse battery' } }],
    ['a secret in setup', { setup: 'export WANDB_API_KEY=0123456789abcdef' }],
    ['a private key', { setup: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc' }],
  ])('refuses %s [CR-25] [CR-09]', async (_what, changes) => {
    const bench = createLeaseBench();
    await expect(bench.create(changes)).rejects.toMatchObject({ code: 'secret_refused' });
    expect(bench.cloud.calls).toEqual([]);
  });

  it.each([
    ['a setup of 20 KB', { setup: 'x'.repeat(20_000) }, 'too_large'],
    ['image and template [CR-07]', { image: 'a', template: 'b' }, 'invalid_input'],
    ['the word null for a key [CR-11] [L-03]', { env: { A_TOKEN: 'null' } }, 'invalid_input'],
    ['a name that is none', { env: { 'a b': 'x' } }, 'invalid_input'],
    ['a secret nobody set', { secretEnv: ['HF_TOKEN'] }, 'config_missing'],
  ])('refuses %s', async (_what, changes, code) => {
    await expect(createLeaseBench().create(changes)).rejects.toMatchObject({ code });
  });

  it('hands secretEnv to the cloud and keeps it nowhere', async () => {
    const bench = createLeaseBench({ secrets: { HF_TOKEN: 'very-secret-value' } });
    await bench.create({ secretEnv: ['HF_TOKEN'] });
    expect(bench.cloud.machines[0]?.request).toMatchObject({
      env: { HF_TOKEN: 'very-secret-value' },
      secretNames: ['HF_TOKEN'],
    });
    const kept = JSON.stringify([
      await bench.store.leases.list(),
      await bench.store.quotes.list(),
      await bench.store.log.list(),
    ]);
    expect(kept).toContain('HF_TOKEN');
    expect(kept).not.toContain('very-secret-value');
  });

  it('says before the money what the cloud keeps of a secret, and which is too short to be masked', async () => {
    const bench = createLeaseBench({ secrets: { HF_TOKEN: 'very-secret-value', PIN: '4711' } });
    const asked: string[] = [];
    await bench.pods.create(
      { terms: someTerms({ secretEnv: ['HF_TOKEN', 'PIN'] }), waitSeconds: 0 },
      {
        ...bench.options,
        ask: async ({ message }) => {
          asked.push(message);
          return Promise.resolve('declined');
        },
      },
    );
    expect(asked.join(' ')).toContain('keeps the values of HF_TOKEN, PIN');
    expect(asked.join(' ')).toMatch(/Too short to be masked[^.]*: PIN\./);
    expect(asked.join(' ')).not.toContain('4711');
  });
});

describe('limits that no agent can lift', () => {
  it.each([
    ['GPU_LEASE_MAX_PODS', { maxPods: 1 }],
    ['GPU_LEASE_MAX_USD_PER_HOUR', { maxUsdPerHour: 0.99 }],
    ['GPU_LEASE_BUDGET_USD', { budgetUsd: 5.9 }],
    ['GPU_LEASE_BUDGET_DAY_USD', { budgetDayUsd: 5.9 }],
  ])('%s refuses the second pod with the numbers of now [CO-12]', async (name, limits) => {
    const bench = createLeaseBench({ limits });
    expect(await bench.create()).toMatchObject({ status: 'ready' });
    await expect(bench.create()).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining(name) as string,
    });
    expect(bench.asked).toHaveLength(1);
    expect(bench.cloud.machines).toHaveLength(1);
  });

  it('spends nothing more while a lease cannot be read', async () => {
    const bench = createLeaseBench({ cloud: { offers: [anOffer({ usdPerHour: 0 })] } });
    bench.store.leases.unreadable = async () => Promise.resolve(['lea_x']);
    await expect(bench.create()).rejects.toMatchObject({ code: 'state_unreadable' });
    expect(bench.cloud.machines).toEqual([]);
  });

  it('counts reserved money, and gives back what was not spent', async () => {
    const bench = createLeaseBench({ limits: { budgetUsd: 4 } });
    const first = await bench.create();
    await expect(bench.create()).rejects.toMatchObject({ code: 'budget_exceeded' });
    if (first.status !== 'ready') throw new Error(first.status);
    const request = { discardUnfetched: false, waitSeconds: 25 };
    await bench.pods.destroy(first.pod.podId, request, bench.options);
    expect(await bench.create()).toMatchObject({ status: 'ready' });
  });

  it('the quote stays good when the limits refuse it', async () => {
    const bench = createLeaseBench({ limits: { maxPods: 1 } });
    const confirmation = await quoted(bench);
    bench.world.answer = 'accepted';
    const first = await bench.create();
    await expect(redeem(bench, confirmation)).rejects.toMatchObject({ code: 'budget_exceeded' });
    if (first.status !== 'ready') throw new Error(first.status);
    const request = { discardUnfetched: false, waitSeconds: 25 };
    await bench.pods.destroy(first.pod.podId, request, bench.options);
    expect(await redeem(bench, confirmation)).toMatchObject({ status: 'ready' });
  });
});

describe('the ladder', () => {
  it('tells the rungs and the seconds on each [RE-05] [MO-18]', async () => {
    const bench = createLeaseBench({ cloud: { bootSeconds: 12 } });
    const outcome = await bench.create();
    if (outcome.status !== 'ready') throw new Error(outcome.status);
    const { stages, measured, advertised, stage } = outcome.pod;
    expect(stage).toBe('ready');
    expect(stages?.map((rung) => rung.stage)).toEqual([
      ...[
        'created',
        'running',
        'mapped',
        'tcp',
        'banner',
        'auth',
        'command',
        'gpu',
        'disk',
        'ready',
      ],
    ]);
    expect(stages?.find((rung) => rung.stage === 'running')?.seconds).toBeGreaterThanOrEqual(12);
    expect(measured).toMatchObject({ vcpu: 16, ramGb: 64, diskGb: 100, gpuCount: 1, vramGb: 24 });
    expect(advertised).toMatchObject({ vramGb: 24, diskGb: 500 });
  });

  it('waits while SSH is refused by the network [RE-04]', async () => {
    const bench = createLeaseBench();
    bench.world.ssh = new RemoteError('ssh_unreachable', 'refused');
    expect(await bench.create()).toMatchObject({
      status: 'provisioning',
      pod: { stage: 'mapped' },
    });
    bench.world.ssh = undefined;
    const { pod, reached } = await bench.pods.get(
      podIdOf(bench),
      { waitFor: 'ready', waitSeconds: 45 },
      bench.options,
    );
    expect([pod.status, reached]).toEqual(['ready', true]);
  });

  it('fails after a minute when the key is denied, not before [RE-08] [L-45] [L-02]', async () => {
    const bench = createLeaseBench();
    bench.world.ssh = new RemoteError('ssh_refused', 'denied');
    const first = await bench.create();
    expect(first).toMatchObject({ status: 'provisioning', pod: { stage: 'banner' } });
    bench.clock.advance(60);
    const { pod } = await look(bench);
    expect(pod).toMatchObject({ status: 'failed', problem: 'The pod refuses our SSH key.' });
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it.each([
    ['no GPU', [], '0 GPUs are visible and 1 are paid for.'],
    ['half the memory', ['NVIDIA GeForce RTX 4090, 12282'], '12 GB and 24 GB are paid for'],
  ])('fails a pod with %s [RE-13] [OF-17]', async (_what, gpuLines, why) => {
    const bench = createLeaseBench();
    bench.world.gpuLines = gpuLines;
    const outcome = await bench.create();
    expect(outcome).toMatchObject({ status: 'failed', attempts: [{ cleanup: 'gone' }] });
    expect(JSON.stringify(outcome.status === 'failed' && outcome.attempts)).toContain(why);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('gives up after half an hour [RE-01] [L-05] [L-11]', async () => {
    const bench = createLeaseBench();
    bench.cloud.faults.neverBoots = true;
    await bench.create();
    bench.clock.advance(1700);
    expect((await look(bench)).pod.status).toBe('provisioning');
    bench.clock.advance(100);
    expect((await look(bench)).pod.status).toBe('failed');
  });
});

function podIdOf(bench: LeaseBench) {
  const [machine] = bench.cloud.machines;
  if (machine === undefined) throw new Error('no machine');
  return machine.podId;
}
async function look(bench: LeaseBench) {
  return bench.pods.get(podIdOf(bench), { waitSeconds: 0 }, bench.options);
}
