import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Files, Gate } from '../../../src/core/files.ts';
import { jobIdSchema, podIdSchema } from '../../../src/core/ids.ts';
import { type Job, type Jobs, jobSchema } from '../../../src/core/job.ts';
import { profileSchema } from '../../../src/core/profile.ts';
import { reportSchema } from '../../../src/core/report.ts';
import { sessionRecordSchema } from '../../../src/core/session.ts';
import { createReports } from '../../../src/leases/reports.ts';
import { SESSION } from '../../support/fake-services.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

const JOB_ID = 'job_abcdefgh';
const aJob = (podId: string, changes: Partial<Job> = {}): Job =>
  jobSchema.parse({
    jobId: JOB_ID,
    podId,
    name: 'train',
    command: 'python train.py',
    cwd: '/workspace',
    folder: '/root/.gpu-lease/jobs/x',
    status: 'completed',
    exitCode: 0,
    artifacts: ['out/model.pt'],
    maxRuntimeMinutes: 60,
    createdAt: '2026-01-01T00:00:10.000Z',
    startedAt: '2026-01-01T00:00:10.000Z',
    endedAt: '2026-01-01T00:10:10.000Z',
    envNames: [],
    ...changes,
  });
const MISSING: Gate = { gate: 'artifact_not_fetched', path: 'out/model.pt', why: 'not home' };

async function rented() {
  const bench = createLeaseBench({ limits: { autoApproveUsd: 100 } });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  const jobs = {
    list: async () => Promise.resolve(bench.world.jobs),
    refresh: async () => Promise.resolve(bench.world.jobs),
    get: async () => Promise.resolve(aJob(podId)),
  } as Partial<Jobs> as Jobs;
  const files = {
    gates: async () => Promise.resolve(bench.world.gates),
  } as Partial<Files> as Files;
  const { store, pods, clock, signal } = bench;
  const sessions = {
    look: async () =>
      (await store.sessions.list()).map((session) => ({ ...session, state: 'busy' as const })),
  };
  const reports = createReports({ store, pods, jobs, files, sessions, clock });
  const report = async (target: Parameters<typeof reports.report>[0] = { podId }) =>
    reportSchema.parse(await reports.report(target, { signal }));
  const fetched = async () =>
    store.artifacts.put('a', {
      artifactId: 'a',
      podId,
      jobId: aJob(podId).jobId,
      remotePath: '/workspace/out/model.pt',
      localPath: '/home/me/model.pt',
      bytes: 3,
      sha256: 'f'.repeat(64),
      proof: 'loaded',
      fetchedAt: clock.now().toISOString(),
    });
  return { bench, podId, report, fetched };
}

describe('report', () => {
  it('says what it cost, what ran and what came home [RP-01] [RP-02]', async () => {
    const { bench, podId, report, fetched } = await rented();
    bench.world.jobs = [aJob(podId)];
    await fetched();
    bench.clock.advance(3600 - 12);
    const seen = await report();
    expect(seen).toMatchObject({
      podId,
      mode: 'managed',
      status: 'ready',
      gpu: 'NVIDIA GeForce RTX 4090',
      usdPerHour: 0.5,
      runtimeSeconds: 3600,
      jobs: [{ jobId: JOB_ID, status: 'completed', exitCode: 0, runtimeSeconds: 600 }],
      filesHome: [{ localPath: '/home/me/model.pt', proof: 'loaded' }],
      filesMissing: [],
      nextStep: 'Everything is home: end the meter with destroy.',
    });
    expect(seen.costUsd).toBeCloseTo(0.5);
  });

  it('keeps the three successes apart [RP-03]', async () => {
    const { bench, podId, report, fetched } = await rented();
    expect((await report()).success).toEqual({
      command: 'not_applicable',
      artifacts: 'not_applicable',
      scientific: 'unknown',
    });
    bench.world.jobs = [aJob(podId)];
    bench.world.gates = [MISSING];
    expect((await report()).success).toMatchObject({ command: 'yes', artifacts: 'no' });
    await fetched();
    expect((await report()).success).toMatchObject({ artifacts: 'partly' });
    bench.world.gates = [];
    expect((await report()).success).toMatchObject({ artifacts: 'yes', scientific: 'unknown' });
    bench.world.gates = [{ gate: 'not_checked', why: 'unreachable' }];
    expect((await report()).success).toMatchObject({ artifacts: 'unknown' });
    bench.world.jobs = [aJob(podId, { status: 'failed', exitCode: 1 })];
    expect((await report()).success).toMatchObject({ command: 'no' });
    bench.world.jobs = [aJob(podId, { status: 'running_unreachable' })];
    expect((await report()).success).toMatchObject({ command: 'unknown' });
  });

  it('names what is missing and one next step [RP-05] [RP-08]', async () => {
    const { bench, podId, report } = await rented();
    const fields = Object.entries(aJob(podId, { status: 'failed', notStarted: 'disk_full' }));
    bench.world.jobs = [
      jobSchema.parse(Object.fromEntries(fields.filter(([name]) => name !== 'exitCode'))),
    ];
    expect((await report()).errors).toEqual([
      `Job ${JOB_ID}: failed. It did not start: the disk of the pod is full.`,
    ]);
    bench.world.jobs = [aJob(podId, { status: 'failed', exitCode: 3 })];
    bench.world.gates = [MISSING];
    expect(await report({ jobId: aJob(podId).jobId })).toMatchObject({
      filesMissing: ['out/model.pt'],
      errors: [`Job ${JOB_ID}: failed with exit code 3`],
      nextStep: 'Bring the missing files home with fetch_artifacts.',
    });
    bench.world.jobs = [aJob(podId, { status: 'running' })];
    expect((await report()).nextStep).toContain('job_wait');
  });

  it('while a job runs it names each declared output of which nothing is home, and calls none whole', async () => {
    const { bench, podId, report, fetched } = await rented();
    const artifacts = ['out/model.pt', 'metrics.jsonl', 'ckpt/*.pt'];
    bench.world.jobs = [aJob(podId, { status: 'running', artifacts })];
    bench.world.gates = [{ gate: 'job_running', jobId: aJob(podId).jobId, why: 'running' }];
    await fetched();
    const seen = await report();
    expect(seen.filesMissing).toEqual(['metrics.jsonl', 'ckpt/*.pt']);
    expect(seen.success.artifacts).toBe('partly');
    bench.world.jobs = [aJob(podId, { status: 'running' })];
    expect(await report()).toMatchObject({ filesMissing: [], success: { artifacts: 'unknown' } });
  });

  it('of one job it tells nothing of the other jobs of the pod', async () => {
    const { bench, podId, report } = await rented();
    const other = jobIdSchema.parse('job_otherother');
    bench.world.jobs = [aJob(podId), aJob(podId, { jobId: other, artifacts: ['b.pt'] })];
    bench.world.gates = [{ ...MISSING, jobId: other, path: 'b.pt' }];
    const seen = await report({ jobId: aJob(podId).jobId });
    expect(seen.jobs.map(({ jobId }) => jobId)).toEqual([JOB_ID]);
    expect(seen.filesMissing).toEqual([]);
    expect((await report({ jobId: other })).filesMissing).toEqual(['b.pt']);
  });

  it('a file whose copy at home is older stands in one list only', async () => {
    const { bench, podId, report, fetched } = await rented();
    const { jobId } = aJob(podId);
    bench.world.jobs = [aJob(podId)];
    await fetched();
    bench.world.gates = [
      { gate: 'artifact_changed', jobId, path: 'out/model.pt', why: 'The pod holds a newer one.' },
    ];
    expect(await report()).toMatchObject({
      filesHome: [],
      filesMissing: ['out/model.pt (what is home is older)'],
      success: { artifacts: 'partly' },
    });
  });

  it('a broken file stands in one list only, is not to be fetched again, and once it is given up nothing is left to do', async () => {
    const { bench, podId, report, fetched } = await rented();
    const { jobId } = aJob(podId);
    bench.world.jobs = [aJob(podId)];
    await fetched();
    bench.world.gates = [
      { gate: 'artifact_broken', jobId, path: 'out/model.pt', why: 'It ends too early.' },
    ];
    const broken = {
      filesHome: [],
      filesMissing: [
        'out/model.pt (home at /home/me/model.pt, but failed its check: It ends too early)',
      ],
    };
    const before = await report();
    expect(before).toMatchObject(broken);
    expect(before.nextStep).toContain('run the job again');
    expect(before.nextStep).not.toContain('fetch_artifacts');
    const request = { discardUnfetched: true, reason: 'known', waitSeconds: 25 };
    await bench.pods.destroy(podId, request, bench.options);
    bench.clock.advance(9999);
    expect(await report()).toMatchObject({
      ...broken,
      status: 'gone',
      nextStep:
        'Nothing is left to do: the pod is gone. The named files are home as the job wrote them, and broken.',
      waiver: `1 open gate waived by person: known. Waived: artifact_broken "out/model.pt" of ${JOB_ID}`,
    });
  });

  it('what was noted of a shell is not told of a machine that nobody can look at', async () => {
    const { bench, podId, report } = await rented();
    await bench.store.sessions.put(
      SESSION,
      sessionRecordSchema.parse({
        sessionId: SESSION,
        podId,
        cwd: '/workspace',
        folder: '/root/.gpu-lease/s',
        terminal: 'pty',
        state: 'idle',
        openedAt: '2026-01-01T00:00:00.000Z',
      }),
    );
    // It was opened idle, and a command was typed since.
    expect((await report()).sessions).toMatchObject([{ state: 'busy' }]);
    bench.world.ssh = new RemoteError('ssh_unreachable', 'nobody there');
    expect(await report()).toMatchObject({
      status: 'unreachable',
      sessions: [{ state: 'unreachable' }],
    });
  });

  it('after the end it has the proof and the waiver [TD-19]', async () => {
    const { bench, podId, report } = await rented();
    bench.world.jobs = [aJob(podId)];
    bench.world.gates = [MISSING];
    bench.clock.advance(120);
    const request = { discardUnfetched: true, reason: 'a dead run', waitSeconds: 25 };
    await bench.pods.destroy(podId, request, bench.options);
    bench.clock.advance(9999);
    expect(await report()).toMatchObject({
      status: 'gone',
      runtimeSeconds: 132,
      destroyed: { how: 'Not found by its id and not in the list of vast.' },
      waiver: `1 open gate waived by person: a dead run. Waived: artifact_not_fetched "out/model.pt"`,
      filesMissing: ['out/model.pt'],
      nextStep: 'Nothing is left to do: the pod is gone, and the named files were given up.',
    });
  });

  it('who gave up a running job gave up what it had declared', async () => {
    const { bench, podId, report } = await rented();
    const { jobId } = aJob(podId);
    bench.world.jobs = [aJob(podId, { status: 'running' })];
    await bench.store.jobs.put(jobId, aJob(podId, { status: 'running' }));
    bench.world.gates = [{ gate: 'job_running', jobId, why: 'The job is running.' }];
    const request = { discardUnfetched: true, reason: 'wrong data', waitSeconds: 25 };
    await bench.pods.destroy(podId, request, bench.options);
    bench.clock.advance(9999);
    expect(await report()).toMatchObject({
      filesMissing: ['out/model.pt'],
      waiver: `1 open gate waived by person: wrong data. Waived: job_running of ${JOB_ID}`,
      nextStep: expect.stringContaining('were given up') as string,
    });
  });

  it('what was lost at a deadline nobody gave up', async () => {
    const { bench, podId, report } = await rented();
    bench.world.jobs = [aJob(podId)];
    bench.world.gates = [MISSING];
    for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
    bench.clock.advance(6 * 3600);
    await bench.pods.enforce(bench.options);
    expect(await report()).toMatchObject({
      status: 'gone',
      filesMissing: ['out/model.pt'],
      nextStep: expect.stringContaining('did not come home: run the job again') as string,
      waiver: expect.stringMatching(
        /its deadline \w+ \w+\. Waived: artifact_not_fetched/,
      ) as string,
    });
  });

  it('says of a machine of the user what is not tracked [RP-04] [MO-01] [MO-03]', async () => {
    const { bench, report } = await rented();
    const profile = profileSchema.parse({ profileId: 'mine', host: 'h', isDefault: false });
    await bench.store.profiles.put('mine', profile);
    const seen = await report({ podId: podIdSchema.parse('ssh:mine') });
    expect(seen).toMatchObject({ mode: 'user_managed', status: 'ready' });
    expect(seen.notTracked).toEqual([
      'cost',
      'deadline',
      'cleanup: nothing of ours stops or destroys this machine',
    ]);
    expect(seen.costUsd).toBeUndefined();
  });

  it('wants a pod or a job', async () => {
    const { report } = await rented();
    await expect(report({})).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
