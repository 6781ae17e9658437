import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { journalOf, openPartial, readJournal } from '../../../src/files/partial-file.ts';
import {
  isWindowBound,
  isWorthLogin,
  shouldZip,
  usualPace,
  windowFor,
} from '../../../src/files/pull-pace.ts';
import { createPullQueue } from '../../../src/files/pull-queue.ts';
import { BLOCK_BYTES, type Wanted } from '../../../src/files/pull-work.ts';
import { addSpan, gapsOf, parseSpans, reachOf, spanLine } from '../../../src/files/spans.ts';
import { fc } from '../../support/property.ts';

const MEBI = 1 << 20;
const spanArb = fc
  .tuple(fc.nat(200), fc.nat(60))
  .map(([start, length]) => ({ start, end: start + length }));

describe('spans', () => {
  it('say of each byte what a set of bytes says, in any order', () => {
    fc.assert(
      fc.property(fc.array(spanArb, { maxLength: 20 }), (added) => {
        const bytes = 260;
        const model = new Set<number>();
        let spans = addSpan([], { start: 0, end: 0 });
        for (const span of added) {
          spans = addSpan(spans, span);
          for (let at = span.start; at < span.end; at += 1) model.add(at);
        }
        const gaps = gapsOf(spans, bytes);
        const missing = new Set(
          gaps.flatMap(({ start, end }) =>
            Array.from({ length: end - start }, (_, i) => start + i),
          ),
        );
        for (let at = 0; at < bytes; at += 1) expect(missing.has(at)).toBe(!model.has(at));
        for (let index = 1; index < spans.length; index += 1)
          expect(spans[index]?.start).toBeGreaterThan(spans[index - 1]?.end ?? 0);
        let reach = 0;
        while (model.has(reach)) reach += 1;
        expect(reachOf(spans, 0)).toBe(reach);
        expect(parseSpans(spans.map(spanLine).join(''), bytes)).toEqual(spans);
      }),
    );
  });

  it('a journal that was cut, or is not one, claims nothing that is not in it', () => {
    expect(parseSpans('0 100\n100 20', 1000)).toEqual([{ start: 0, end: 100 }]);
    expect(parseSpans('0 100\nx y\n-1 5\n50 2000\n200 300\n', 1000)).toEqual([
      { start: 0, end: 100 },
      { start: 200, end: 300 },
    ]);
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { end } of parseSpans(text, 50)) expect(end).toBeLessThanOrEqual(50);
      }),
    );
  });
});

describe('a partial file', () => {
  const open = async (): Promise<{ file: string } & AsyncDisposable> => {
    const folder = await mkdtemp(path.join(tmpdir(), 'partial-'));
    return {
      file: path.join(folder, 'f'),
      [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
    };
  };
  const sha = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

  it('takes its pieces in any order, over several lives, and knows its hash [AR-06]', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300_000 }),
        fc.array(fc.nat(299_999), { maxLength: 8 }),
        fc.array(fc.nat(), { minLength: 10, maxLength: 10 }),
        async (bytes, cuts, order) => {
          await using folder = await open();
          const content = randomBytes(bytes);
          content.fill(0, Math.floor(bytes / 3), Math.floor(bytes / 2));
          const edges = [...new Set([0, ...cuts.filter((cut) => cut < bytes), bytes])].toSorted(
            (a, b) => a - b,
          );
          const pieces = edges
            .slice(1)
            .map((end, index) => ({ start: edges[index] ?? 0, end, key: order[index] ?? 0 }))
            .toSorted((a, b) => a.key - b.key);
          const half = Math.floor(pieces.length / 2);
          const write = async (some: typeof pieces): Promise<typeof partial> => {
            const partial = await openPartial(folder.file, bytes);
            for (const { start, end } of some) {
              const middle = Math.floor((start + end) / 2);
              await partial.write(start, [
                content.subarray(start, middle),
                content.subarray(middle, end),
              ]);
            }
            return partial;
          };
          const partial = await write(pieces.slice(0, half));
          await partial.close();
          const later = await write(pieces.slice(half));
          expect(later.isWhole()).toBe(true);
          expect((await later.finish()).sha256).toBe(sha(content));
          expect(sha(await readFile(folder.file))).toBe(sha(content));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('leaves holes where there is nothing but zeros', async () => {
    await using folder = await open();
    const bytes = 64 * MEBI;
    const partial = await openPartial(folder.file, bytes);
    const zeros = Array.from({ length: 32 }, () => Buffer.alloc(32 << 10));
    for (let at = 0; at < bytes; at += MEBI)
      await partial.write(at, at === 5 * MEBI ? [Buffer.alloc(MEBI, 'x')] : zeros);
    const expected = Buffer.alloc(bytes);
    expected.fill('x', 5 * MEBI, 6 * MEBI);
    expect((await partial.finish()).sha256).toBe(sha(expected));
    const stats = await stat(folder.file);
    expect(stats.size).toBe(bytes);
    expect(stats.blocks * 512).toBeLessThanOrEqual(2 * MEBI);
  });

  it('does not believe a journal whose file is another', async () => {
    await using folder = await open();
    await writeFile(folder.file, 'short');
    await writeFile(journalOf(folder.file), '0 100\n');
    const partial = await openPartial(folder.file, 100);
    expect(partial.isWhole()).toBe(false);
    await partial.write(0, [Buffer.alloc(100, 'y')]);
    expect((await partial.finish()).sha256).toBe(sha(Buffer.alloc(100, 'y')));
  });

  it('a kill costs at most the last few MiB', async () => {
    await using folder = await open();
    const partial = await openPartial(folder.file, 64 * MEBI);
    for (let at = 0; at < 30 * MEBI; at += MEBI) await partial.write(at, [randomBytes(MEBI)]);
    // Nothing was closed: what the journal says now is what a killed process leaves.
    const [span] = await readJournal(folder.file, 64 * MEBI);
    expect(span).toMatchObject({ start: 0 });
    expect(span?.end ?? 0).toBeGreaterThan(25 * MEBI);
    await partial.close();
  });
});

describe('the queue', () => {
  const fileOf = (source: string, bytes: number): Wanted => ({ source, bytes, partial: source });

  it('asks for every byte once, whatever is given back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 * MEBI }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        fc.boolean(),
        (sizes, returns, alone) => {
          const wanted = sizes.map((bytes, index) => ({
            file: fileOf(`f${index}`, bytes),
            have: [],
          }));
          const queue = createPullQueue(wanted, alone);
          const received = new Map<string, number>();
          for (let turn = 0; ; turn += 1) {
            const work = queue.next(8 * MEBI);
            if (work === undefined) break;
            if (returns[turn] === true) {
              queue.giveBack(work.pieces);
              continue;
            }
            for (const { file, offset, bytes } of work.pieces) {
              expect(offset % BLOCK_BYTES).toBe(0);
              received.set(file.source, (received.get(file.source) ?? 0) + bytes);
            }
          }
          expect(queue.leftBytes).toBe(0);
          for (const { file } of wanted) expect(received.get(file.source)).toBe(file.bytes);
        },
      ),
    );
  });

  it('goes on from what is there, from the start of a block', () => {
    const file = fileOf('big', 10 * MEBI + 5);
    const have = [
      { start: 0, end: 3 * MEBI + 7 },
      { start: 5 * MEBI, end: 6 * MEBI },
    ];
    const queue = createPullQueue([{ file, have }], false);
    const asked = [];
    for (let work = queue.next(100 * MEBI); work !== undefined; work = queue.next(100 * MEBI))
      asked.push(...work.pieces.map(({ offset, bytes }) => [offset, offset + bytes]));
    expect(asked).toEqual([
      [3 * MEBI, 5 * MEBI],
      [6 * MEBI, 10 * MEBI + 5],
    ]);
  });

  it('one that is dropped is not asked for again, its neighbours are', () => {
    const files = ['a', 'b', 'c'].map((name) => fileOf(name, 10));
    const queue = createPullQueue(
      files.map((file) => ({ file, have: [] })),
      false,
    );
    const work = queue.next(1);
    queue.giveBack(work?.pieces ?? []);
    queue.drop(new Set(files.slice(1, 2)));
    expect(queue.next(1)?.pieces.map(({ file }) => file.source)).toEqual(['a', 'c']);
    expect(queue.next(1)).toBeUndefined();
  });

  it('names of any bytes are words of the script, never more', () => {
    const file = fileOf("it's $(id) `x`\n-rf", 10);
    const work = createPullQueue([{ file, have: [] }], true).next(1);
    expect(work?.script).toBe(`q 10 './it'\\''s $(id) \`x\`\n-rf'\n`);
  });
});

describe('the pace', () => {
  const link = {
    rttSeconds: 0.1,
    windowBytes: 8 * MEBI,
    leftBytes: 1e9,
  };

  it('a window is enlarged only for much over a long link', () => {
    expect(windowFor(0.1, 1e9)).toBe(8 * MEBI);
    expect(windowFor(0.001, 1e9)).toBeUndefined();
    expect(windowFor(0.1, 1e6)).toBeUndefined();
  });

  it('logins over a long link are made where so much is left that they pay', () => {
    expect(isWorthLogin({ ...link, bytesPerSecond: 80e6 })).toBe(true);
    expect(isWorthLogin({ ...link, bytesPerSecond: 80e6, leftBytes: 90e6 })).toBe(false);
    expect(isWorthLogin({ ...link, bytesPerSecond: 1e6, leftBytes: 10e6 })).toBe(false);
    expect(isWorthLogin({ ...link, rttSeconds: 0.001, bytesPerSecond: 200e6 })).toBe(false);
  });

  it('more lanes run where the window binds, and no others', () => {
    expect(usualPace(0.1, 8 * MEBI)).toBeCloseTo(84e6, -6);
    expect(isWindowBound({ ...link, bytesPerSecond: 80e6 })).toBe(true);
    // A link of 25 MB/s is full with one.
    expect(isWindowBound({ ...link, bytesPerSecond: 25e6 })).toBe(false);
    expect(isWindowBound({ ...link, rttSeconds: 0.03, bytesPerSecond: 25e6 })).toBe(false);
    // Short links are bound by the processor.
    expect(isWindowBound({ ...link, rttSeconds: 0.001, bytesPerSecond: 200e6 })).toBe(false);
  });

  it('compresses what shrinks, on a slow link, while enough is left', () => {
    expect(shouldZip(5e6, 1e9, 0.3)).toBe(true);
    expect(shouldZip(5e6, 1e9, 0.95)).toBe(false);
    expect(shouldZip(200e6, 1e9, 0.3)).toBe(false);
    expect(shouldZip(5e6, 1e6, 0.3)).toBe(false);
    expect(shouldZip(5e6, 1e9, undefined)).toBe(false);
  });
});
