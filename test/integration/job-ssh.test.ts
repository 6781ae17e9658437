import { readdir, readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import type { JobId } from '../../src/core/ids.ts';
import { isTerminal, type JobReport, type JobRequest, type Jobs } from '../../src/core/job.ts';
import { createHealth } from '../../src/health/health.ts';
import { diagnoseJob } from '../../src/health/match.ts';
import { createJobs } from '../../src/jobs/jobs.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const { signal } = new AbortController();
const options = { signal };
const SECRET = 'gl-secret-value-731';

describe.each(MACHINES)('a job over SSH on $name', ({ open }) => {
  let machine: TestMachine;
  let jobs: Jobs;
  beforeEach(async () => {
    machine = await open();
    jobs = serve(machine.ssh.remote);
  });
  afterEach(async () => {
    for (const job of await jobs.list())
      await serve(machine.another().remote)
        .cancel(job.jobId, options)
        .catch(() => undefined);
    await machine[Symbol.asyncDispose]();
  });

  const serve = (remote: TestMachine['ssh']['remote']): Jobs =>
    createJobs({
      remote,
      store: machine.store,
      clock: systemClock,
      home: machine.home,
      secrets: { value: (name) => (name === 'TOKEN' ? SECRET : undefined) },
      redactor: machine.redactor,
      diagnose: diagnoseJob,
      graceSeconds: 1,
    });
  const request = (command: string, extra: Partial<JobRequest> = {}): JobRequest => ({
    podId: machine.podId,
    command,
    env: {},
    secretEnv: [],
    artifacts: [],
    maxRuntimeMinutes: 5,
    ...extra,
  });

  it('outlives a cut link, a hang-up and its server [JO-06] [JO-15]', async () => {
    const { job } = await jobs.start(
      request('for i in 1 2 3 4; do echo "step $i/4"; sleep 1; done'),
      options,
    );
    expect(job.status).toBe('running');
    await machine.cut();
    await machine.ssh.remote.disconnect(machine.podId);
    await machine.ssh[Symbol.asyncDispose]();
    const next = serve(machine.another().remote);
    const report = await finish(next, job.jobId);
    expect(report).toMatchObject({
      status: 'completed',
      exitCode: 0,
      output: 'step 1/4\nstep 2/4\nstep 3/4\nstep 4/4\n',
      progress: { done: 4, total: 4, unit: 'step', percent: 100 },
    });
  });

  it('is answered for at once while it runs on [JO-01]', async () => {
    await machine.ssh.remote.workFolder(machine.podId, options);
    const before = Date.now();
    const { firstLines } = await jobs.start(request('echo up; sleep 60'), options);
    expect(Date.now() - before).toBeLessThan(12_000);
    expect(firstLines).toBe('up\n');
  });

  it('fails when a part of a pipe fails, with a cause that fits [JO-07] [FA-01]', async () => {
    const { job } = await jobs.start(
      request('(echo "RuntimeError: CUDA out of memory. Tried" >&2; exit 1) | cat'),
      options,
    );
    const report = await finish(jobs, job.jobId);
    expect(report).toMatchObject({ status: 'failed', exitCode: 1 });
    expect(report.diagnosis?.[0]).toMatchObject({ code: 'D-050', class: 'oom_vram' });
  });

  it('leaves no process after a cancel, escaped ones neither [JO-19]', async () => {
    const { job } = await jobs.start(
      request('trap "" TERM; nohup setsid sleep 971 & (setsid sleep 972 &); sleep 973'),
      options,
    );
    await eventually(async () => ((await living(job.jobId)).length >= 3 ? true : undefined));
    const { job: after, processesGone } = await jobs.cancel(job.jobId, options);
    expect({ status: after.status, processesGone }).toEqual({
      status: 'cancelled',
      processesGone: 'yes',
    });
    expect(await living(job.jobId)).toEqual([]);
  });

  it('keeps its deadline while nobody is connected [JO-17]', async () => {
    const { job } = await jobs.start(
      request('trap "" TERM; setsid sleep 974 & sleep 975', { maxRuntimeMinutes: 4 / 60 }),
      options,
    );
    await machine.ssh[Symbol.asyncDispose]();
    await eventually(async () => ((await living(job.jobId)).length === 0 ? true : undefined));
    const report = await finish(serve(machine.another().remote), job.jobId);
    expect(report).toMatchObject({
      status: 'timed_out',
      diagnosis: [{ class: 'timeout' }],
    });
  });

  it('gets its secrets by no way that others can read [SC-02] [SC-03] [SC-05]', async () => {
    const { job } = await jobs.start(
      request('test "$TOKEN" = gl-secret-"value-731" && echo same; exec sleep 4', {
        secretEnv: ['TOKEN'],
        smokeCommand: 'test -n "$TOKEN" && exec sleep 4',
      }),
      options,
    );
    const codes = [SECRET, SECRET.slice(1), SECRET.slice(2)].map((text) =>
      Buffer.from(text).toString('base64').slice(0, 20),
    );
    const tells = (text: string): boolean => [SECRET, ...codes].some((code) => text.includes(code));
    const seen = { smoke: 0, command: 0, supervisor: 0 };
    await eventually(async () => {
      for (const pid of await readdir('/proc')) {
        if (!/^\d+$/.test(pid)) continue;
        const line = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
        const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
        expect(tells(line), line).toBe(false);
        if (line.includes(`${job.folder}/supervisor.sh`)) seen.supervisor += 1;
        if (environ.includes(`GPU_LEASE_JOB=${job.jobId}`)) {
          // The command has them, and nothing else of the job does.
          const phase = (await readFile(`${job.folder}/phase`, 'utf8')).trim();
          if (tells(environ)) seen[phase === 'smoke' ? 'smoke' : 'command'] += 1;
        } else if (!line.includes(`${job.folder}/run.sh`))
          expect(tells(environ), `${line}\n${environ}`).toBe(false);
      }
      return Object.values(seen).every((count) => count > 0) ? true : undefined;
    });
    const patterns = [
      'gl-secret-v""alue-731',
      ...codes.map((code) => `${code.slice(0, 9)}""${code.slice(9)}`),
    ];
    const names = `-exec grep -lsF ${patterns.map((pattern) => `-e ${pattern}`).join(' ')} -- {} +`;
    const look = `{ find "$HOME" /dev/shm -xdev -type f ${names}; find /tmp -maxdepth 2 -xdev -type f -mmin -5 ${names}; } 2>/dev/null; exit 0`;
    const left = async (): Promise<string> =>
      (
        await machine.ssh.remote.exec(machine.podId, look, { ...options, timeoutSeconds: 60 })
      ).stdout.toString();
    expect(await left()).toBe('');
    expect((await finish(jobs, job.jobId)).output).toBe('same\n');
    expect(await left()).toBe('');
  });

  it('tells no secret that it prints in halves, or at the edge of a page [KE-11]', async () => {
    machine.redactor.add(SECRET);
    const [half, rest] = [SECRET.slice(0, 9), SECRET.slice(9)];
    const { job } = await jobs.start(
      request(
        `printf 'x%.0s' 1 2 3 4 5 6; printf %s ${half}; while [ ! -e go ]; do sleep 0.1; done; echo ${rest}`,
      ),
      options,
    );
    const page = async (offset: number, maxBytes: number): Promise<string> =>
      (await jobs.logs(job.jobId, { stream: 'stdout', offset, maxBytes }, options)).output;
    await eventually(async () => ((await page(0, 100)).length > 0 ? true : undefined));
    expect(await page(0, 100)).toBe('xxxxxx');
    await machine.ssh.remote.exec(machine.podId, `: > ${job.cwd}/go`, {
      ...options,
      timeoutSeconds: 10,
    });
    await finish(jobs, job.jobId);
    expect(await page(0, 10)).toBe('xxxxxx');
    expect(await page(6, 40)).toMatch(/^\[redacted\]\**\n$/);
    for (const offset of [7, 12, 20]) expect(await page(offset, 40)).toMatch(/^\*+\n$/);
    const { output } = await jobs.logs(
      job.jobId,
      { stream: 'stdout', tailLines: 1, maxBytes: 8 },
      options,
    );
    expect(output).toMatch(/^\*{7}\n$/);
  });

  it('lives on a machine whose state is read in one look [WA-04] [HE-07] [HE-08]', async () => {
    const health = createHealth({ remote: machine.ssh.remote, jobs, clock: systemClock });
    const seen = await health.diagnose({ podId: machine.podId }, options);
    expect(['ok', 'warn', 'rerent']).toContain(seen.verdict);
    expect(seen.facts['diskTotalKb']).toBeGreaterThan(0);
    expect(seen.facts['memoryLimitBytes']).toBeGreaterThan(0);
  });
});

/** Living processes that carry the token of the job. */
async function living(jobId: JobId): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (environ.includes(`GPU_LEASE_JOB=${jobId}`)) found.push(pid);
  }
  return found;
}
async function finish(jobs: Jobs, jobId: JobId): Promise<JobReport> {
  return eventually(async () => {
    const report = await jobs.wait(jobId, { waitSeconds: 10, offset: 0, maxBytes: 9999 }, options);
    return isTerminal(report.status) ? report : undefined;
  });
}
async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + 40_000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > end) throw new Error('It did not come true in time.');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
