import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { isTerminal } from '../../src/core/job.ts';
import { type TransportBench, within } from '../support/transport-bench.ts';
import { fetch, inTheMiddle, keepBenches, sync } from '../support/transport-calls.ts';
import { bytesFrom, codeOf, hashesOf } from '../support/transport-works.ts';

vi.setConfig({ testTimeout: 180_000 });

const MIB = 1 << 20;
const { openBench, closers } = keepBenches();
const TOLD = ['disk_full'];
/** A disk of its own at `folder`. */
async function smallDisk(folder: string, options: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  closers.push(async () => {
    execFileSync('umount', ['-l', folder]);
    return Promise.resolve();
  });
}
/** Takes all that is left of the disk that `folder` is on. Answers what gives it back. */
function fill(folder: string): () => Promise<void> {
  const filler = path.join(folder, 'filler');
  execFileSync('sh', ['-c', 'cat /dev/zero >"$1" 2>/dev/null; exit 0', 'fill', filler]);
  return async () => rm(filler, { force: true });
}
const ours = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.includes('gpu-lease'));

describe.each([
  { name: 'small files', big: 2 * MIB, disk: 'size=24m', at: [600, 100_000, 1 * MIB, 2 * MIB] },
  {
    name: 'a file that goes piece by piece',
    big: 20 * MIB,
    disk: 'size=64m',
    at: [600, 9 * MIB, 20 * MIB],
  },
])("the pod's disk fills while $name are sent", ({ big, disk, at }) => {
  it('is disk_full, every old file is whole, nothing of ours lies there, and there is a next time [SY-12, SY-22]', async () => {
    const bench = await openBench();
    const { podHome, workspace } = bench;
    const project = path.join(workspace, 'project');
    const remote = path.join(podHome, 'disk/project');
    await smallDisk(path.join(podHome, 'disk'), disk);
    let turn = 0;
    const change = async (): Promise<void> => {
      turn += 1;
      await writeFile(path.join(project, 'big.bin'), randomBytes(big));
      for (let index = 0; index < 8; index += 1)
        await writeFile(path.join(project, `small-${index}`), `turn ${turn}\n`.repeat(500));
    };
    await change();
    await sync(bench, { remotePath: remote });
    const ends: string[] = [];
    for (const byte of at) {
      const old = await hashesOf(remote);
      await change();
      const now = await hashesOf(project);
      let giveBack = async (): Promise<void> => Promise.resolve();
      const ended = await inTheMiddle(
        bench,
        { byte, direction: 'up', told: TOLD },
        async () => sync(bench, { remotePath: remote }),
        () => {
          giveBack = fill(path.join(podHome, 'disk'));
        },
      );
      ends.push(typeof ended === 'string' ? ended : 'sent');
      const seen = await hashesOf(remote);
      expect(seen).toEqual(typeof ended === 'string' ? old : now);
      expect(await ours(remote)).toEqual([]);
      await giveBack();
      await sync(bench, { remotePath: remote });
      expect(await hashesOf(remote)).toEqual(now);
    }
    expect(ends).toContain('disk_full');
  });
});

it('no more names fit on the pod: disk_full before anything is sent, and in the middle too [SY-22]', async () => {
  const bench = await openBench();
  const { podHome, workspace } = bench;
  const project = path.join(workspace, 'project');
  const remote = path.join(podHome, 'disk/project');
  await smallDisk(path.join(podHome, 'disk'), 'size=24m,nr_inodes=120');
  await writeFile(path.join(project, 'f0'), 'old');
  await sync(bench, { remotePath: remote });
  for (let index = 0; index < 200; index += 1)
    await writeFile(path.join(project, `f${index}`), `new ${index}`);
  await expect(sync(bench, { remotePath: remote })).rejects.toMatchObject({ code: 'disk_full' });
  expect(await readFile(path.join(remote, 'f0'), 'utf8')).toBe('old');
  expect(await readdir(remote)).toEqual(['f0']);
  for (let index = 50; index < 200; index += 1) await rm(path.join(project, `f${index}`));
  await writeFile(path.join(project, 'big.bin'), bytesFrom(1, 3 * MIB));
  const names = path.join(podHome, 'disk/names');
  await mkdir(names);
  const ended = await inTheMiddle(
    bench,
    { byte: 1 * MIB, direction: 'up', told: TOLD },
    async () => sync(bench, { remotePath: remote }),
    () => {
      execFileSync('sh', [
        '-c',
        'i=0; while touch "$1/$i" 2>/dev/null; do i=$((i+1)); done; exit 0',
        'x',
        names,
      ]);
    },
  );
  expect(ended).toBe('disk_full');
  expect(await readdir(remote)).toEqual(['f0']);
  expect(await readFile(path.join(remote, 'f0'), 'utf8')).toBe('old');
  await rm(names, { recursive: true });
  await sync(bench, { remotePath: remote });
  expect(await hashesOf(remote)).toEqual(await hashesOf(project));
});

describe.each([
  { name: 'small ones', files: 60, bytes: 60_000, at: [20_000, 1 * MIB, 3 * MIB] },
  { name: 'a large one', files: 1, bytes: 6 * MIB, at: [20_000, 3 * MIB, 6 * MIB] },
])('the disk of this side fills while results come home, $name', ({ files, bytes, at }) => {
  it('is disk_full, what was here stays whole, and the next call goes on [AR-06, AR-07]', async () => {
    const bench = await openBench();
    const { podHome, workspace } = bench;
    const out = path.join(podHome, 'out');
    const results = path.join(workspace, 'results');
    await smallDisk(results, 'size=24m');
    await mkdir(out);
    let turn = 0;
    const change = async (): Promise<void> => {
      turn += 1;
      for (let index = 0; index < files; index += 1)
        await writeFile(path.join(out, `${index}.bin`), bytesFrom(turn * 1000 + index, bytes));
    };
    await change();
    await fetch(bench);
    const ends: string[] = [];
    for (const byte of at) {
      const old = await hashesOf(path.join(results, 'out'));
      await change();
      const now = await hashesOf(out);
      let giveBack = async (): Promise<void> => Promise.resolve();
      const ended = await inTheMiddle(
        bench,
        { byte, direction: 'down', told: TOLD },
        async () => fetch(bench),
        () => {
          giveBack = fill(results);
        },
      );
      ends.push(typeof ended === 'string' ? ended : 'fetched');
      const seen = await hashesOf(path.join(results, 'out'));
      for (const [name, hash] of Object.entries(seen))
        expect([old[name], now[name]]).toContain(hash);
      if (typeof ended !== 'string') expect(seen).toEqual(now);
      await giveBack();
      await fetch(bench);
      expect(await hashesOf(path.join(results, 'out'))).toEqual(now);
      expect(await ours(results)).toEqual([]);
    }
    expect(ends).toContain('disk_full');
  });
});

const PLACES: readonly {
  readonly name: string;
  readonly fetched: string;
  readonly open: (disk: string) => Promise<TransportBench>;
}[] = [
  {
    name: 'in the state folder of this side',
    // The files are home; that there is no record of it is not passed over.
    fetched: 'state_unwritable',
    open: async (disk) => {
      const bench = await openBench();
      await smallDisk(path.join(path.dirname(bench.workspace), 'state'), disk);
      fill(path.join(path.dirname(bench.workspace), 'state'));
      return bench;
    },
  },
  {
    name: "for the pod's temporary files",
    fetched: 'fetched',
    open: async (disk) => {
      const folder = path.join('/tmp', `gl-full-${process.pid}`);
      closers.push(async () => rm(folder, { recursive: true, force: true }));
      await smallDisk(folder, disk);
      fill(folder);
      return openBench({ env: { TMPDIR: folder } });
    },
  },
];
it.each(PLACES)(
  'no room $name: files, jobs and sessions work, and what cannot be kept is told',
  async ({ open, fetched }) => {
    const bench = await open('size=64k');
    const { podHome, workspace, ssh, jobs, podId } = bench;
    const project = path.join(workspace, 'project');
    for (let index = 0; index < 40; index += 1)
      await writeFile(
        path.join(project, `a file of some length ${index}`),
        `${index}\n`.repeat(300),
      );
    for (const text of ['one', 'two']) {
      await writeFile(path.join(project, 'changing'), text);
      expect(await sync(bench)).toMatchObject({ verified: true });
      expect(await hashesOf(path.join(podHome, 'project'))).toEqual(await hashesOf(project));
      expect(
        await fetch(bench, { paths: ['project'] }).then(
          () => 'fetched',
          (thrown: unknown) => codeOf(thrown, ['state_unwritable']),
        ),
      ).toBe(fetched);
      expect(await hashesOf(path.join(workspace, 'results/project'))).toEqual(
        await hashesOf(project),
      );
    }
    const { sessionId } = await within(45, async (signal) =>
      ssh.sessions.open(podId, { reuse: false }, { signal }),
    );
    const written = await within(30, async (signal) =>
      ssh.sessions.write(
        sessionId,
        { input: 'seq 1 9000; (exit 5)', newline: true, secret: false, waitSeconds: 20 },
        { signal },
      ),
    );
    expect(written).toMatchObject({ done: true, exitCode: 5 });
    let text = '';
    for (let offset = written.offset; ; ) {
      const page = await within(10, async (signal) =>
        ssh.sessions.read(
          sessionId,
          { offset, maxBytes: 20_000, waitSeconds: 0, format: 'clean' },
          { signal },
        ),
      );
      expect(page.offset).toBe(offset);
      text += page.output;
      offset = page.nextOffset;
      if (!page.hasMore) break;
    }
    expect(text.match(/^\d+$/gm)).toEqual(Array.from({ length: 9000 }, (_, at) => `${at + 1}`));
    const { job } = await within(60, async (signal) =>
      jobs.start(
        {
          podId,
          command: 'seq 1 30000; exit 6',
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
    const page = await within(20, async (signal) =>
      jobs.logs(job.jobId, { stream: 'stdout', offset: 0, maxBytes: 100 }, { signal }),
    );
    expect(page.output).toMatch(/^1\n2\n3\n/);
  },
);
