import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import {
  appendFile,
  chmod,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { SyncRequest, SyncResult } from '../../src/core/files.ts';
import { syncOf } from '../support/file-requests.ts';
import { type TransportBench, within } from '../support/transport-bench.ts';
import { keepBenches, sync } from '../support/transport-calls.ts';
import { bytesFrom, hashesOf } from '../support/transport-works.ts';
import { sampled } from '../support/whole.ts';

vi.setConfig({ testTimeout: 120_000 });

const { openBench, closers } = keepBenches();
const MIB = 1 << 20;

/** Calls `before` each time that a round of sending begins. */
async function syncWhile(
  { files, podId }: TransportBench,
  before: (round: number) => void,
  request: Partial<SyncRequest> = {},
): Promise<SyncResult> {
  let round = 0;
  const progress = (message: string): void => {
    if (message.startsWith('Sending')) before(round++);
  };
  return within(60, async (signal) => files.sync(syncOf(podId, request), { signal, progress }));
}

const projectOf = (bench: TransportBench): string => path.join(bench.workspace, 'project');
const remoteOf = (bench: TransportBench): string => path.join(bench.podHome, 'project');
const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (thrown: unknown) => thrown,
  );
/** All that is there, and nothing of ours. */
async function expectEqual(bench: TransportBench, without?: string): Promise<void> {
  const wanted = await hashesOf(projectOf(bench));
  expect(await hashesOf(remoteOf(bench))).toEqual(
    Object.fromEntries(Object.entries(wanted).filter(([name]) => name !== without)),
  );
  const names = await readdir(remoteOf(bench));
  expect(names.filter((name) => name.startsWith('.gpu-lease'))).toEqual([]);
}

/** What the project holds beside the file that will not stay, and how the pod is reached. */
const WAYS: readonly {
  readonly name: string;
  readonly bytes: number;
  readonly others: number;
  /** The pod has an older one. */
  readonly older?: boolean;
  /** As if the pod had no python3. */
  readonly plain?: boolean;
}[] = [
  { name: 'small, hashed before', bytes: 100, others: 3 },
  { name: 'small, hashed on its way', bytes: 100, others: 600 },
  { name: 'of 3 MiB', bytes: 3 * MIB, others: 3 },
  { name: 'of 9 MiB, in one pass', bytes: 9 * MIB, others: 3 },
  { name: 'of 17 MiB that is patched', bytes: 17 * MIB, others: 3, older: true },
  { name: 'of 17 MiB that is patched by dd', bytes: 17 * MIB, others: 3, older: true, plain: true },
  { name: 'of 9 MiB by dd', bytes: 9 * MIB, others: 3, plain: true },
];
type Way = (typeof WAYS)[number];

async function withoutPython(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'gl-plain-'));
  closers.push(async () => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'python3'), '#!/bin/sh\nexit 127\n', { mode: 0o755 });
  return `${folder}:/usr/bin:/bin`;
}

async function prepared({ bytes, others, older, plain }: Way): Promise<TransportBench> {
  const bench = await openBench(plain === true ? { env: { PATH: await withoutPython() } } : {});
  const project = projectOf(bench);
  for (let at = 0; at < others; at += 1)
    await writeFile(path.join(project, `f${at}.txt`), `content ${at}\n`);
  await writeFile(path.join(project, 'm.bin'), bytesFrom(7, bytes));
  if (older === true) {
    await sync(bench);
    await writeFile(path.join(project, 'f0.txt'), 'newer');
    await appendFile(path.join(project, 'm.bin'), 'newer');
  }
  return bench;
}

const GONE: readonly { readonly what: string; readonly change: (file: string) => void }[] = [
  {
    what: 'removed',
    change: (file) => {
      rmSync(file);
    },
  },
  {
    what: 'a folder now',
    change: (file) => {
      rmSync(file);
      mkdirSync(file);
      writeFileSync(path.join(file, 'inner.txt'), 'inner');
    },
  },
  {
    what: 'a link now',
    change: (file) => {
      rmSync(file);
      symlinkSync('/etc/passwd', file);
    },
  },
];

describe.each(WAYS.map((way, row) => ({ ...way, row })))(
  'a file $name that is gone when it is to be sent [SY-12]',
  (way) => {
    it.each(sampled(GONE, way.row, 3))(
      '$what: all others are placed, and it is told',
      async ({ change }) => {
        const bench = await prepared(way);
        const file = path.join(projectOf(bench), 'm.bin');
        const before = await hashesOf(remoteOf(bench));
        const result = await syncWhile(bench, (round) => {
          if (round === 0) change(file);
        });
        expect(result).toMatchObject({
          sent: { files: way.older === true ? 1 : way.others },
          skipped: [{ path: 'm.bin', why: 'vanished while it was being sent' }],
          verified: true,
        });
        expect(result.warnings).toEqual([
          '1 file vanished here while being sent, and is left out: "m.bin". All others are in place.',
        ]);
        expect((await hashesOf(remoteOf(bench)))['m.bin']).toBe(before['m.bin']);
        // As if it had never been.
        await rm(file, { recursive: true, force: true });
        const again = await sync(bench, { delete: true });
        expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: way.others } });
        expect(again.warnings).toBeUndefined();
        await expectEqual(bench);
      },
    );
  },
);

describe('when nothing that could be sent is left', () => {
  it('of a folder: told, and nothing is deleted there', async () => {
    const bench = await openBench();
    const project = projectOf(bench);
    await writeFile(path.join(project, 'old.txt'), 'old');
    await sync(bench);
    await rm(path.join(project, 'old.txt'));
    await writeFile(path.join(project, 'a.txt'), 'a');
    const thrown = await codeOf(
      syncWhile(bench, () => {
        rmSync(path.join(project, 'a.txt'), { force: true });
      }),
    );
    expect(thrown).toMatchObject({
      code: 'path_missing',
      message: 'Every file of localPath vanished meanwhile: "a.txt".',
    });
    expect(await hashesOf(remoteOf(bench))).toHaveProperty(['old.txt']);
  });

  it('before anything was compared: nothing is deleted there', async () => {
    const bench = await openBench();
    const project = projectOf(bench);
    for (const name of ['a.txt', 'b.txt']) await writeFile(path.join(project, name), name);
    await sync(bench);
    for (const name of ['a.txt', 'b.txt']) await writeFile(path.join(project, name), `${name} new`);
    const gone = within(60, async (signal) =>
      bench.files.sync(syncOf(bench.podId, { delete: true }), {
        signal,
        progress: (message) => {
          if (message.startsWith('Comparing'))
            for (const name of ['a.txt', 'b.txt']) rmSync(path.join(project, name));
        },
      }),
    );
    expect(await codeOf(gone)).toMatchObject({ code: 'path_missing' });
    expect(Object.keys(await hashesOf(remoteOf(bench)))).toEqual(['a.txt', 'b.txt']);
  });

  it('of one file', async () => {
    const bench = await openBench();
    const file = path.join(projectOf(bench), 'a.txt');
    await writeFile(file, 'a');
    const thrown = await codeOf(
      syncWhile(
        bench,
        () => {
          rmSync(file, { force: true });
        },
        { localPath: 'project/a.txt', remotePath: 'b.txt' },
      ),
    );
    expect(thrown).toMatchObject({ code: 'path_missing' });
  });
});

/** Appends to a file again and again, in a process of its own, until the bench is closed. */
async function growing(file: string): Promise<ChildProcess> {
  const program = `const fs = require('node:fs'); let n = 0;
const more = () => { fs.appendFileSync(${JSON.stringify(file)}, 'line ' + n++ + '\\n'); setTimeout(more, 1); };
more(); process.stdout.write('begun');`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  closers.push(async () => stopped(child));
  await once(child.stdout, 'data');
  return child;
}
async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

describe.each(sampled(WAYS, 0))('a log $name that grows all the time [SY-12]', (way) => {
  it('is there as it was at one moment, which is told; all others are, and it is not the end', async () => {
    const bench = await prepared(way);
    const file = path.join(projectOf(bench), 'm.bin');
    const child = await growing(file);
    const { size } = await stat(file);
    const result = await sync(bench);
    await expect.poll(async () => (await stat(file)).size).toBeGreaterThan(size);
    const there = await readFile(path.join(remoteOf(bench), 'm.bin'));
    expect(result).toMatchObject({ verified: true, skipped: [] });
    expect(result.sent.files).toBe(way.older === true ? 2 : way.others + 1);
    expect(result.warnings).toEqual([
      `1 file went on growing while being sent: the pod has what it was at one moment of this call: "m.bin" (first ${there.length} bytes).`,
    ]);
    expect(there.length).toBeGreaterThanOrEqual(size);
    const here = await readFile(file);
    expect(here.subarray(0, there.length).equals(there)).toBe(true);
    await stopped(child);
    const last = await sync(bench);
    expect(last.sent.files).toBe(1);
    expect(last.warnings).toBeUndefined();
    await expectEqual(bench);
  });
});

describe.each(sampled(WAYS, 1))('a file $name that is another one each time [SY-12]', (way) => {
  it('is an error that names it; all others are there, and are not sent again', async () => {
    const bench = await prepared(way);
    const file = path.join(projectOf(bench), 'm.bin');
    const before = await hashesOf(remoteOf(bench));
    const rounds: number[] = [];
    const thrown = await codeOf(
      syncWhile(bench, (round) => {
        rounds.push(round);
        writeFileSync(file, bytesFrom(100 + round, way.bytes));
      }),
    );
    expect(thrown).toMatchObject({
      code: 'checksum_mismatch',
      retryable: true,
      message: expect.stringMatching(
        new RegExp(
          `^1 file keeps changing while being sent: "m\\.bin"\\. ${way.others} files, .* are on the pod and verified\\.$`,
        ),
      ) as string,
      hint: expect.stringContaining('Exclude what keeps changing') as string,
    });
    expect(rounds).toEqual([0, 1, 2]);
    expect((await hashesOf(remoteOf(bench)))['m.bin']).toBe(before['m.bin']);
    const { files } = bench.another();
    const again = await within(60, async (signal) =>
      files.sync(syncOf(bench.podId, { exclude: ['m.bin'] }), { signal }),
    );
    expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: way.others } });
    expect(again.wireBytes).toBe(0);
    await sync(bench);
    await expectEqual(bench);
  });
});

it('what was placed before a later round is refused is remembered', async () => {
  const bench = await prepared({ name: 'small', bytes: 100, others: 600 });
  const file = path.join(projectOf(bench), 'm.bin');
  const thrown = await codeOf(
    syncWhile(bench, (round) => {
      writeFileSync(
        file,
        round === 0 ? 'other' : 'token = "hf_abcdefghijklmnopqrstuvwxyz012345"\n',
      );
    }),
  );
  expect(thrown).toMatchObject({ code: 'secret_refused' });
  expect(await hashesOf(remoteOf(bench))).not.toHaveProperty(['m.bin']);
  const { files } = bench.another();
  const again = await within(60, async (signal) =>
    files.sync(syncOf(bench.podId, { exclude: ['m.bin'] }), { signal }),
  );
  expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: 600 }, wireBytes: 0 });
});

describe.each(sampled(WAYS, 2, 3))(
  'a file $name that may no longer be read when it is to be sent',
  (way) => {
    it('is an error that names it, and nothing is placed', async () => {
      const bench = await prepared(way);
      const file = path.join(projectOf(bench), 'm.bin');
      await sync(bench, { include: ['f1.txt'] });
      const before = await hashesOf(remoteOf(bench));
      const root = path.dirname(bench.workspace);
      const own = [path.join(root, 'state'), path.join(bench.sshd.folder, 'client')];
      if (process.getuid?.() === 0) execFileSync('chown', ['-R', '54321', ...own]);
      for (const folder of [bench.workspace, root, bench.sshd.folder]) await chmod(folder, 0o755);
      // Root may read everything: from here on this process is somebody else.
      const thrown = await codeOf(
        syncWhile(bench, () => {
          chmodSync(file, 0);
          if (process.getuid?.() === 0) process.seteuid?.(54_321);
        }),
      ).finally(() => {
        if (process.getuid?.() === 0) process.seteuid?.(0);
      });
      expect(thrown).toMatchObject({
        code: 'invalid_input',
        message: `This machine does not let us read ${JSON.stringify(file)}.`,
      });
      expect(await hashesOf(remoteOf(bench))).toEqual(before);
      await chmod(file, 0o644);
      await sync(bench);
      await expectEqual(bench);
    });
  },
);
