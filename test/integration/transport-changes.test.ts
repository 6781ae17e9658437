import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { isTerminal } from '../../src/core/job.ts';
import { type TransportBench, within } from '../support/transport-bench.ts';
import { fetch, inTheMiddle, keepBenches, sync } from '../support/transport-calls.ts';
import { bytesFrom, hashesOf } from '../support/transport-works.ts';
import { sampled } from '../support/whole.ts';

vi.setConfig({ testTimeout: 180_000 });

const { openBench, closers } = keepBenches();
/** What may be said of files that did not stay as they were. */
const TOLD = [
  'checksum_mismatch',
  'path_missing',
  'remote_failed',
  'invalid_input',
  'unsafe_archive',
];
const leftovers = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('.gpu-lease'));

/** Bytes of two versions of a file that never meet in one. */
const MIB = 1 << 20;
const SIZES = [
  { size: 'of 6 MiB', bytes: 6 * MIB },
  { size: 'of 24 MiB, which goes piece by piece', bytes: 24 * MIB },
] as const;
const CHANGES: readonly {
  readonly name: string;
  readonly change: (file: string, bytes: number) => Promise<void>;
  /** What it is afterwards; undefined: gone. */
  readonly after: (before: Buffer) => Buffer | undefined;
}[] = [
  {
    name: 'grows',
    change: async (file) => appendFile(file, 'more'),
    after: (before) => Buffer.concat([before, Buffer.from('more')]),
  },
  {
    name: 'is cut off',
    change: async (file, bytes) => truncate(file, bytes >> 1),
    after: (before) => before.subarray(0, before.length >> 1),
  },
  {
    name: 'is replaced by another of the same size',
    change: async (file, bytes) => {
      await writeFile(`${file}.new`, bytesFrom(99, bytes));
      await rename(`${file}.new`, file);
    },
    after: (before) => bytesFrom(99, before.length),
  },
  {
    name: 'is written over at its end, where nobody has read yet',
    change: async (file, bytes) => {
      const handle = await open(file, 'r+');
      await handle.write(Buffer.alloc(1000, 'Z'), 0, 1000, bytes - 1000);
      await handle.close();
    },
    after: (before) =>
      Buffer.concat([before.subarray(0, before.length - 1000), Buffer.alloc(1000, 'Z')]),
  },
  { name: 'vanishes', change: async (file) => rm(file), after: () => undefined },
];

describe.each(SIZES.map((size, row) => ({ ...size, row })))('a file $size', ({ bytes, row }) => {
  it.each(sampled(CHANGES, row, 3))(
    'that $name while it is sent never lies on the pod as neither [SY-12]',
    async ({ change, after }) => {
      const bench = await openBench();
      const local = path.join(bench.workspace, 'project/a.bin');
      const remote = path.join(bench.podHome, 'project');
      await writeFile(local, 'old');
      await writeFile(path.join(bench.workspace, 'project/b.txt'), 'steady');
      await sync(bench);
      const before = bytesFrom(1, bytes);
      await writeFile(local, before);
      const ended = await inTheMiddle(
        bench,
        { byte: bytes >> 2, direction: 'up', told: TOLD },
        async () => sync(bench),
        async () => change(local, bytes),
      );
      const last = after(before);
      const seen = await readFile(path.join(remote, 'a.bin'));
      const allowed = [Buffer.from('old'), before, ...(last === undefined ? [] : [last])];
      expect(allowed.some((one) => one.equals(seen))).toBe(true);
      // What is said to be verified is the file as it was at one moment of the call.
      if (typeof ended !== 'string' && ended.sent.files > 0) {
        expect(ended.verified).toBe(true);
        expect(seen.equals(Buffer.from('old'))).toBe(false);
      }
      expect(await leftovers(remote)).toEqual([]);
      await sync(bench);
      if (last !== undefined)
        expect((await readFile(path.join(remote, 'a.bin'))).equals(last)).toBe(true);
    },
  );

  it.each(sampled(CHANGES, row + 1, 3))(
    'that $name while it comes home is never told as proven when it is neither [AR-08]',
    async ({ change, after }) => {
      const bench = await openBench();
      const out = path.join(bench.podHome, 'out');
      const home = path.join(bench.workspace, 'results');
      await mkdir(out);
      const before = bytesFrom(2, bytes);
      await writeFile(path.join(out, 'a.bin'), before);
      await writeFile(path.join(out, 'b.txt'), 'steady');
      const ended = await inTheMiddle(
        bench,
        { byte: bytes >> 2, direction: 'down', told: TOLD },
        async () => fetch(bench),
        async () => change(path.join(out, 'a.bin'), bytes),
      );
      const last = after(before);
      const allowed = [before, ...(last === undefined ? [] : [last])];
      const seen = await readFile(path.join(home, 'out/a.bin')).catch(() => undefined);
      if (seen !== undefined) expect(allowed.some((one) => one.equals(seen))).toBe(true);
      if (typeof ended !== 'string')
        for (const file of ended.manifest.files)
          if (file.path.endsWith('a.bin')) expect(seen).toBeDefined();
      await fetch(bench);
      expect(await hashesOf(path.join(home, 'out'))).toMatchObject(await hashesOf(out));
    },
  );
});

const NOT_ROOT = [
  'ForceCommand exec /usr/bin/setpriv --reuid=54321 --regid=54321 --clear-groups /bin/dash -c "$SSH_ORIGINAL_COMMAND"',
];
async function openPlain(): Promise<TransportBench> {
  const bench = await openBench({ config: NOT_ROOT });
  await chmod(bench.sshd.folder, 0o755);
  await chown(bench.podHome, 54_321, 54_321);
  return bench;
}

describe('a permission that is taken away in the middle', () => {
  it('on the pod, while files are sent: told, the old stays, and the next call brings all', async () => {
    const bench = await openPlain();
    const project = path.join(bench.workspace, 'project');
    const remote = path.join(bench.podHome, 'project');
    await mkdir(path.join(project, 'sub'));
    await writeFile(path.join(project, 'sub/a.bin'), 'old');
    await sync(bench);
    await writeFile(path.join(project, 'sub/a.bin'), bytesFrom(3, 6 * MIB));
    const ended = await inTheMiddle(
      bench,
      { byte: 2 * MIB, direction: 'up', told: TOLD },
      async () => sync(bench),
      async () => chown(path.join(remote, 'sub'), 0, 0),
    );
    expect(ended).toBe('remote_failed');
    expect(await readFile(path.join(remote, 'sub/a.bin'), 'utf8')).toBe('old');
    expect(await leftovers(remote)).toEqual([]);
    await chown(path.join(remote, 'sub'), 54_321, 54_321);
    await sync(bench);
    expect(await hashesOf(remote)).toEqual(await hashesOf(project));
  });

  it('on the pod, while results come home: the others come, and it is not told as home', async () => {
    const bench = await openPlain();
    const out = path.join(bench.podHome, 'out');
    await mkdir(out);
    for (const name of ['a', 'b', 'c', 'd'])
      await writeFile(path.join(out, `${name}.bin`), bytesFrom(name.charCodeAt(0), 4 * MIB));
    const wanted = await hashesOf(out);
    const ended = await inTheMiddle(
      bench,
      { byte: 2 * MIB, direction: 'down', told: TOLD },
      async () => fetch(bench),
      async () => {
        for (const name of ['c', 'd']) await chmod(path.join(out, `${name}.bin`), 0o000);
      },
    );
    const home = path.join(bench.workspace, 'results/out');
    const seen = await hashesOf(home);
    for (const [name, hash] of Object.entries(seen)) expect(wanted[name]).toBe(hash);
    if (typeof ended !== 'string')
      for (const { path: name } of ended.manifest.files)
        expect(seen).toHaveProperty([path.basename(name)]);
    for (const name of ['c', 'd']) await chmod(path.join(out, `${name}.bin`), 0o644);
    await fetch(bench);
    expect(await hashesOf(home)).toEqual(wanted);
  });

  it('on this side, before a file is read: told with its name, and nothing on the pod is touched', async () => {
    const bench = await openBench();
    const project = path.join(bench.workspace, 'project');
    await writeFile(path.join(project, 'a.txt'), 'old');
    await sync(bench);
    await writeFile(path.join(project, 'a.txt'), 'new');
    await writeFile(path.join(project, 'closed.txt'), 'root only', { mode: 0o000 });
    for (const folder of [bench.workspace, path.dirname(bench.workspace)])
      await chmod(folder, 0o755);
    // Root may read everything: the call is made as somebody else.
    const failure = await asOther(async () => sync(bench).catch((thrown: unknown) => thrown));
    expect(failure).toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('closed.txt') as string,
    });
    expect(await readFile(path.join(bench.podHome, 'project/a.txt'), 'utf8')).toBe('old');
    await chmod(path.join(project, 'closed.txt'), 0o644);
    await sync(bench);
    expect(await hashesOf(path.join(bench.podHome, 'project'))).toEqual(await hashesOf(project));
  });
});

/** As a user who is not root, where this process is root. */
async function asOther<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(54_321);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

const YEAR_SECONDS = 365 * 86_400;
describe.each([
  { words: 'behind', seconds: -YEAR_SECONDS },
  { words: 'ahead', seconds: YEAR_SECONDS },
])('this side a year $words of the pod', ({ seconds }) => {
  it('misses no edit, sends nothing twice, and tells a job and a session as they are', async () => {
    const bench = await openBench({
      clock: {
        now: () => new Date(systemClock.now().getTime() + seconds * 1000),
        sleep: async (pause, options) => systemClock.sleep(Math.min(pause, 0.2), options),
      },
    });
    const { podId, ssh, jobs } = bench;
    const project = path.join(bench.workspace, 'project');
    const remote = path.join(bench.podHome, 'project');
    for (let round = 0; round < 5; round += 1) {
      for (const name of ['a', 'b', 'c'])
        await writeFile(path.join(project, name), `${name} ${round}`);
      expect(await sync(bench)).toMatchObject({ sent: { files: 3 }, verified: true });
      await writeFile(path.join(remote, 'b'), `p ${round}`);
      expect(await sync(bench)).toMatchObject({ sent: { files: 1 }, unchanged: { files: 2 } });
      expect(await sync(bench)).toMatchObject({ sent: { files: 0 }, unchanged: { files: 3 } });
      await fetch(bench, { paths: ['project'] });
      expect(await hashesOf(path.join(bench.workspace, 'results/project'))).toEqual(
        await hashesOf(project),
      );
    }
    const { sessionId } = await within(30, async (signal) =>
      ssh.sessions.open(podId, { reuse: false }, { signal }),
    );
    const written = await within(30, async (signal) =>
      ssh.sessions.write(
        sessionId,
        { input: 'sleep 1; (exit 5)', newline: true, secret: false, waitSeconds: 20 },
        { signal },
      ),
    );
    expect(written).toMatchObject({ done: true, exitCode: 5 });
    const { job } = await within(60, async (signal) =>
      jobs.start(
        {
          podId,
          command: 'sleep 2; exit 6',
          env: {},
          secretEnv: [],
          artifacts: [],
          maxRuntimeMinutes: 5,
        },
        { signal },
      ),
    );
    await expect
      .poll(
        async () => {
          const report = await within(40, async (signal) =>
            jobs.wait(job.jobId, { waitSeconds: 5, offset: 0, maxBytes: 100 }, { signal }),
          );
          return isTerminal(report.status) ? report : undefined;
        },
        { timeout: 40_000 },
      )
      .toMatchObject({ status: 'failed', exitCode: 6 });
  });
});

it('a folder of this side that may no longer be written when results land: told, and the next call brings all', async () => {
  const bench = await openBench();
  const out = path.join(bench.podHome, 'out');
  await mkdir(out);
  await writeFile(path.join(out, 'a.bin'), bytesFrom(5, 6 * MIB));
  const results = path.join(bench.workspace, 'results');
  await mkdir(results);
  await chmod(path.dirname(bench.workspace), 0o755);
  try {
    const ended = await inTheMiddle(
      bench,
      { byte: 2 * MIB, direction: 'down', told: TOLD },
      async () => fetch(bench),
      async () => {
        await chmod(results, 0o555);
        // Root may write everything: from here on this process is somebody else.
        if (process.getuid?.() === 0) process.seteuid?.(54_321);
      },
    );
    expect(ended).toBe('invalid_input');
  } finally {
    if (process.getuid?.() === 0) process.seteuid?.(0);
  }
  expect(await readdir(results)).toEqual([]);
  await chmod(results, 0o755);
  await fetch(bench);
  expect(await hashesOf(path.join(results, 'out'))).toEqual(await hashesOf(out));
});

it('results come home into a folder that is a file system of its own, and below one', async () => {
  const bench = await openBench();
  const out = path.join(bench.podHome, 'out');
  await mkdir(path.join(out, 'deep'), { recursive: true });
  await writeFile(path.join(out, 'a.bin'), bytesFrom(6, 3 * MIB));
  await writeFile(path.join(out, 'deep/b.txt'), 'b');
  const results = path.join(bench.workspace, 'results');
  const inner = path.join(results, 'out/deep');
  for (const folder of [results, inner]) {
    await mkdir(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder]);
    closers.push(async () => {
      execFileSync('umount', ['-l', folder]);
      return Promise.resolve();
    });
  }
  await fetch(bench);
  expect(await hashesOf(path.join(results, 'out'))).toEqual(await hashesOf(out));
  await writeFile(path.join(out, 'deep/b.txt'), 'B');
  await fetch(bench);
  expect(await hashesOf(path.join(results, 'out'))).toEqual(await hashesOf(out));
  expect(await leftovers(results)).toEqual([]);
  expect(await leftovers(inner)).toEqual([]);
});
