import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  appendFile,
  mkdir,
  mkdtemp,
  open,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { type JobId, podIdSchema } from '../../src/core/ids.ts';
import { isTerminal, type Job, type JobReport, type Jobs } from '../../src/core/job.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { Remote } from '../../src/core/remote.ts';
import { createJobs, type JobsDeps } from '../../src/jobs/jobs.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { processesBelow } from '../support/built-server.ts';
import { MACHINES } from '../support/machines.ts';
import { createShellRemote } from '../support/shell-remote.ts';

const podId = podIdSchema.parse('local:shell');
const { signal } = new AbortController();
const options = { signal };
const PATH = process.env['PATH'];
const GIB = 2 ** 30;

let root: string;
let pod: string;
let remote: Remote;
const started: { readonly jobs: Jobs; readonly jobId: JobId }[] = [];

beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'gpu-lease-trouble-')));
  pod = path.join(root, 'pod');
  await mkdir(pod);
  remote = createShellRemote(pod);
});
afterEach(async () => {
  process.env['PATH'] = PATH;
  for (const { jobs, jobId } of started.splice(0)) await jobs.cancel(jobId, options);
  await rm(root, { recursive: true, force: true, maxRetries: 5 });
});

function serve(extra: Partial<JobsDeps> = {}): Jobs {
  return createJobs({
    remote,
    store: createMemoryStore(),
    clock: systemClock,
    home: path.join(root, 'home'),
    secrets: { value: () => undefined },
    diagnose: () => [],
    graceSeconds: 1,
    ...extra,
  });
}
async function begin(jobs: Jobs, command: string, maxRuntimeMinutes = 5): Promise<Job> {
  const request = { podId, command, env: {}, secretEnv: [], artifacts: [], maxRuntimeMinutes };
  const { job } = await jobs.start(request, options);
  started.push({ jobs, jobId: job.jobId });
  return job;
}
async function finish(jobs: Jobs, jobId: JobId): Promise<JobReport> {
  const request = { waitSeconds: 5, offset: 0, maxBytes: 10_000 };
  const end = Date.now() + 40_000;
  for (;;) {
    const report = await jobs.wait(jobId, request, options);
    if (isTerminal(report.status)) return report;
    if (Date.now() > end) throw new Error('The job did not end in time.');
  }
}

const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((file) => existsSync(file));
describe.each(['the tools of this system', ...(BUSYBOX === undefined ? [] : ['busybox'])])(
  'a log of 10 GiB, read with %s',
  (tools) => {
    it('costs one page, wherever it is read [JO-22]', async () => {
      const jobs = serve();
      const { jobId, folder } = await begin(jobs, 'echo first; sleep 300');
      const log = path.join(folder, 'stdout');
      const handle = await open(log, 'r+');
      await handle.truncate(10 * GIB);
      await handle.close();
      await appendFile(log, 'before the end\nthe very end\n');
      if (tools === 'busybox') await onlyBusybox();

      const before = process.memoryUsage().rss;
      const begun = Date.now();
      const read = async (request: { offset?: number; tailLines?: number; grep?: string }) =>
        jobs.logs(jobId, { stream: 'stdout', maxBytes: 10_000, ...request }, options);
      expect(await read({ offset: 10 * GIB + 15 })).toMatchObject({
        output: 'the very end\n',
        offset: 10 * GIB + 15,
        nextOffset: 10 * GIB + 28,
        hasMore: false,
      });
      expect(await read({ tailLines: 1 })).toMatchObject({ output: 'the very end\n' });
      expect(await read({ offset: 10 * GIB, grep: 'VERY' })).toMatchObject({
        output: 'the very end\n',
      });
      expect(await read({ offset: 0 })).toMatchObject({ offset: 0, hasMore: true });
      const middle = await read({ offset: 7 * GIB + 12_345 });
      expect(middle).toMatchObject({ offset: 7 * GIB + 12_345, hasMore: true });
      expect(middle.nextOffset - middle.offset).toBe(10_000);
      const report = await jobs.wait(
        jobId,
        { waitSeconds: 0, offset: 10 * GIB, maxBytes: 1000 },
        options,
      );
      expect(report).toMatchObject({ status: 'running', output: 'before the end\nthe very end\n' });
      await jobs.collectLogs(podId, options);
      const copy = await readFile(path.join(root, 'home/jobs', jobId, 'stdout.log'));
      expect(copy.length).toBe(20 << 20);
      expect(copy.subarray(-13).toString()).toBe('the very end\n');
      // Reading 10 GiB once takes more than this on any machine that runs these tests.
      expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
      expect(Date.now() - begun).toBeLessThan(30_000);
    }, 60_000);
  },
);

/** From now on the pod has the tools of busybox first. */
async function onlyBusybox(): Promise<void> {
  const bin = path.join(root, 'bin');
  await mkdir(bin);
  for (const name of ['ls', 'dd', 'tail', 'head', 'wc', 'tr', 'date', 'df', 'grep', 'base64'])
    await symlink(BUSYBOX ?? '', path.join(bin, name));
  process.env['PATH'] = `${bin}:${PATH ?? ''}`;
}

describe('copies of logs at home', () => {
  it('bring only what is new, and mask a secret that lay across the end of the last copy', async () => {
    const secret = 'sec-5c1f0a-across-two-copies';
    const redactor = new Redactor();
    redactor.add(secret);
    let bytes = 0;
    const counting: Remote = {
      ...remote,
      async stream(id, script, { stdout, ...rest }) {
        const counter = new PassThrough();
        counter.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
        });
        const [end] = await Promise.all([
          remote.stream(id, script, { ...rest, stdout: counter }),
          stdout === undefined ? undefined : pipeline(counter, stdout),
        ]);
        return end;
      },
    };
    const jobs = serve({ remote: counting, redactor });
    const { jobId, folder } = await begin(jobs, 'sleep 300');
    const log = path.join(folder, 'stdout');
    const first = `${'x'.repeat(3 << 20)}\n${secret.slice(0, 12)}`;
    await appendFile(log, first);
    await jobs.collectLogs(podId, options);
    expect(bytes).toBeGreaterThan(first.length);
    bytes = 0;
    const rest = `${secret.slice(12)} and more\n`;
    await appendFile(log, rest);
    await jobs.collectLogs(podId, options);
    expect(bytes).toBeLessThan(2000);
    const copy = await readFile(path.join(root, 'home/jobs', jobId, 'stdout.log'), 'utf8');
    expect(copy.length).toBe(first.length + rest.length);
    expect(copy).not.toContain(secret);
    expect(copy.slice(3 << 20)).toMatch(/^\n\[redacted\]\*+ and more\n$/);
  });

  it('keep their last 20 MiB while the log grows, byte for byte', async () => {
    const jobs = serve();
    const { jobId, folder } = await begin(jobs, 'sleep 300');
    const log = path.join(folder, 'stdout');
    for (let round = 0; round < 4; round += 1) {
      await appendFile(log, Buffer.alloc(7 << 20, `round ${round} of this log; `));
      await jobs.collectLogs(podId, options);
    }
    const all = await readFile(log);
    const copy = await readFile(path.join(root, 'home/jobs', jobId, 'stdout.log'));
    expect(copy.equals(all.subarray(-(20 << 20)))).toBe(true);
  });
});

describe('a job on a pod in trouble', () => {
  it('keeps its true exit code when nothing more fits on the disk', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', pod]);
    try {
      const jobs = serve({ diskFloorBytes: 0 });
      const full = 'head -c 9000000 /dev/zero >fill; echo late; test -s fill && exit 7';
      const report = await finish(jobs, (await begin(jobs, `sleep 1; ${full}`)).jobId);
      expect(report).toMatchObject({ status: 'failed', exitCode: 7 });
    } finally {
      started.splice(0);
      execFileSync('umount', ['-l', pod]);
    }
  });

  it('is cancelled, and says so, on a disk without a byte left', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', pod]);
    try {
      const jobs = serve({ diskFloorBytes: 0 });
      const { jobId } = await begin(jobs, 'head -c 9000000 /dev/zero >fill; sleep 300');
      const full = Date.now() + 20_000;
      while (
        execFileSync('df', ['--output=avail', pod], { encoding: 'utf8' }).trim().at(-1) !== '0'
      )
        if (Date.now() > full) throw new Error('The disk did not fill up.');
      const { job, processesGone } = await jobs.cancel(jobId, options);
      expect(processesGone).toBe('yes');
      expect(job.status).toBe('cancelled');
    } finally {
      started.splice(0);
      execFileSync('umount', ['-l', pod]);
    }
  });

  it.each([
    ['ahead', 400 * 86_400],
    ['back', -400 * 86_400],
  ])(
    'whose clock is set far %s runs as long as it may, and its runtime stays true',
    async (_way, jump) => {
      const shift = path.join(root, 'shift');
      await writeFile(shift, '0');
      const bin = path.join(root, 'bin');
      await mkdir(bin);
      const date = execFileSync('sh', ['-c', 'command -v date'], { encoding: 'utf8' }).trim();
      await writeFile(
        path.join(bin, 'date'),
        `#!/bin/sh\n[ "$*" = +%s ] || exec ${date} "$@"\necho $(($(${date} +%s) + $(cat ${shift})))\n`,
        { mode: 0o755 },
      );
      process.env['PATH'] = `${bin}:${PATH ?? ''}`;
      const jobs = serve();
      const { jobId } = await begin(jobs, 'sleep 3; echo done');
      const limited = await begin(jobs, 'sleep 300', 5 / 60);
      await writeFile(shift, String(jump));
      const now = await jobs.wait(jobId, { waitSeconds: 0, maxBytes: 100 }, options);
      expect(now.runtimeSeconds).toBeLessThan(30);
      const report = await finish(jobs, jobId);
      expect(report).toMatchObject({ status: 'completed', exitCode: 0, output: 'done\n' });
      expect(report.runtimeSeconds).toBeGreaterThanOrEqual(2);
      expect(report.runtimeSeconds).toBeLessThan(30);
      const { startedAt = '', endedAt = '' } = await jobs.get(jobId);
      expect(Date.parse(endedAt) - Date.parse(startedAt)).toBe((report.runtimeSeconds ?? 0) * 1000);
      const timed = await finish(jobs, limited.jobId);
      expect(timed).toMatchObject({ status: 'timed_out' });
      expect(timed.runtimeSeconds).toBeLessThan(30);
    },
    60_000,
  );
});

describe('a job on OpenSSH', () => {
  it('outlives kill -9 of everything else of ours on its machine [JO-06]', async () => {
    const [kind] = MACHINES;
    if (kind === undefined) throw new Error('There is no machine.');
    await using machine = await kind.open();
    const jobs = serve({ remote: machine.ssh.remote, store: machine.store });
    const { sessionId } = await machine.ssh.sessions.open(machine.podId, { reuse: false }, options);
    await machine.ssh.sessions.write(
      sessionId,
      { input: 'echo here', newline: true, secret: false, waitSeconds: 10 },
      options,
    );
    const { job } = await jobs.start(
      {
        podId: machine.podId,
        command: 'sleep 4; echo survived; exit 5',
        env: {},
        secretEnv: [],
        artifacts: [],
        maxRuntimeMinutes: 5,
      },
      options,
    );
    const all = await processesBelow(machine.folderOnPod);
    const its: number[] = [];
    for (const pid of all) {
      const read = async (name: string) =>
        readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
      if (`${await read('cmdline')}${await read('environ')}`.includes(job.jobId)) its.push(pid);
      // The supervisor's watcher sleeps in children of its own, without the name of the job.
      else if (its.includes(Number((await read('stat')).split(') ')[1]?.split(' ')[1])))
        its.push(pid);
    }
    const others = all.filter((pid) => !its.includes(pid));
    expect(its.length).toBeGreaterThan(1);
    expect(others.length).toBeGreaterThan(1);
    for (const pid of others)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    await machine.cut();
    const next = serve({ remote: machine.another().remote, store: machine.store });
    const report = await finish(next, job.jobId);
    expect(report).toMatchObject({ status: 'failed', exitCode: 5, output: 'survived\n' });
  }, 60_000);
});
