import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openFarBench, refused, refusedWhenAborted } from '../support/far-bench.ts';
import { treeOf } from '../unit/files/harness.ts';

/* Big files over a real OpenSSH connection with a long round trip: several streams, each file read through just ahead of them. */

const RTT = { rttMs: 60 };

it('big files and small ones go over several streams, and an old one is patched', async () => {
  await using bench = await openFarBench(RTT);
  const local = path.join(bench.workspace, 'project');
  await mkdir(path.join(local, 'deep'), { recursive: true });
  const old = randomBytes(80 << 20);
  await writeFile(path.join(local, 'first.xyz'), randomBytes((40 << 20) + 5));
  await writeFile(path.join(local, 'deep/second.xyz'), randomBytes(9 << 20));
  await writeFile(path.join(local, 'old.xyz'), old);
  await writeFile(path.join(local, 'small.txt'), 'small');
  const request = { localPath: 'project', remotePath: 'project' };
  expect(await bench.sync(request)).toMatchObject({ sent: { files: 4 }, verified: true });
  const there = path.join(bench.pod, 'project');
  expect(await treeOf(there)).toEqual(await treeOf(local));
  expect(new Set(bench.streams.map(({ lane }) => lane)).size).toBeGreaterThan(2);

  old.fill(7, 30 << 20, (30 << 20) + 4096);
  await writeFile(path.join(local, 'old.xyz'), old);
  await writeFile(path.join(local, 'third.xyz'), randomBytes(12 << 20));
  const second = await bench.sync(request);
  expect(second).toMatchObject({ sent: { files: 2 }, unchanged: { files: 3 }, verified: true });
  expect(second.wireBytes).toBeLessThan(20 << 20);
  expect(await treeOf(there)).toEqual(await treeOf(local));
}, 90_000);

it('a secret at the end of a big file stops it before that part leaves; nothing is placed or left', async () => {
  await using bench = await openFarBench(RTT);
  const local = path.join(bench.workspace, 'project');
  await mkdir(local);
  const lines = 'learning rate 0.001, batch 32, no secret here\n'.repeat(700_000);
  const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${randomBytes(600).toString('base64')}\n`;
  await writeFile(path.join(local, 'notes.txt'), `${lines}${key}`);
  await mkdir(path.join(bench.pod, 'project'));
  await writeFile(path.join(bench.pod, 'project/notes.txt'), 'what was there');
  const outcome = bench.sync({ localPath: 'project', remotePath: 'project' });
  await expect(outcome).rejects.toMatchObject({ code: 'secret_refused' });
  await expect(outcome).rejects.toThrow(/notes\.txt/);
  expect(await readdir(path.join(bench.pod, 'project'))).toEqual(['notes.txt']);
  expect(await readFile(path.join(bench.pod, 'project/notes.txt'), 'utf8')).toBe('what was there');
}, 60_000);

it('a file that is cut short while it goes is read anew and arrives as it is now', async () => {
  await using bench = await openFarBench({ ...RTT, bytesPerSecond: 20e6 });
  const local = path.join(bench.workspace, 'project');
  await mkdir(local);
  await writeFile(path.join(local, 'weights.xyz'), randomBytes(60 << 20));
  await writeFile(path.join(local, 'zeros.xyz'), Buffer.alloc(9 << 20));
  const outcome = bench.sync({ localPath: 'project', remotePath: 'project' });
  outcome.catch(() => undefined);
  await expect
    .poll(() => bench.streams.filter(({ lane = 0 }) => lane > 0).length, { timeout: 20_000 })
    .toBeGreaterThan(0);
  await writeFile(path.join(local, 'weights.xyz'), randomBytes(1 << 20));
  const result = await outcome;
  // Read anew at once, as it is now.
  expect(result).toMatchObject({ sent: { files: 2 }, verified: true });
  expect((await stat(path.join(bench.pod, 'project/weights.xyz'))).size).toBe(1 << 20);
  expect(await treeOf(path.join(bench.pod, 'project'))).toEqual(await treeOf(local));
}, 60_000);

/** Text and noise of so many files of 40 to 160 KiB in folders, some 60 MiB. */
async function tree(local: string): Promise<void> {
  for (let folder = 0; folder < 30; folder += 1) {
    const into = path.join(local, `d${folder % 7}/e${folder}`);
    await mkdir(into, { recursive: true });
    for (let nth = 0; nth < 20; nth += 1)
      await writeFile(path.join(into, `f ${nth}.xyz`), randomBytes((40 + 6 * nth) << 10));
  }
}

it('many files go over several connections at once, and arrive as one sync', async () => {
  await using bench = await openFarBench(RTT);
  const local = path.join(bench.workspace, 'project');
  await tree(local);
  const result = await bench.sync({ localPath: 'project', remotePath: 'project' });
  expect(result).toMatchObject({ sent: { files: 600 }, verified: true });
  expect(await treeOf(path.join(bench.pod, 'project'))).toEqual(await treeOf(local));
  const lanes = new Set(bench.streams.map(({ lane = 0 }) => lane));
  expect(lanes.size).toBeGreaterThan(2);
  expect(await readdir(bench.pod)).toEqual(['out', 'project']);
}, 60_000);

it.each(['hang', 'are refused'])(
  'logins that %s leave it all to the first stream',
  async (how) => {
    await using bench = await openFarBench(RTT, {
      stand: ({ lane = 0, signal }) =>
        lane === 0
          ? undefined
          : async () => (how === 'hang' ? refusedWhenAborted(signal) : refused()),
    });
    const local = path.join(bench.workspace, 'project');
    await tree(local);
    const result = await bench.sync({ localPath: 'project', remotePath: 'project' });
    expect(result).toMatchObject({ sent: { files: 600 }, verified: true });
    expect(await treeOf(path.join(bench.pod, 'project'))).toEqual(await treeOf(local));
    expect(bench.streams.filter(({ lane = 0 }) => lane > 0).length).toBeGreaterThan(0);
  },
  60_000,
);

it('a link that breaks while several streams run is gone on over, and nothing is doubled or lost', async () => {
  await using bench = await openFarBench({ ...RTT, bytesPerSecond: 15e6 });
  const local = path.join(bench.workspace, 'project');
  await tree(local);
  const request = { localPath: 'project', remotePath: 'project' };
  const sync = bench.sync(request);
  sync.catch(() => undefined);
  await expect
    .poll(() => new Set(bench.streams.map(({ lane = 0 }) => lane)).size, { timeout: 20_000 })
    .toBeGreaterThan(2);
  const parts = async (): Promise<number> => {
    const [staging = ''] = (await readdir(path.join(bench.pod, 'project'))).filter((name) =>
      name.startsWith('.gpu-lease-sync-'),
    );
    return (await readdir(path.join(bench.pod, 'project', staging))).length;
  };
  await expect.poll(parts, { timeout: 20_000 }).toBeGreaterThan(3);
  await bench.cut();
  expect(await sync).toMatchObject({ sent: { files: 600 }, verified: true });
  expect(await treeOf(path.join(bench.pod, 'project'))).toEqual(await treeOf(local));
  expect(await bench.sync(request)).toMatchObject({
    sent: { files: 0 },
    unchanged: { files: 600 },
  });
}, 90_000);

it('what one stream refuses ends them all, and nothing is placed or left', async () => {
  await using bench = await openFarBench(RTT);
  const local = path.join(bench.workspace, 'project');
  await tree(local);
  const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${randomBytes(600).toString('base64')}\n`;
  await writeFile(path.join(local, 'd6/e27/f 9.xyz'), key);
  const outcome = bench.sync({ localPath: 'project', remotePath: 'project' });
  await expect(outcome).rejects.toMatchObject({ code: 'secret_refused' });
  await expect(outcome).rejects.toThrow(/f 9\.xyz/);
  expect(await readdir(bench.pod)).toEqual(['out']);
}, 60_000);
