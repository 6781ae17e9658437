import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Gate } from '../../../src/core/files.ts';
import type { Job } from '../../../src/core/job.ts';
import { aJob, JOB } from '../../support/fake-services.ts';
import { createLeaseBench, someTerms } from '../../support/lease-bench.ts';

const OPEN_GATE: Gate = { gate: 'artifact_not_fetched', path: 'model.pt', why: 'not home' };

async function rented(
  options: Parameters<typeof createLeaseBench>[0] = {},
  terms: Parameters<ReturnType<typeof createLeaseBench>['create']>[0] = {},
) {
  const bench = createLeaseBench({ limits: { autoApproveUsd: 3 }, ...options });
  const outcome = await bench.create(terms);
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  return { bench, podId: outcome.pod.podId, pod: outcome.pod };
}

describe('deadlines', () => {
  it('does nothing before the time has come', async () => {
    const { bench } = await rented({}, { ttlMinutes: 60 });
    bench.clock.advance(3500);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('says farewell a little before the pod ends itself, with its logs and transcripts [L-34]', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 60 });
    bench.clock.advance(3585);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: destroyed, its deadline is near.`,
    ]);
    expect(bench.world.farewells).toEqual(['logs', 'sessions', 'disconnect']);
    expect(bench.cloud.calls).toContain('terminatePod');
  });

  it('a short life gives up a sixth of itself at most, a pod that only stops nothing', async () => {
    const { bench } = await rented({}, { ttlMinutes: 1.5 });
    const [lease] = await bench.store.leases.list();
    const left = () => (Date.parse(lease?.deadlineAt ?? '') - bench.clock.now().getTime()) / 1000;
    bench.clock.advance(left() - 16);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    bench.clock.advance(2);
    expect((await bench.pods.enforce(bench.options))[0]).toContain('its deadline is near');
    const stops = await rented({ cloud: { canStop: true } }, { ttlMinutes: 60, onExpiry: 'stop' });
    const [stopping] = await stops.bench.store.leases.list();
    const end = Date.parse(stopping?.deadlineAt ?? '');
    stops.bench.clock.advance((end - stops.bench.clock.now().getTime()) / 1000 - 5);
    expect(await stops.bench.pods.enforce(stops.bench.options)).toEqual([]);
  });

  it('destroys at the deadline, and puts what was not fetched on record [L-34]', async () => {
    const { bench, podId } = await rented(
      { cloud: { canHoldDeadlines: false } },
      { ttlMinutes: 60 },
    );
    bench.world.gates = [OPEN_GATE];
    // The cloud of this test ends pods at their deadline; this one was told a later time.
    for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
    bench.clock.advance(3600);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: destroyed, its deadline has come. NOT HOME: "model.pt".`,
    ]);
    expect(bench.cloud.alive()).toEqual([]);
    expect(await bench.pods.receipt(podId)).toMatchObject({
      waiver: { by: 'expiry', gates: [OPEN_GATE] },
    });
    expect(bench.world.farewells).toContain('logs');
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
  });

  it('the deadline binds without us: the cloud was told it [CO-05]', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 60 });
    bench.clock.advance(7200);
    expect(bench.cloud.alive()).toEqual([]);
    await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    const receipt = await bench.pods.receipt(podId);
    expect(receipt).toMatchObject({ endedAt: '2026-01-01T01:00:00.000Z', estimatedUsd: 0.5 });
  });

  it('stops instead where that was agreed, once [CO-09]', async () => {
    const { bench, podId } = await rented(
      { cloud: { canStop: true } },
      { ttlMinutes: 60, onExpiry: 'stop' },
    );
    for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
    bench.clock.advance(3600);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: stopped, its deadline has come.`,
    ]);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    const { pod } = await bench.pods.get(
      podId,
      { waitFor: 'stopped', waitSeconds: 5 },
      bench.options,
    );
    expect(pod.status).toBe('stopped');
    bench.clock.advance(3600);
    const later = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(later.pod.spentUsd).toBeCloseTo(0.52, 2);
  });

  it('an unreadable deadline is told, never acted on [CO-06]', async () => {
    const { bench, podId } = await rented();
    const [lease] = await bench.store.leases.list();
    if (lease === undefined) throw new Error('no lease');
    await bench.store.leases.put(lease.leaseId, { ...lease, deadlineAt: 'soon' });
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: its deadline cannot be read. Nothing was done.`,
    ]);
    expect(bench.cloud.alive()).toHaveLength(1);
  });

  it('one cloud that fails stops no other lease from ending', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 60 });
    await bench.create({ ttlMinutes: 60 });
    for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
    bench.clock.advance(3600);
    bench.cloud.faults.terminateFails = 1;
    bench.cloud.faults.getFails = 1;
    const said = await bench.pods.enforce(bench.options);
    expect(said).toHaveLength(2);
    expect(said[0]).toContain(podId);
    await bench.pods.reconcile(bench.options);
    expect(bench.cloud.alive()).toEqual([]);
  });
});

describe('budgets', () => {
  it('warns once at 80 % and ends at 100 % [CO-03] [L-33]', async () => {
    const { bench, podId } = await rented({}, { budgetUsd: 1 });
    for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
    bench.clock.advance(1.6 * 3600);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: $0.80 of its budget of $1.00 are spent.`,
    ]);
    expect(await bench.pods.enforce(bench.options)).toEqual([]);
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod.problem).toContain('of its budget');
    bench.clock.advance(0.4 * 3600);
    expect((await bench.pods.enforce(bench.options))[0]).toContain('destroyed');
    expect(bench.cloud.alive()).toEqual([]);
  });
});

describe('update', () => {
  it('gives more time after consent, and tells the cloud', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 60 });
    const before = (await bench.pods.get(podId, { waitSeconds: 0 }, bench.options)).pod.deadlineAt;
    const { pod, deadlineBefore } = await bench.pods.update(
      podId,
      { ttlMinutes: 600 },
      bench.options,
    );
    expect(deadlineBefore).toBe(before);
    expect(bench.asked).toHaveLength(1);
    expect(pod.deadlineAt).toBe(bench.cloud.machines[0]?.deadlineAt);
    expect(Date.parse(pod.deadlineAt ?? '')).toBeGreaterThan(Date.parse('2026-01-01T10:00:00Z'));
  });

  it('changes nothing when consent is declined', async () => {
    const { bench, podId, pod } = await rented({}, { ttlMinutes: 60 });
    bench.world.answer = 'declined';
    await expect(
      bench.pods.update(podId, { ttlMinutes: 6000 }, bench.options),
    ).rejects.toMatchObject({ code: 'budget_exceeded' });
    const { pod: after } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(after.deadlineAt).toBe(pod.deadlineAt);
    expect(bench.cloud.calls).not.toContain('setDeadline');
  });

  it('quotes a client that cannot ask; the quote is taken once, for this pod alone, at no later an end [CO-04]', async () => {
    const { bench, podId, pod } = await rented({}, { ttlMinutes: 60 });
    bench.world.answer = 'unavailable';
    const asked = await bench.pods.update(podId, { ttlMinutes: 600, name: 'b' }, bench.options);
    expect(asked.pod).toMatchObject({ deadlineAt: pod.deadlineAt, name: pod.name });
    expect(bench.cloud.calls).not.toContain('setDeadline');
    const { quote } = asked;
    if (quote === undefined) throw new Error('There is no quote.');
    expect(quote).toMatchObject({
      usdPerHour: 0.5,
      notes: [expect.stringContaining('keep it until 2026-01-01T10:') as string],
      change: { podId, ttlMinutes: 600 },
    });
    expect(quote.maxUsd).toBeCloseTo(5, 1);
    const quoteId = quote.quoteId;
    const rent = { terms: someTerms(), quoteId, waitSeconds: 0 };
    await expect(bench.pods.create(rent, bench.options)).rejects.toMatchObject({
      code: 'quote_invalid',
      hint: expect.stringContaining('update_pod') as string,
    });
    bench.clock.advance(240);
    const done = await bench.pods.update(podId, { quoteId }, bench.options);
    expect(done.quote).toBeUndefined();
    expect(done.pod.name).toBe('b');
    // Four minutes of thinking make it four minutes shorter, not dearer than what was shown.
    expect(quote.notes?.[0]).toContain(done.pod.deadlineAt ?? '?');
    expect(bench.cloud.calls).toContain('setDeadline');
    await expect(bench.pods.update(podId, { quoteId }, bench.options)).rejects.toMatchObject({
      code: 'quote_invalid',
    });
  });

  it('a quote for another pod, for a rent, or one that is old changes nothing', async () => {
    const { bench, podId } = await rented({}, { ttlMinutes: 60 });
    const other = bench.cloud.foreign('by-hand', 2);
    bench.world.answer = 'unavailable';
    const { quote } = await bench.pods.update(podId, { ttlMinutes: 600 }, bench.options);
    const quoteId = quote?.quoteId;
    await expect(bench.pods.update(other, { quoteId }, bench.options)).rejects.toMatchObject({
      code: 'quote_invalid',
    });
    bench.clock.advance(301);
    await expect(bench.pods.update(podId, { quoteId }, bench.options)).rejects.toMatchObject({
      code: 'quote_invalid',
    });
    const rent = await bench.create({ ttlMinutes: 6000 }, 0);
    if (rent.status !== 'needs_confirmation') throw new Error(rent.status);
    await expect(
      bench.pods.update(podId, { quoteId: rent.quote.quoteId }, bench.options),
    ).rejects.toMatchObject({ code: 'quote_invalid' });
    expect(bench.cloud.calls).not.toContain('setDeadline');
  });

  it('less time than a job or its files need is told with both, by name [L-34]', async () => {
    const { bench, podId } = await rented({
      care: { rescue: { folder: '/state/rescued', files: {} as never } },
    });
    const runs = aJob({ podId, createdAt: '2026-01-01T00:00:00.000Z', maxRuntimeMinutes: 60 });
    const cautions = async (ttlMinutes: number) =>
      (await bench.pods.update(podId, { ttlMinutes }, bench.options)).cautions?.join(' ');
    bench.world.jobs = [runs];
    expect(await cautions(120)).toBe(
      `NOT HOME: "out/*.safetensors" of ${JOB}. Before the end it is brought to /state/rescued as far as there is time: fetch_artifacts is sure.`,
    );
    expect(await cautions(30)).toContain(
      `Job ${JOB} is running and may run until 2026-01-01T01:00:00.000Z: it ends when the pod ends, at 2026-01-01T00:30:`,
    );
    bench.world.jobs = [{ ...runs, status: 'completed', artifacts: [] }];
    expect(await cautions(20)).toBeUndefined();
    bench.world.jobs = [runs];
    expect(await cautions(25)).toBeUndefined();
  });

  it('less time needs no consent', async () => {
    const { bench, podId } = await rented();
    await bench.pods.update(podId, { ttlMinutes: 10 }, bench.options);
    expect(bench.asked).toEqual([]);
    expect(
      Date.parse(bench.cloud.machines[0]?.deadlineAt ?? '') - bench.clock.now().getTime(),
    ).toBe(600_000);
  });

  it('the limits bind here too [CO-12]', async () => {
    const { bench, podId } = await rented({ limits: { budgetUsd: 4, autoApproveUsd: 100 } });
    await expect(
      bench.pods.update(podId, { ttlMinutes: 1000 }, bench.options),
    ).rejects.toMatchObject({ code: 'budget_exceeded' });
  });

  it('keeps the old time when the cloud refuses the new one', async () => {
    const { bench, podId, pod } = await rented({
      cloud: {
        before: (call) => {
          if (call === 'setDeadline') throw new Error('no');
        },
      },
    });
    await expect(bench.pods.update(podId, { ttlMinutes: 500 }, bench.options)).rejects.toThrow(
      'no',
    );
    const after = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(after.pod.deadlineAt).toBe(pod.deadlineAt);
  });

  it('stops, says what is still charged, and starts at the foot of the ladder [TD-08] [CO-09]', async () => {
    const { bench, podId } = await rented({ cloud: { canStop: true } });
    const { pod, stillCharged } = await bench.pods.update(podId, { action: 'stop' }, bench.options);
    expect(pod.status).toBe('stopped');
    expect(stillCharged).toBe(
      'The disk is still charged. $0.0200 an hour, $0.48 a day, until it is destroyed.',
    );
    expect(bench.world.farewells).toEqual(['logs', 'sessions', 'disconnect']);
    bench.world.ssh = new RemoteError('ssh_unreachable', 'booting');
    const again = await bench.pods.update(podId, { action: 'start' }, bench.options);
    expect(again.pod).toMatchObject({ status: 'provisioning', stage: 'mapped' });
    bench.world.ssh = undefined;
    const { reached } = await bench.pods.get(
      podId,
      { waitFor: 'ready', waitSeconds: 30 },
      bench.options,
    );
    expect(reached).toBe(true);
  });

  it('does not stop a pod under a running job', async () => {
    const { bench, podId } = await rented({ cloud: { canStop: true } });
    bench.world.jobs = [{ status: 'running' } as Job];
    await expect(bench.pods.update(podId, { action: 'stop' }, bench.options)).rejects.toMatchObject(
      { code: 'job_running' },
    );
    expect(bench.cloud.calls).not.toContain('stopPod');
  });

  it('refuses where the cloud cannot stop [TD-09]', async () => {
    const { bench, podId } = await rented();
    await expect(bench.pods.update(podId, { action: 'stop' }, bench.options)).rejects.toMatchObject(
      { code: 'unsupported' },
    );
  });

  it('changes nothing on a pod that is being ended', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.terminateFails = 99;
    const request = { discardUnfetched: false, waitSeconds: 0 };
    await bench.pods.destroy(podId, request, bench.options);
    await expect(
      bench.pods.update(podId, { ttlMinutes: 600 }, bench.options),
    ).rejects.toMatchObject({ code: 'teardown_unconfirmed' });
  });

  it('renames', async () => {
    const { bench, podId } = await rented();
    expect(await bench.pods.update(podId, { name: 'ada' }, bench.options)).toMatchObject({
      pod: { name: 'ada' },
    });
  });
});

describe('adoption [OW-04]', () => {
  it('takes over a machine only when a person agreed to this very one', async () => {
    const { bench } = await rented();
    const podId = bench.cloud.foreign('by-hand', 2);
    await expect(bench.pods.update(podId, { name: 'x' }, bench.options)).rejects.toMatchObject({
      code: 'not_owned',
    });
    bench.world.answer = 'declined';
    await expect(bench.pods.update(podId, { adopt: true }, bench.options)).rejects.toMatchObject({
      code: 'not_owned',
    });
    bench.world.answer = 'unavailable';
    const asked = await bench.pods.update(podId, { adopt: true }, bench.options);
    expect(asked).toMatchObject({
      pod: { podId, mode: 'unmanaged' },
      quote: { maxUsd: 12, change: { podId, adopt: true } },
    });
    expect((await bench.store.leases.list()).map((lease) => lease.podId)).not.toContain(podId);
    bench.world.answer = 'accepted';
    const { pod } = await bench.pods.update(podId, { adopt: true, ttlMinutes: 60 }, bench.options);
    expect(bench.asked.at(-1)).toContain(podId);
    expect(pod).toMatchObject({ podId, mode: 'managed', usdPerHour: 2 });
    expect(pod.advertised).toBeUndefined();
    const request = { discardUnfetched: false, waitSeconds: 25 };
    bench.clock.advance(60);
    expect(await bench.pods.destroy(podId, request, bench.options)).toMatchObject({
      outcome: 'gone',
    });
  });

  it('never takes another machine for it, though they share a label [OW-03]', async () => {
    const { bench } = await rented();
    const podId = bench.cloud.foreign('train', 2);
    const other = bench.cloud.foreign('train', 2);
    await bench.pods.update(podId, { adopt: true, ttlMinutes: 60 }, bench.options);
    bench.clock.advance(120);
    bench.cloud.vanish(podId);
    const { pods } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(pods.map((pod) => [pod.podId, pod.mode])).toContainEqual([other, 'unmanaged']);
    await bench.pods.list({ includeEnded: false }, bench.options);
    await bench.pods.reconcile(bench.options);
    bench.clock.advance(7200);
    await bench.pods.enforce(bench.options);
    expect(bench.cloud.alive().map((machine) => machine.podId)).toContain(other);
  });

  it('takes over what was agreed to by a quote, where nobody can be asked by a form', async () => {
    const { bench } = await rented();
    const podId = bench.cloud.foreign('by-hand', 2);
    bench.world.answer = 'unavailable';
    const change = { adopt: true, ttlMinutes: 60 };
    const { quote } = await bench.pods.update(podId, change, bench.options);
    expect(quote).toMatchObject({ maxUsd: 2, usdPerHour: 2 });
    const quoteId = quote?.quoteId;
    const { pod } = await bench.pods.update(podId, { quoteId }, bench.options);
    expect(pod).toMatchObject({ podId, mode: 'managed' });
  });

  it('counts it in the limits', async () => {
    const { bench } = await rented({ limits: { maxPods: 1, autoApproveUsd: 9 } });
    const podId = bench.cloud.foreign('by-hand', 2);
    await expect(bench.pods.update(podId, { adopt: true }, bench.options)).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
  });
});
