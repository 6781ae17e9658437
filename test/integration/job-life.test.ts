import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { jobIdSchema, podIdSchema } from '../../src/core/ids.ts';
import { isTerminal, type JobReport, type JobRequest, type Jobs } from '../../src/core/job.ts';
import type { Store } from '../../src/core/store.ts';
import { createJobs, type JobsDeps } from '../../src/jobs/jobs.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createShellRemote } from '../support/shell-remote.ts';

const podId = podIdSchema.parse('local:shell');
const { signal } = new AbortController();
const options = { signal };

let home: string;
let pod: string;
let remote: ReturnType<typeof createShellRemote>;
let store: Store;
let jobs: Jobs;

beforeEach(async () => {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'gpu-lease-job-')));
  home = join(root, 'home');
  pod = join(root, 'pod');
  remote = createShellRemote(pod);
  await remote.exec(podId, ':', { ...options, timeoutSeconds: 10 });
  store = createMemoryStore();
  jobs = open();
});
afterEach(async () => {
  remote.down = false;
  for (const job of await jobs.list()) await jobs.cancel(job.jobId, options).catch(() => undefined);
  await eventually(async () => ((await ours()).length === 0 ? true : undefined));
  await rm(join(pod, '..'), { recursive: true, force: true, maxRetries: 5 });
});

function open(extra: Partial<JobsDeps> = {}): Jobs {
  return createJobs({
    remote,
    store,
    clock: systemClock,
    home,
    secrets: { value: (name) => SECRETS[name] },
    diagnose: () => [{ code: 'seen', class: 'unknown', retryable: 'no', remedy: 'none' }],
    graceSeconds: 1,
    ...extra,
  });
}
const SECRETS: Record<string, string> = {
  HF_TOKEN: `hf_very$secret'"value\n${'x'.repeat(20)}`,
  ID: 'short-name-secret-9431',
};

function request(command: string, extra: Partial<JobRequest> = {}): JobRequest {
  return { podId, command, env: {}, secretEnv: [], artifacts: [], maxRuntimeMinutes: 5, ...extra };
}
async function eventually<T>(look: () => Promise<T | undefined>, seconds = 20): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > end) throw new Error('It did not come true in time.');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
async function finish(jobId: string, by: Jobs = jobs): Promise<JobReport> {
  return eventually(async () => {
    const report = await by.wait(
      jobIdSchema.parse(jobId),
      { waitSeconds: 5, offset: 0, maxBytes: 40_000 },
      options,
    );
    return isTerminal(report.status) ? report : undefined;
  }, 40);
}
/** Living processes of this pod, by their home. */
async function ours(mark = pod): Promise<{ pid: number; cmdline: string; environ: string }[]> {
  const found = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const read = async (name: string) => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
    const environ = await read('environ');
    const state = /\) (\S)/.exec(await read('stat'))?.[1];
    if (environ.includes(mark) && environ.includes(`HOME=${pod}`) && state !== 'Z')
      found.push({ pid: Number(pid), cmdline: await read('cmdline'), environ });
  }
  return found;
}

describe('a job on a pod', () => {
  it('starts at once, runs to its end, and keeps its exit code [JO-01] [JO-06]', async () => {
    const { job, firstLines } = await jobs.start(
      request('echo one; echo bad >&2; pwd; exit 0'),
      options,
    );
    expect(firstLines).toContain('one\n');
    expect(job.folder).toBe(join(pod, '.gpu-lease/jobs', job.jobId));
    const report = await finish(job.jobId);
    expect(report).toMatchObject({ status: 'completed', exitCode: 0, work: { state: 'finished' } });
    expect(report.output).toBe(`one\n${pod}\n`);
    expect(report.diagnosis).toBeUndefined();
    expect((await jobs.get(job.jobId)).endedAt).toBeDefined();
  });

  it.each([
    ['exit 7', 7, undefined],
    ['false | tee out', 1, undefined],
    ['kill -9 $$', 137, 'SIGKILL'],
    ['sh -c "kill -SEGV \\$\\$"', 139, 'SIGSEGV'],
  ])('takes %j for a failure [JO-07]', async (command, exitCode, name) => {
    const { job } = await jobs.start(request(command), options);
    const report = await finish(job.jobId);
    expect(report).toMatchObject({ status: 'failed', exitCode, work: { state: 'broken' } });
    expect(report.signal).toBe(name);
    expect(report.diagnosis).toHaveLength(1);
  });
});
