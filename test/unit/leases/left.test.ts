import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ArtifactRecord, Gate } from '../../../src/core/files.ts';
import type { JobId, PodId } from '../../../src/core/ids.ts';
import type { Job } from '../../../src/core/job.ts';
import { notHomeOf } from '../../../src/core/unfetched.ts';
import { SharedClock } from '../../support/clock.ts';
import { aJob, JOB } from '../../support/fake-services.ts';
import { type BenchOptions, createLeaseBench } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

const START = '2026-01-01T00:00:00.000Z';
const RESCUED = path.resolve('/state/rescued');
const OPEN: Gate = {
  gate: 'artifact_not_fetched',
  jobId: JOB,
  path: 'out/model.pt',
  why: 'It is only on the pod.',
};
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A pod for an hour with a job that declared two outputs; one record for each of `home`. */
async function working(options: BenchOptions = {}, home: readonly Partial<ArtifactRecord>[] = []) {
  const receiptsFolder = await mkdtemp(path.join(tmpdir(), 'gl-left-'));
  folders.push(receiptsFolder);
  const rescue = { folder: RESCUED, files: { gates: async () => Promise.resolve([]), fetch } };
  const bench = createLeaseBench({
    clock: new SharedClock(),
    limits: { autoApproveUsd: 30 },
    receiptsFolder,
    care: { rescue },
    ...options,
  });
  const outcome = await bench.create({ ttlMinutes: 60 });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  const job = aJob({
    podId,
    status: 'completed',
    observedAt: START,
    artifacts: ['out/model.pt', 'log.txt'],
  });
  await bench.store.jobs.put(job.jobId, job);
  for (const record of home)
    await bench.store.artifacts.put(record.remotePath ?? '', aRecord(podId, record));
  const list = async (includeEnded = false) => bench.pods.list({ includeEnded }, bench.options);
  const papers = async (): Promise<string> => {
    const names = (await readdir(receiptsFolder)).filter((name) => name.endsWith('.md'));
    return readFile(path.join(receiptsFolder, names.at(-1) ?? ''), 'utf8');
  };
  return { bench, podId, job, list, papers };
}
const fetch = async (): Promise<never> => Promise.reject(new Error('nothing is fetched here'));
const aRecord = (podId: PodId, changes: Partial<ArtifactRecord> = {}): ArtifactRecord => ({
  artifactId: 'a',
  podId,
  jobId: JOB,
  remotePath: '/workspace/out/model.pt',
  localPath: '/home/me/results/out/model.pt',
  bytes: 1,
  sha256: 'a'.repeat(64),
  proof: 'loaded',
  fetchedAt: '2026-01-01T00:30:00.000Z',
  wholeOf: ['out/model.pt'],
  ...changes,
});
const NOTHING = [
  { jobId: JOB, path: 'out/model.pt', why: 'Nothing of it came home.' },
  { jobId: JOB, path: 'log.txt', why: 'Nothing of it came home.' },
];

describe('a pod that ended itself while nobody of ours lived [L-34] [TD-12]', () => {
  it('is seen gone by a listing: receipt, its text and the listing name what never came home', async () => {
    const { bench, podId, list, papers } = await working();
    bench.clock.advance(7200);
    const { ended } = await list();
    expect(ended).toMatchObject([
      { podId, why: 'its deadline had come', rescued: [], lost: NOTHING },
    ]);
    expect(await bench.pods.receipt(podId)).toMatchObject({ notHome: NOTHING });
    const [sealed] = await bench.store.chain.list();
    expect(sealed).toMatchObject({ ending: { by: 'pod' }, notHome: NOTHING });
    expect(await papers()).toContain(`## NOT HOME`);
    expect(await papers()).toContain(
      `- \`out/model.pt\` of \`${JOB}\`: \`Nothing of it came home.\``,
    );
  });

  it('is seen gone by a round: it says so, with the names, and asks the machine nothing', async () => {
    const { bench, podId } = await working();
    bench.clock.advance(7200);
    bench.world.silent.add(podId);
    const before = bench.clock.now().getTime();
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: gone already, its deadline has come. NOT HOME: "out/model.pt" of ${JOB}, "log.txt" of ${JOB}.`,
    ]);
    expect(bench.clock.now().getTime() - before).toBeLessThan(1000);
    expect(await bench.pods.receipt(podId)).toMatchObject({ notHome: NOTHING });
  });

  it('names what was rescued and where, and only the rest as lost', async () => {
    const localPath = path.join(RESCUED, 'vast-1000', JOB, 'out', 'model.pt');
    const { bench, podId, list } = await working({}, [{ localPath }]);
    bench.clock.advance(7200);
    const folder = path.join(RESCUED, 'vast-1000', JOB);
    expect(await bench.pods.enforce(bench.options)).toEqual([
      `${podId}: gone already, its deadline has come. Rescued: 1 file of ${JOB} in ${folder}. NOT HOME: "log.txt" of ${JOB}.`,
    ]);
    const told = {
      podId,
      rescued: [{ jobId: JOB, files: 1, folder }],
      lost: [{ path: 'log.txt' }],
    };
    expect((await list()).ended).toMatchObject([told]);
    bench.clock.advance(25 * 3600);
    expect((await list()).ended).toBeUndefined();
    expect((await list(true)).ended).toMatchObject([told]);
  });
});

it('a silent pod that nobody could look at is named in the receipt of its end', async () => {
  const { bench, podId } = await working({ cloud: { canHoldDeadlines: false } });
  for (const machine of bench.cloud.machines) machine.deadlineAt = '2999-01-01T00:00:00.000Z';
  bench.world.silent.add(podId);
  bench.clock.advance(3605);
  const [said] = await bench.pods.enforce(bench.options);
  expect(said).toContain(`NOT HOME: "out/model.pt" of ${JOB}, "log.txt" of ${JOB}.`);
  expect(await bench.pods.receipt(podId)).toMatchObject({
    waiver: { by: 'expiry', gates: [{ gate: 'not_checked' }] },
    notHome: NOTHING,
  });
});

describe('an end that somebody asked for', () => {
  it('after a look at all of it leaves nothing to tell', async () => {
    const { bench, podId, list } = await working();
    await bench.pods.destroy(podId, { discardUnfetched: false, waitSeconds: 25 }, bench.options);
    const receipt = await bench.pods.receipt(podId);
    expect(receipt).toMatchObject({ podId });
    expect(receipt).not.toHaveProperty('notHome');
    expect((await list()).ended).toBeUndefined();
  });

  it('names each gate that was waived, and none of them twice', async () => {
    const { bench, podId, papers } = await working();
    bench.world.gates = [OPEN, { gate: 'job_running', jobId: JOB, why: 'The job is running.' }];
    const waive = { discardUnfetched: true, reason: 'scrap', waitSeconds: 25 };
    await bench.pods.destroy(podId, waive, bench.options);
    expect(await bench.pods.receipt(podId)).toMatchObject({ waiver: { gates: bench.world.gates } });
    // Nobody asked for the files of a job that runs; the one that has a gate of its own is not named twice.
    expect(await bench.pods.receipt(podId)).toMatchObject({ notHome: [{ path: 'log.txt' }] });
    expect(await papers()).toContain(`- artifact_not_fetched \`out/model.pt\` of \`${JOB}\``);
    expect(await papers()).toContain(`- job_running of \`${JOB}\``);
  });
});

describe('what is known to be home, from records alone', () => {
  const ended: Partial<Job> = {
    status: 'completed',
    observedAt: START,
    artifacts: ['out/model.pt'],
  };
  const podId = aJob().podId;
  it.each<[string, Partial<Job>, Partial<ArtifactRecord> | undefined, string | undefined]>([
    ['all of it, after the end', {}, {}, undefined],
    ['nothing', {}, undefined, 'Nothing of it'],
    ['a part', {}, { wholeOf: [] }, 'Only a part of it'],
    [
      'what was there before the end',
      {},
      { fetchedAt: '2025-12-31T23:00:00.000Z' },
      'before the job',
    ],
    ['what was there while it ran', { status: 'running' }, {}, 'before the job'],
    [
      'what was there before the pod went',
      { status: 'lost', endedAt: '2026-01-01T01:00:00.000Z' },
      {},
      'before the job',
    ],
    ['a file of another job', {}, { jobId: 'job_zzzzzzzzzzzz' as JobId }, 'Nothing of it'],
    [
      'all of a glob',
      { artifacts: ['./out/{model,best}.[op]t'] },
      { wholeOf: ['out/{model,best}.[op]t'] },
      undefined,
    ],
    [
      'a file of a glob',
      { artifacts: ['out/{model,best}.[op]t'] },
      { wholeOf: [] },
      'Only a part of it',
    ],
    ['an absolute path', { artifacts: ['/workspace/out'] }, { wholeOf: ['out'] }, undefined],
  ])('%s', (_what, job, record, why) => {
    const records = record === undefined ? [] : [aRecord(podId, record)];
    const [found] = notHomeOf([aJob({ ...ended, ...job })], records);
    if (why === undefined) expect(found).toBeUndefined();
    else expect(found?.why).toContain(why);
  });

  it('no name of a file makes it throw, and every name means itself', () => {
    const part = fc
      .string({ minLength: 1 })
      .filter((name) => !/[/\0]/.test(name) && !/^\.+$/.test(name));
    fc.assert(
      fc.property(part, (name) => {
        const job = aJob({ ...ended, artifacts: [name] });
        const record = aRecord(podId, { remotePath: `/workspace/${name}`, wholeOf: [] });
        expect(notHomeOf([job], [record])).toMatchObject([
          { why: expect.stringContaining('part') as string },
        ]);
      }),
    );
  });
});
