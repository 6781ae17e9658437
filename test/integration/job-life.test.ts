import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { RemoteError } from '../../src/core/errors.ts';
import { jobIdSchema, podIdSchema } from '../../src/core/ids.ts';
import {
  isTerminal,
  type Job,
  type JobReport,
  type JobRequest,
  type Jobs,
} from '../../src/core/job.ts';
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

describe('a wait', () => {
  const waited = async (command: string, waitSeconds: number, maxBytes = 10_000, extra = {}) => {
    const { job } = await jobs.start(request(command, extra), options);
    const begun = performance.now();
    const report = await jobs.wait(job.jobId, { waitSeconds, offset: 0, maxBytes }, options);
    return { report, seconds: (performance.now() - begun) / 1000 };
  };

  it('goes on while a job chats, and brings it all at once', async () => {
    const { report, seconds } = await waited('while :; do echo line; sleep 0.3; done', 5);
    expect(seconds).toBeGreaterThan(4);
    expect(report).toMatchObject({ status: 'running' });
    expect(report.output.split('\n').length).toBeGreaterThan(12);
  });

  it('ends with the job', async () => {
    const { report, seconds } = await waited('for i in 1 2 3 4; do echo $i; sleep 1; done', 30);
    expect(seconds).toBeLessThan(15);
    expect(report).toMatchObject({ status: 'completed', output: '1\n2\n3\n4\n' });
  });

  it('ends with a full page', async () => {
    const { report, seconds } = await waited('seq 1 100000; sleep 60', 30, 1000);
    expect(seconds).toBeLessThan(15);
    expect(report).toMatchObject({ status: 'running', nextOffset: 1000, hasMore: true });
  });

  it('ends when the smoke command has passed', async () => {
    const { report, seconds } = await waited('sleep 60', 30, 1000, { smokeCommand: 'sleep 4' });
    expect(seconds).toBeLessThan(15);
    expect(report).toMatchObject({ status: 'running' });
  });
});

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

  it('runs the smoke command first, and not the job when it fails [JO-33]', async () => {
    const bad = await jobs.start(
      request('touch ran', { smokeCommand: 'echo trying >&2; false | cat' }),
      options,
    );
    const report = await finish(bad.job.jobId);
    expect(report).toMatchObject({ status: 'failed', exitCode: 1 });
    expect(report.work.evidence.join(' ')).toContain('smoke command failed');
    expect(await readdir(pod)).not.toContain('ran');
    const log = await jobs.logs(bad.job.jobId, { stream: 'stderr', maxBytes: 1000 }, options);
    expect(log).toMatchObject({ output: 'trying\n', status: 'failed' });

    const good = await jobs.start(request('echo run', { smokeCommand: 'echo smoke' }), options);
    expect((await finish(good.job.jobId)).output).toBe('smoke\nrun\n');
  });

  it('ends at its deadline with nobody watching, with everything it started [JO-17]', async () => {
    const { job } = await jobs.start(
      request(
        'trap "" TERM; setsid nohup sleep 987 & (setsid sh -c "sleep 988 & sleep 989" &) ; sleep 990',
        { maxRuntimeMinutes: 2 / 60 },
      ),
      options,
    );
    await eventually(async () => ((await readdir(job.folder)).includes('exit') ? true : undefined));
    expect(await ours(job.jobId)).toEqual([]);
    const report = await finish(job.jobId);
    expect(report).toMatchObject({ status: 'timed_out', work: { state: 'broken' } });
    const log = await jobs.logs(job.jobId, { stream: 'supervisor', maxBytes: 5000 }, options);
    expect(log.output).toContain('The time limit of 2 s is over.');
  });

  it('cancels with everything it started, whatever it ignores or leaves [JO-19]', async () => {
    const { job } = await jobs.start(
      request('trap "" TERM HUP INT; nohup setsid sleep 981 & (setsid sleep 982 &); sleep 983'),
      options,
    );
    await eventually(async () => ((await ours(job.jobId)).length >= 3 ? true : undefined));
    const { job: cancelled, processesGone } = await jobs.cancel(job.jobId, options);
    expect(processesGone).toBe('yes');
    expect(cancelled.status).toBe('cancelled');
    expect(await ours(job.jobId)).toEqual([]);
    const again = await jobs.cancel(job.jobId, options);
    expect(again.job).toEqual(cancelled);
  });

  it('is left as it ended by a late cancel, which ends what it left running', async () => {
    const { job } = await jobs.start(request('nohup sleep 984 >/dev/null 2>&1 & exit 4'), options);
    expect(await finish(job.jobId)).toMatchObject({ status: 'failed', exitCode: 4 });
    expect(await ours(job.jobId)).not.toEqual([]);
    const log = await jobs.logs(job.jobId, { stream: 'supervisor', maxBytes: 5000 }, options);
    expect(log.output).toContain('left processes running');
    const late = await jobs.cancel(job.jobId, options);
    expect(late).toMatchObject({ job: { status: 'failed', exitCode: 4 }, processesGone: 'yes' });
    expect(await ours(job.jobId)).toEqual([]);
  });

  it('stays what it is when the link is down, and is found again [JO-15] [FA-10]', async () => {
    const { job } = await jobs.start(request('sleep 3; echo late'), options);
    remote.down = true;
    const report = await jobs.wait(job.jobId, { waitSeconds: 0, maxBytes: 100 }, options);
    expect(report).toMatchObject({ status: 'running_unreachable', work: { state: 'unknown' } });
    expect(report.observedAt).toBe((await jobs.get(job.jobId)).observedAt);
    await jobs.refresh(podId, options);
    expect((await jobs.get(job.jobId)).status).toBe('running_unreachable');
    await expect(jobs.cancel(job.jobId, options)).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    remote.down = false;
    expect(await finish(job.jobId)).toMatchObject({ status: 'completed', output: 'late\n' });
  });

  it('is known to the next server, and to two at once [JO-21]', async () => {
    const { job } = await jobs.start(request('echo a; sleep 2; echo b'), options);
    const next = open();
    const other = open();
    const [left, right] = await Promise.all([finish(job.jobId, next), finish(job.jobId, other)]);
    expect(left.output).toBe('a\nb\n');
    expect(right.output).toBe('a\nb\n');
    expect((await next.list(podId))[0]?.status).toBe('completed');
  });

  it('is lost, not failed, when its supervisor and processes are killed [JO-16]', async () => {
    const { job } = await jobs.start(request('sleep 985'), options);
    const all = await eventually(async () => {
      const found = (await ours()).filter(
        (each) => each.cmdline.includes(job.jobId) || each.environ.includes(job.jobId),
      );
      return found.length >= 2 ? found : undefined;
    });
    for (const { pid } of all) process.kill(pid, 'SIGKILL');
    const report = await finish(job.jobId);
    expect(report).toMatchObject({ status: 'lost', work: { state: 'broken' } });
    expect(report.exitCode).toBeUndefined();
    expect(report.work.evidence.join(' ')).toContain('killed from outside');
  });

  it('goes on without its supervisor, says so, and still ends at its deadline', async () => {
    const { job } = await jobs.start(request('sleep 986', { maxRuntimeMinutes: 8 / 60 }), options);
    for (const { pid, cmdline } of await ours())
      if (cmdline.includes(`${job.jobId}/supervisor.sh`)) process.kill(pid, 'SIGKILL');
    const report = await jobs.wait(job.jobId, { waitSeconds: 0, maxBytes: 100 }, options);
    expect(report.status).toBe('running');
    expect(report.work.evidence.join(' ')).toContain('supervisor on the pod was killed');
    expect(await finish(job.jobId)).toMatchObject({ status: 'timed_out' });
    expect(await ours(job.jobId)).toEqual([]);
  });

  it('is lost when the pod restarted meanwhile [FA-07]', async () => {
    const { job } = await jobs.start(request('sleep 979'), options);
    await jobs.wait(job.jobId, { waitSeconds: 0, maxBytes: 100 }, options);
    await writeFile(join(job.folder, 'boot'), 'another-boot/1\n');
    for (const { pid } of await ours()) process.kill(pid, 'SIGKILL');
    const report = await finish(job.jobId);
    expect(report.status).toBe('lost');
    expect(report.work.evidence.join(' ')).toContain('restarted');
  });

  it('never runs on a full disk: its own reason, and no exit code that nobody has [JO-27]', async () => {
    const strict = open({ diskFloorBytes: 2 ** 60 });
    const { job } = await strict.start(request('touch ran'), options);
    const report = await finish(job.jobId);
    expect(report).toMatchObject({
      status: 'failed',
      work: { state: 'broken', evidence: ['It did not start: the disk of the pod is full.'] },
    });
    expect(report).not.toHaveProperty('exitCode');
    expect(await jobs.get(job.jobId)).toMatchObject({ status: 'failed', notStarted: 'disk_full' });
    expect(await readdir(pod)).not.toContain('ran');
    const log = await jobs.logs(job.jobId, { stream: 'supervisor', maxBytes: 5000 }, options);
    expect(log.output).toMatch(/DISK: \d+ KiB free/);
    expect(log.output).toContain('Not started: disk_full.');
    expect(log.output).not.toContain('exit code');
  });

  it('ends when the disk runs low in the middle [JO-27]', async () => {
    const small = join(pod, 'small');
    await mkdir(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', small]);
    try {
      const tight = open({ diskFloorBytes: 8 << 20 });
      const { job } = await tight.start(
        request('sleep 2; head -c 12000000 /dev/zero >big; echo written; sleep 60', { cwd: small }),
        options,
      );
      const report = await finish(job.jobId);
      expect(report).toMatchObject({ status: 'failed', exitCode: 3, output: 'written\n' });
      expect(report.work.evidence.join(' ')).toContain('disk gate');
      expect(await ours(job.jobId)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('refuses outputs that no fetch and no gate could reach', async () => {
    await mkdir(join(pod, 'work'));
    for (const artifact of ['../out.pt', '/etc/passwd', '~/out.pt', 'a/../../b', `${pod}/other`])
      await expect(
        jobs.start(request('true', { cwd: 'work', artifacts: [artifact] }), options),
      ).rejects.toMatchObject({
        code: 'invalid_input',
        hint: expect.stringContaining('below cwd') as string,
      });
    expect(await jobs.list()).toEqual([]);
    const inside = [`${pod}/work/out.pt`, 'out/**', '.', './a/../b'];
    const { job } = await jobs.start(request('true', { cwd: 'work', artifacts: inside }), options);
    expect((await finish(job.jobId)).status).toBe('completed');
  });

  it('that ends and leaves a process says so, and a late cancel ends it', async () => {
    const { job } = await jobs.start(request('setsid sleep 300 & echo ready'), options);
    const report = await finish(job.jobId);
    expect(report.status).toBe('completed');
    expect(report.work.evidence.join(' ')).toMatch(
      /1 process that it started still runs.*job_cancel/,
    );
    expect((await jobs.cancel(job.jobId, options)).processesGone).toBe('yes');
    const after = await jobs.wait(job.jobId, { waitSeconds: 0, offset: 0, maxBytes: 99 }, options);
    expect(after.work.evidence.join(' ')).not.toContain('still run');
  });

  it('that prints a traceback and ends with 0 is completed, and not believed blindly', async () => {
    const { job } = await jobs.start(
      request("printf 'Traceback (most recent call last):\\n  boom\\n' >&2; exit 0"),
      options,
    );
    const report = await finish(job.jobId);
    expect(report.status).toBe('completed');
    expect(report.work.evidence.join(' ')).toContain('Python traceback');
  });

  it('gets its secrets and its shell whatever PATH the caller sets', async () => {
    const { job } = await jobs.start(
      request('echo "$PATH ${#HF_TOKEN}"; printf x >out', {
        env: { PATH: '/nowhere', LD_PRELOAD: '' },
        secretEnv: ['HF_TOKEN'],
      }),
      options,
    );
    const report = await finish(job.jobId);
    const length = SECRETS['HF_TOKEN']?.length ?? 0;
    expect(report).toMatchObject({ status: 'completed', output: `/nowhere ${length}\n` });
  });

  it('has a deadline that its pod can count', async () => {
    for (const maxRuntimeMinutes of [0, -1, 1e300, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(
        jobs.start(request('true', { maxRuntimeMinutes }), options),
      ).rejects.toMatchObject({ code: 'invalid_input' });
    const { job } = await jobs.start(request('sleep 60', { maxRuntimeMinutes: 1e-9 }), options);
    expect((await finish(job.jobId)).status).toBe('timed_out');
  });

  it('gives secrets to the command alone: no file, no argument, no record [SC-01] [SC-02] [SC-03] [SC-05]', async () => {
    const { job } = await jobs.start(
      request(
        'printf "%s" "$HF_TOKEN" | cksum; printf "%s" "$ID"; echo " $PLAIN $PYTHONUNBUFFERED"; env | grep -c GPU_LEASE_; sleep 2',
        { secretEnv: ['HF_TOKEN', 'ID'], env: { PLAIN: "a'b $c" } },
      ),
      options,
    );
    const values = Object.values(SECRETS);
    const leaked = (text: string): boolean =>
      values.some(
        (value) =>
          text.includes(value) || text.includes(Buffer.from(value).toString('base64').slice(0, 16)),
      );
    for (const { cmdline } of await ours()) expect(leaked(cmdline)).toBe(false);
    const report = await finish(job.jobId);
    const sum = createCksum(SECRETS['HF_TOKEN'] ?? '');
    expect(report.output).toBe(`${sum}\n${SECRETS['ID'] ?? ''} a'b $c 1\n1\n`);
    for (const name of await readdir(job.folder))
      if (name !== 'stdout' && name !== 'launch')
        expect(leaked(await readFile(join(job.folder, name), 'latin1')), name).toBe(false);
    expect(leaked(JSON.stringify(await jobs.get(job.jobId)))).toBe(false);
    expect((await jobs.get(job.jobId)).envNames).toEqual(['PLAIN', 'HF_TOKEN', 'ID']);
  });

  it('runs the command as it was given, byte for byte [JO-32]', async () => {
    const { job } = await jobs.start(
      request("printf '%s' 'a\"b'\\''c$HOME`x`\\n'; echo \"é\""),
      options,
    );
    expect((await finish(job.jobId)).output).toBe('a"b\'c$HOME`x`\\né\n');
  });

  it('takes a long command, refuses a longer one [JO-05]', async () => {
    const { job } = await jobs.start(request(`: ${'x'.repeat(250_000)}\necho end`), options);
    expect((await finish(job.jobId)).output).toBe('end\n');
    await expect(jobs.start(request('x'.repeat(10_000_000)), options)).rejects.toMatchObject({
      code: 'too_large',
    });
    for (const command of ['', ' \n', 'a\0b'])
      await expect(jobs.start(request(command), options)).rejects.toMatchObject({
        code: 'invalid_input',
      });
    await expect(jobs.start(request('x', { env: { 'a-b': '1' } }), options)).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await expect(
      jobs.start(request('x', { secretEnv: ['MISSING_ONE'] }), options),
    ).rejects.toMatchObject({ code: 'config_missing' });
    await expect(jobs.start(request('x', { cwd: 'no-such' }), options)).rejects.toMatchObject({
      code: 'path_missing',
    });
  });

  it('does not start the same command twice in one folder [MO-15]', async () => {
    const { job } = await jobs.start(request('sleep 978'), options);
    const second = jobs.start(request('sleep 978'), options);
    await expect(second).rejects.toMatchObject({ code: 'job_running' });
    await expect(second).rejects.toThrow(job.jobId);
    await jobs.cancel(job.jobId, options);
    const third = await jobs.start(request('sleep 978'), options);
    expect(third.job.status).toBe('running');
  });

  it('lets SIGINT through to the command', async () => {
    const { job } = await jobs.start(
      request("trap 'echo got; exit 0' INT; echo up; while :; do sleep 0.1; done"),
      options,
    );
    await eventually(async () => ((await ours(job.jobId)).length > 0 ? true : undefined));
    const [pid] = (await readFile(join(job.folder, 'group'), 'utf8')).split(' ');
    process.kill(Number(pid), 'SIGINT');
    expect(await finish(job.jobId)).toMatchObject({ status: 'completed', output: 'up\ngot\n' });
  });

  it('pages 10 MB in one line, and bytes that are no text, by stable offsets', async () => {
    const { job } = await jobs.start(
      request("head -c 10000000 /dev/zero | tr '\\0' x; printf '\\377\\376 end \\303'"),
      options,
    );
    const report = await finish(job.jobId);
    expect(report.output).toHaveLength(40_000);
    const tail = await jobs.logs(
      job.jobId,
      { stream: 'stdout', maxBytes: 100, offset: 9_999_999 },
      options,
    );
    expect(tail).toMatchObject({
      output: 'x\ufffd\ufffd end \ufffd',
      nextOffset: 10_000_008,
      hasMore: false,
    });
    const beyond = await jobs.logs(
      job.jobId,
      { stream: 'stdout', maxBytes: 9, offset: 1e12 },
      options,
    );
    expect(beyond).toMatchObject({ output: '', offset: 10_000_008, nextOffset: 10_000_008 });
  });

  it('goes on in the next wait where the last one ended', async () => {
    const { job } = await jobs.start(request('sleep 2; echo news; sleep 30'), options);
    const report = await jobs.wait(job.jobId, { waitSeconds: 5, maxBytes: 100 }, options);
    expect(report).toMatchObject({
      output: 'news\n',
      status: 'running',
      work: { state: 'working' },
    });
    const more = await jobs.wait(job.jobId, { waitSeconds: 1, maxBytes: 100 }, options);
    expect(more.offset).toBe(5);
  });

  it('brings logs home once, and never trades a copy for nothing', async () => {
    const { job } = await jobs.start(request('echo kept; echo err >&2'), options);
    await finish(job.jobId);
    let calls = 0;
    const counted = open({
      remote: {
        ...remote,
        exec: async (...parameters) => {
          calls += 1;
          return remote.exec(...parameters);
        },
        stream: async (...parameters) => {
          calls += 1;
          return remote.stream(...parameters);
        },
      },
    });
    await counted.collectLogs(podId, options);
    expect(calls).toBeLessThanOrEqual(4);
    calls = 0;
    await counted.collectLogs(podId, options);
    expect(calls).toBe(1);
    const copy = join(home, 'jobs', job.jobId, 'stdout.log');
    expect(await readFile(copy, 'utf8')).toBe('kept\n');
    // The folder is lost on the pod: what is here stays.
    await rm(job.folder, { recursive: true });
    await counted.collectLogs(podId, options);
    expect(await readFile(copy, 'utf8')).toBe('kept\n');
    const page = await jobs.logs(job.jobId, { stream: 'stdout', maxBytes: 100 }, options);
    expect(page.output).toBe('kept\n');
  });

  it('searches and tails logs, and keeps them when the pod is gone', async () => {
    const { job } = await jobs.start(
      request('for i in 1 2 3 4 5; do echo "line $i"; done; echo "Loss nan" >&2'),
      options,
    );
    await finish(job.jobId);
    const check = async (): Promise<void> => {
      const tail = await jobs.logs(
        job.jobId,
        { stream: 'stdout', maxBytes: 999, tailLines: 2 },
        options,
      );
      expect(tail).toMatchObject({ output: 'line 4\nline 5\n', offset: 21, nextOffset: 35 });
      const hits = await jobs.logs(
        job.jobId,
        { stream: 'stdout', maxBytes: 999, grep: 'LINE 3' },
        options,
      );
      expect(hits).toMatchObject({ output: 'line 3\n', hasMore: false });
      const errors = await jobs.logs(job.jobId, { stream: 'stderr', maxBytes: 999 }, options);
      expect(errors.output).toBe('Loss nan\n');
    };
    await check();
    await jobs.collectLogs(podId, options);
    const copy = join(home, 'jobs', job.jobId, 'stdout.log');
    expect((await stat(copy)).mode & 0o777).toBe(0o600);
    remote.down = true;
    await check();
    expect((await jobs.get(job.jobId)).logsPath).toBe(join(home, 'jobs', job.jobId));
    await jobs.collectLogs(podId, options);
  });
});

describe('a lost start', () => {
  /** Runs the launch on the pod or not, then loses its answer. */
  function losing(runs: boolean): JobsDeps['remote'] {
    let lost = false;
    return {
      ...remote,
      workFolder: async (id, workOptions) => remote.workFolder(id, workOptions),
      exec: async (id, script, execOptions) => {
        if (!lost && script.includes('GL_STAGE=')) {
          lost = true;
          if (runs) await remote.exec(id, script, execOptions);
          throw new RemoteError('link_lost', 'The link broke.');
        }
        return remote.exec(id, script, execOptions);
      },
    };
  }

  it('is found by looking, and started once [OW-07]', async () => {
    const { job } = await open({ remote: losing(true) }).start(
      request('echo once >>count'),
      options,
    );
    await finish(job.jobId);
    expect(await readFile(join(pod, 'count'), 'utf8')).toBe('once\n');
  });

  it('that never reached the pod is made final, so that it cannot begin later', async () => {
    await expect(
      open({ remote: losing(false) }).start(request('touch ran'), options),
    ).rejects.toMatchObject({ code: 'link_lost', hint: 'Call job_start again.' });
    const [job] = await jobs.list();
    expect(job?.status).toBe('lost');
    expect(await readdir(pod)).not.toContain('ran');
  });

  it('of a server that died between record and pod is resolved by the next', async () => {
    const { job } = await jobs.start(request('true'), options);
    await finish(job.jobId);
    const orphan: Job = {
      jobId: jobIdSchema.parse('job_neverstarted1'),
      podId,
      name: job.name,
      command: job.command,
      cwd: job.cwd,
      folder: job.folder.replace(job.jobId, 'job_neverstarted1'),
      status: 'bootstrapping',
      artifacts: [],
      maxRuntimeMinutes: 5,
      createdAt: new Date(Date.now() - 3_600_000).toISOString(),
      envNames: [],
    };
    await store.jobs.put(orphan.jobId, orphan);
    const report = await finish(orphan.jobId);
    expect(report).toMatchObject({ status: 'lost' });
    expect(report.work.evidence.join(' ')).toContain('never started');
  });

  it('leaves no record when the pod could not be reached at all', async () => {
    remote.down = true;
    await expect(jobs.start(request('true'), options)).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    expect(await jobs.list()).toEqual([]);
  });
});

function createCksum(text: string): string {
  return execFileSync('cksum', { input: text }).toString().trim();
}
