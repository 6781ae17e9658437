import { createHash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import type { FetchResult } from '../../src/core/files.ts';
import { fetchOf } from '../support/file-requests.ts';
import { type TransportBench, within } from '../support/transport-bench.ts';
import { fetch, keepBenches } from '../support/transport-calls.ts';
import { bytesFrom, hashesOf } from '../support/transport-works.ts';

vi.setConfig({ testTimeout: 60_000 });

const { openBench } = keepBenches();
const homeOf = (bench: TransportBench): string => path.join(bench.workspace, 'results/out');
const sha = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex');
const keptName = (name: string, content: string | Buffer): string =>
  `${name}.kept-${sha(content).slice(0, 12)}`;

const keptOf = ({ manifest }: FetchResult): readonly (readonly [string, string])[] =>
  manifest.files.flatMap(({ path: name, keptAs }) =>
    keptAs === undefined ? [] : [[name, keptAs] as const],
  );

async function withResults(
  content: Readonly<Record<string, string | Buffer>>,
): Promise<TransportBench> {
  const bench = await openBench();
  await mkdir(path.join(bench.podHome, 'out'));
  for (const [name, bytes] of Object.entries(content))
    await writeFile(path.join(bench.podHome, 'out', name), bytes);
  return bench;
}

it.each([
  ['small', 'from the pod'],
  ['of 9 MiB', bytesFrom(1, 9 << 20)],
])('a result %s that a person edited is kept beside the one that comes, once', async (_, bytes) => {
  const bench = await withResults({ 'a.bin': bytes, 'b.txt': 'b' });
  const home = homeOf(bench);
  const file = path.join(home, 'a.bin');
  expect(await fetch(bench)).not.toHaveProperty('kept');
  const kept = keptName('a.bin', 'edited here');
  for (const round of [1, 2]) {
    await writeFile(file, 'edited here');
    const result = await fetch(bench);
    expect(keptOf(result), String(round)).toEqual([['out/a.bin', path.join(home, kept)]]);
    expect(result.kept).toBe(1);
    expect(await hashesOf(home)).toEqual({
      'a.bin': sha(bytes),
      'b.txt': sha('b'),
      [kept]: sha('edited here'),
    });
    const { manifestPath = '' } = result.manifest;
    expect(JSON.parse(await readFile(manifestPath, 'utf8'))).toMatchObject({
      files: [{ path: 'out/a.bin', keptAs: path.join(home, kept) }, { path: 'out/b.txt' }],
    });
  }
  // Nobody touched it since.
  expect(await fetch(bench)).not.toHaveProperty('kept');
  await writeFile(file, 'another edit');
  await writeFile(path.join(bench.podHome, 'out/a.bin'), 'another result');
  expect((await fetch(bench)).kept).toBe(1);
  expect(await hashesOf(home)).toEqual({
    'a.bin': sha('another result'),
    'b.txt': sha('b'),
    [kept]: sha('edited here'),
    [keptName('a.bin', 'another edit')]: sha('another edit'),
  });
});

it('what a fetch put there and nobody touched is replaced, also by a server that knows its records alone', async () => {
  const bench = await withResults({ 'run.log': 'step 1\n', 'c.bin': bytesFrom(2, 3 << 20) });
  const there = path.join(bench.podHome, 'out');
  for (let round = 0; round < 3; round += 1) {
    expect(await fetch(bench)).not.toHaveProperty('kept');
    expect(await hashesOf(homeOf(bench))).toEqual(await hashesOf(there));
    await appendFile(path.join(there, 'run.log'), `step ${round}\n`);
    await writeFile(path.join(there, 'c.bin'), bytesFrom(round, 3 << 20));
    await rm(path.join(path.dirname(bench.workspace), 'state/fetch-cache'), {
      recursive: true,
      force: true,
    });
  }
  const { files } = bench.another();
  const last = await within(60, async (signal) => files.fetch(fetchOf(bench.podId), { signal }));
  expect(last).not.toHaveProperty('kept');
  expect(await hashesOf(homeOf(bench))).toEqual(await hashesOf(there));
  expect((await readdir(homeOf(bench))).sort()).toEqual(['c.bin', 'run.log']);
});

it("a person's own file where a result lands is kept; one that holds the same is not", async () => {
  const long = `${'ü'.repeat(125)}.json`;
  const bench = await withResults({ 'notes.md': 'of the job', 'same.txt': 'same', [long]: '{}' });
  const home = homeOf(bench);
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'notes.md'), 'my notes');
  await writeFile(path.join(home, 'same.txt'), 'same');
  await writeFile(path.join(home, long), 'mine');
  // Somebody has that name.
  const taken = keptName('notes.md', 'my notes');
  await writeFile(path.join(home, taken), 'something else');
  const result = await fetch(bench);
  const kept = keptOf(result);
  expect(result.kept).toBe(2);
  expect(kept.map(([name]) => name).toSorted()).toEqual(['out/notes.md', `out/${long}`].toSorted());
  const longKept = kept.find(([name]) => name.endsWith('.json'))?.[1] ?? '';
  expect(Buffer.byteLength(path.basename(longKept))).toBeLessThanOrEqual(255);
  expect(await hashesOf(home)).toEqual({
    'notes.md': sha('of the job'),
    'same.txt': sha('same'),
    [long]: sha('{}'),
    [taken]: sha('something else'),
    [`${taken}-1`]: sha('my notes'),
    [path.basename(longKept)]: sha('mine'),
  });
});

it('an edited result in whose place the pod has a folder now stays, and the fetch is refused', async () => {
  const bench = await withResults({ 'a.txt': 'pod' });
  await fetch(bench);
  await writeFile(path.join(homeOf(bench), 'a.txt'), 'edited');
  await rm(path.join(bench.podHome, 'out/a.txt'));
  await mkdir(path.join(bench.podHome, 'out/a.txt'));
  await writeFile(path.join(bench.podHome, 'out/a.txt/inner'), 'inner');
  const refused = fetch(bench).then(
    () => 'came',
    (thrown: unknown) => thrown,
  );
  expect(await refused).toMatchObject({ code: 'invalid_input' });
  expect(await hashesOf(homeOf(bench))).toEqual({ 'a.txt': sha('edited') });
});

it('what was kept before a fetch broke is named by what is told of it, and so is what was in the way', async () => {
  const bench = await withResults({ 'a.txt': 'pod a', 'b.txt': 'pod b' });
  await mkdir(path.join(bench.podHome, 'out/z'));
  await writeFile(path.join(bench.podHome, 'out/z/f.txt'), 'pod f');
  const home = homeOf(bench);
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'a.txt'), 'mine a');
  await writeFile(path.join(home, 'b.txt'), 'mine b');
  let blocked: Promise<void> | undefined;
  // After it was seen that everything may land.
  const progress = (words: string): void => {
    if (words.startsWith('Fetching')) blocked ??= writeFile(path.join(home, 'z'), 'in the way');
  };
  const { files, podId } = bench;
  const failure = await within(60, async (signal) =>
    files.fetch(fetchOf(podId), { signal, progress }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  await blocked;
  expect(failure).toMatchObject({
    code: 'invalid_input',
    message: expect.stringMatching(
      / 2 files here gave way and are kept beside what came/,
    ) as string,
    foreignText: expect.stringContaining(path.join(home, 'z')) as string,
  });
  const { foreignText } = failure as { readonly foreignText: string };
  for (const [name, content] of [
    ['a.txt', 'mine a'],
    ['b.txt', 'mine b'],
  ] as const) {
    expect(foreignText).toContain(`kept: ${path.join(home, keptName(name, content))}`);
    expect(await readFile(path.join(home, keptName(name, content)), 'utf8')).toBe(content);
  }
});
