import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Gate } from '../../../src/core/files.ts';
import { type PodId, podIdSchema } from '../../../src/core/ids.ts';
import type { Job } from '../../../src/core/job.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const OPEN_GATE: Gate = { gate: 'artifact_not_fetched', path: 'model.pt', why: 'not home' };

async function rented(options: Parameters<typeof createLeaseBench>[0] = {}) {
  const bench = createLeaseBench({ limits: { autoApproveUsd: 100 }, ...options });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  bench.clock.advance(3600);
  return { bench, podId: outcome.pod.podId };
}
const destroy = async (
  bench: LeaseBench,
  podId: PodId,
  request: { discardUnfetched?: boolean; reason?: string; waitSeconds?: number } = {},
) =>
  bench.pods.destroy(
    podId,
    { discardUnfetched: false, waitSeconds: 25, ...request },
    bench.options,
  );

describe('destroy', () => {
  it('ends in gone, with a receipt, after a farewell [TD-04] [TD-13] [TD-17] [L-50]', async () => {
    const { bench, podId } = await rented();
    const end = await destroy(bench, podId);
    if (end.outcome !== 'gone') throw new Error(end.outcome);
    expect(end.receipt).toMatchObject({
      podId,
      usdPerHour: 0.5,
      proof: { how: 'Not found by its id and not in the list of vast.' },
    });
    expect(end.receipt?.estimatedUsd).toBeCloseTo(0.5, 1);
    expect(bench.world.farewells).toEqual(['logs', 'sessions', 'disconnect']);
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('answers the same receipt the second time, without another order', async () => {
    const { bench, podId } = await rented();
    const first = await destroy(bench, podId);
    bench.clock.advance(1000);
    expect(await destroy(bench, podId)).toEqual(first);
    expect(bench.cloud.calls.filter((call) => call === 'terminatePod')).toHaveLength(1);
    expect(await bench.pods.receipt(podId)).toEqual('receipt' in first ? first.receipt : '');
  });

  it('does not take a 200 for the end: still listed is present, then gone [TD-04]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.lingers = 3;
    const end = await destroy(bench, podId, { waitSeconds: 1 });
    expect(end).toMatchObject({ outcome: 'present', pod: { status: 'destroying' } });
    expect(await bench.pods.receipt(podId)).toBeUndefined();
    await bench.pods.reconcile(bench.options);
    expect(await destroy(bench, podId)).toMatchObject({ outcome: 'gone' });
  });

  it('is unknown when the list fails, and never gone [TD-05] [L-12]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.listFails = 99;
    expect(await destroy(bench, podId)).toMatchObject({ outcome: 'unknown' });
    const [lease] = await bench.store.leases.list();
    expect(lease?.state).toBe('closing');
    bench.cloud.faults.listFails = 0;
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list())[0]?.state).toBe('closed');
    expect(await bench.pods.receipt(podId)).toBeDefined();
  });

  it('orders again while a pod does not go, and calls it cleanup_failed in the end [TD-06] [TD-12]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.terminateFails = 99;
    expect(await destroy(bench, podId)).toMatchObject({ outcome: 'present' });
    bench.clock.advance(180);
    const { pods } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(pods[0]).toMatchObject({ podId, status: 'cleanup_failed' });
    bench.cloud.faults.terminateFails = 1;
    expect(await destroy(bench, podId)).toMatchObject({ outcome: 'gone' });
  });

  it('looks for itself when an order hangs [TD-18]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.terminateHangs = 1;
    expect(await destroy(bench, podId, { waitSeconds: 0 })).toMatchObject({ outcome: 'gone' });
  });

  it('wants two looks for a pod younger than a minute [RE-11] [L-14]', async () => {
    const bench = createLeaseBench({ limits: { autoApproveUsd: 100 } });
    const created = await bench.create();
    if (created.status !== 'ready') throw new Error(created.status);
    expect(await destroy(bench, created.pod.podId, { waitSeconds: 0 })).toMatchObject({
      outcome: 'unknown',
    });
    expect(await destroy(bench, created.pod.podId)).toMatchObject({ outcome: 'gone' });
  });

  it('an abort stops the waiting, not the order', async () => {
    const abort = new AbortController();
    const { bench, podId } = await rented({
      cloud: {
        after: (call) => {
          if (call === 'terminatePod') abort.abort();
        },
      },
    });
    const request = { discardUnfetched: false, waitSeconds: 25 };
    await expect(
      bench.pods.destroy(podId, request, { ...bench.options, signal: abort.signal }),
    ).rejects.toThrow();
    await expect.poll(async () => bench.pods.receipt(podId), { timeout: 2000 }).toBeDefined();
  });
});

describe('the gate', () => {
  it('blocks while a declared file is not home, and touches nothing [TD-01] [TD-14] [L-49]', async () => {
    const { bench, podId } = await rented();
    bench.world.gates = [OPEN_GATE];
    const end = await destroy(bench, podId);
    expect(end).toMatchObject({ outcome: 'blocked', missing: [OPEN_GATE], pod: { podId } });
    expect(bench.cloud.calls).not.toContain('terminatePod');
    expect(bench.world.farewells).toEqual([]);
  });

  it('does not end a pod on which a job was started in the meantime', async () => {
    const { bench, podId } = await rented();
    const createdAt = new Date(bench.clock.now().getTime() + 1).toISOString();
    bench.world.jobs = [{ jobId: 'job_latelate', createdAt } as unknown as Job];
    await expect(destroy(bench, podId)).rejects.toMatchObject({ code: 'job_running' });
    expect(bench.cloud.calls).not.toContain('terminatePod');
    expect((await bench.store.leases.list())[0]?.state).toBe('open');
    bench.clock.advance(1);
    expect(await destroy(bench, podId)).toMatchObject({ outcome: 'gone' });
  });

  it('a waiver needs a reason [TD-02]', async () => {
    const { bench, podId } = await rented();
    bench.world.gates = [OPEN_GATE];
    await expect(destroy(bench, podId, { discardUnfetched: true })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await expect(
      destroy(bench, podId, { discardUnfetched: true, reason: '  ' }),
    ).rejects.toMatchObject({ code: 'invalid_input' });
    expect(bench.cloud.calls).not.toContain('terminatePod');
  });

  it.each([
    ['accepted', 'person'],
    ['unavailable', 'caller'],
  ] as const)('puts a waiver on record: %s means by the %s [TD-02] [OW-06]', async (answer, by) => {
    const { bench, podId } = await rented();
    bench.world.gates = [OPEN_GATE];
    bench.world.answer = answer;
    const end = await destroy(bench, podId, { discardUnfetched: true, reason: 'a dead run' });
    expect(end).toMatchObject({
      outcome: 'gone',
      receipt: { waiver: { by, reason: 'a dead run', gates: [OPEN_GATE] } },
    });
  });

  it('stays blocked when the person says no', async () => {
    const { bench, podId } = await rented();
    bench.world.gates = [OPEN_GATE];
    bench.world.answer = 'declined';
    const end = await destroy(bench, podId, { discardUnfetched: true, reason: 'a dead run' });
    expect(end).toMatchObject({ outcome: 'blocked', declined: true });
    expect(bench.cloud.alive()).toHaveLength(1);
    expect((await bench.store.log.list(podId)).at(-1)?.kind).toBe('waiver_declined');
  });

  it('asks nobody when nothing would be lost', async () => {
    const { bench, podId } = await rented();
    await destroy(bench, podId, { discardUnfetched: true });
    expect(bench.asked).toEqual([]);
  });
});

describe('machines that are not ours', () => {
  it('never ends a machine without a lease [OW-03] [TD-16]', async () => {
    const { bench } = await rented();
    const podId = bench.cloud.foreign('gl-looks-like-ours');
    await expect(
      destroy(bench, podId, { discardUnfetched: true, reason: 'x' }),
    ).rejects.toMatchObject({ code: 'not_owned' });
    await bench.pods.reconcile(bench.options);
    await bench.pods.enforce(bench.options);
    expect(bench.cloud.alive()).toHaveLength(2);
    expect(bench.cloud.calls).not.toContain('terminatePod');
  });

  it.each([
    ['ssh:mine', 'not_owned'],
    ['vast:nobody', 'not_found'],
  ])('answers %s with %s', async (id, code) => {
    const { bench } = await rented();
    await expect(destroy(bench, podIdSchema.parse(id))).rejects.toMatchObject({ code });
  });
});

describe('what the cloud says', () => {
  it('unknown when it does not answer, with what was known and when [L-20] [L-30]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.getFails = 1;
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod).toMatchObject({ status: 'unknown', observedAt: '2026-01-01T00:00:12.000Z' });
    expect(pod.measured).toMatchObject({ vcpu: 16 });
    expect(pod.problem).toContain('vast did not tell (provider_unavailable)');
    expect((await bench.store.leases.list())[0]?.state).toBe('open');
  });

  it('one missing answer is no end: the list decides', async () => {
    const { bench, podId } = await rented();
    bench.cloud.faults.getMisses = 1;
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod.status).toBe('ready');
  });

  it('sees a pod that somebody ended outside [RE-19] [L-16]', async () => {
    const { bench, podId } = await rented();
    bench.cloud.vanish(podId);
    const { pod, reached } = await bench.pods.get(
      podId,
      { waitFor: 'gone', waitSeconds: 45 },
      bench.options,
    );
    expect([pod.status, reached]).toEqual(['gone', true]);
    expect(pod.problem).toBe('It was ended outside of this server.');
    expect(await bench.pods.receipt(podId)).toBeDefined();
  });

  it('is unreachable when only SSH fails', async () => {
    const { bench, podId } = await rented();
    bench.world.ssh = new RemoteError('ssh_unreachable', 'cut');
    const { pod } = await bench.pods.get(podId, { waitSeconds: 0 }, bench.options);
    expect(pod.status).toBe('unreachable');
  });
});
