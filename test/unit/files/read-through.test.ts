import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readAhead } from '../../../src/files/read-through.ts';
import type { Parcel } from '../../../src/files/send.ts';
import { localFile } from '../../../src/files/walk.ts';

const MEBI = 1 << 20;
const { signal } = new AbortController();

/** A file of five MiB; `look` is what looks through each MiB of it. */
async function openBench(look: (piece: number) => Promise<void>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'ahead-'));
  const absolute = path.join(folder, 'big');
  await writeFile(absolute, Buffer.alloc(5 * MEBI, 'x'));
  let seen = 0;
  const parcel: Pick<Parcel, 'late' | 'resume' | 'isThere'> = {
    resume: false,
    isThere: () => false,
    late: {
      read: () => {
        throw new Error('not part of this test');
      },
      begin: () => ({
        async add() {
          seen += 1;
          await look(seen);
          return [];
        },
        end: async () => Promise.resolve('a hash'),
      }),
      sha256Of: () => undefined,
    },
  };
  const file = { ...localFile(absolute, 'big'), sha256: '' };
  return {
    seen: () => seen,
    ahead: readAhead([file], parcel, signal),
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}

it('waits for what is not looked through yet, and for nothing else', async () => {
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await using bench = await openBench(async (piece) => (piece === 3 ? held : Promise.resolve()));
  await bench.ahead.whenRead('big', 2 * MEBI);
  await bench.ahead.whenRead('of somebody else', 100 * MEBI);
  const third = bench.ahead.whenRead('big', 3 * MEBI).then(() => 'read');
  await expect.poll(bench.seen).toBe(3);
  expect(await Promise.race([third, new Promise((r) => setImmediate(r, 'waits'))])).toBe('waits');
  goOn();
  expect(await third).toBe('read');
  expect(await bench.ahead.hashes).toEqual(new Map([['big', 'a hash']]));
  // It turned out shorter than it was found.
  await bench.ahead.whenRead('big', 9 * MEBI);
  await bench.ahead.stop();
});

it('what stops the reading reaches everybody who waits', async () => {
  await using bench = await openBench(async (piece) => {
    if (piece === 2) throw new Error('a secret');
    return Promise.resolve();
  });
  const waits = [4, 5].map(async (count) => bench.ahead.whenRead('big', count * MEBI));
  for (const outcome of await Promise.allSettled(waits))
    expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'a secret' } });
  await expect(bench.ahead.hashes).rejects.toThrow('a secret');
  await bench.ahead.stop();
});

it('stopped, it reads no further and lets go of whoever waits', async () => {
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await using bench = await openBench(async (piece) => (piece === 2 ? held : Promise.resolve()));
  const waits = bench.ahead.whenRead('big', 5 * MEBI);
  waits.catch(() => undefined);
  await expect.poll(bench.seen).toBe(2);
  const stopped = bench.ahead.stop();
  goOn();
  await stopped;
  await expect(waits).rejects.toThrow();
  expect(bench.seen()).toBe(2);
});
