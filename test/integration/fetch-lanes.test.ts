import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { openFarBench, refused, refusedWhenAborted } from '../support/far-bench.ts';
import { treeOf } from '../unit/files/harness.ts';

/* How a fetch over real OpenSSH follows the link that it measures. */

const random = async (file: string, mebi: number): Promise<void> =>
  writeFile(file, randomBytes(mebi << 20));

it('a long link gets a larger window and lanes of its own; the ranges make one file', async () => {
  await using bench = await openFarBench({ rttMs: 150 });
  await random(path.join(bench.out, 'big.xyz'), 160);
  await random(path.join(bench.out, 'second.xyz'), 5);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams[0]).toMatchObject({ windowBytes: 8 << 20 });
  expect(new Set(bench.streams.map(({ lane }) => lane)).size).toBeGreaterThan(1);
}, 60_000);

it('a short link gets one stream and the usual window', async () => {
  await using bench = await openFarBench({ rttMs: 0, bytesPerSecond: 60e6 });
  await random(path.join(bench.out, 'big.xyz'), 48);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams).toHaveLength(1);
}, 60_000);

it('text over a slow link is compressed once that is measured, what does not shrink is not', async () => {
  await using bench = await openFarBench({ rttMs: 5, bytesPerSecond: 4e6 });
  const lines = Array.from(
    { length: 1_200_000 },
    (_, step) => `step ${step} loss ${1 / (step + 1)}\n`,
  );
  await writeFile(path.join(bench.out, 'train.log'), lines.join(''));
  await random(path.join(bench.out, 'weights.safetensors'), 3);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(bench.streams.map(({ script }) => script.includes('gzip'))).toContain(true);
}, 60_000);

it('a link that breaks while several lanes run costs no byte', async () => {
  let cuts = 0;
  let cut: () => Promise<void> = async () => Promise.resolve();
  await using bench = await openFarBench(
    { rttMs: 150 },
    {
      onBytes(bytes) {
        if (cuts > 0 || bench.streams.length < 2 || bytes < 8 << 20) return;
        cuts += 1;
        void cut();
      },
    },
  );
  cut = bench.cut;
  await random(path.join(bench.out, 'big.xyz'), 160);
  await bench.fetch();
  expect(cuts).toBe(1);
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  expect(await readdir(path.dirname(path.dirname(bench.results)))).toEqual(['results']);
}, 90_000);

it('over a slow link much leaves the connection that commands go over, and one more carries it', async () => {
  await using bench = await openFarBench({ rttMs: 60, bytesPerSecond: 20e6 });
  await random(path.join(bench.out, 'big.xyz'), 100);
  await bench.fetch();
  expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
  const carried = bench.streams.map(({ lane = 0, bytes }) => [lane, bytes >> 20]);
  expect(Object.fromEntries(carried)).toMatchObject({ 2: 0, 3: 0, 4: 0 });
  const own = bench.streams.find(({ lane }) => lane === 1);
  expect(own?.bytes).toBeGreaterThan(30 << 20);
}, 60_000);

it.each([
  ['hang', async (signal: AbortSignal): Promise<never> => refusedWhenAborted(signal)],
  ['are refused', refused],
])(
  'logins that %s hold up nobody',
  async (_how, outcome) => {
    await using bench = await openFarBench(
      { rttMs: 150 },
      {
        stand: ({ lane = 0, signal }) => (lane === 0 ? undefined : async () => outcome(signal)),
      },
    );
    await random(path.join(bench.out, 'big.xyz'), 160);
    await bench.fetch();
    expect(await treeOf(bench.results)).toEqual(await treeOf(bench.out));
    expect(bench.streams.filter(({ lane = 0 }) => lane > 0).length).toBeGreaterThan(0);
  },
  60_000,
);
