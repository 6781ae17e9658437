import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import { createStates, type Remembered, type SyncState } from '../../../src/files/sync-state.ts';
import { fc } from '../../support/property.ts';

const podId = podIdSchema.parse('local:state');
let home = '';
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'state-'));
});
afterEach(async () => {
  await rm(home, { recursive: true });
});

const fileOf = async (): Promise<string> => {
  const folder = path.join(home, 'sync-state');
  const [name = '', ...more] = await readdir(folder);
  expect(more).toEqual([]);
  return path.join(folder, name);
};
const open = (): ReturnType<ReturnType<typeof createStates>> => createStates(home)(podId, '/w/p');
/** What of a state is written. */
const told = (state: SyncState | undefined): unknown =>
  state && [
    state.real,
    state.digest,
    Object.fromEntries(state.entries),
    Object.fromEntries(state.others),
  ];

const name = fc.constantFrom('a', 'a/b', 'two\nlines', 'tab\tbed', 'ü', '-x', 'g--\t\t', '1 2');
const remembered: fc.Arbitrary<Remembered> = fc.record({
  isFile: fc.constant(true),
  isFolder: fc.constant(false),
  executable: fc.boolean(),
  sure: fc.boolean(),
  sha256: fc.constantFrom('1'.repeat(64), '2'.repeat(64)),
  bytes: fc.nat(),
  modified: fc.constantFrom('1700000000', '1700000000.5'),
  changedSeconds: fc.constantFrom(1, 2.5),
  stamp: fc.constantFrom('644 1 2 3', 'x|y'),
});
const named = fc.dictionary(name, remembered).map((all) => new Map(Object.entries(all)));
const state: fc.Arbitrary<SyncState> = fc.record({
  real: fc.constant('/w/p'),
  digest: fc.constantFrom('', 'd'.repeat(64)),
  entries: named,
  others: named,
});

/** Large enough that pieces are written behind it. */
const large = (count: number): SyncState => ({
  real: '/w/p',
  digest: 'd'.repeat(64),
  entries: new Map(Array.from({ length: count }, (_, at) => [`f${at}`, entryOf(at)])),
  others: new Map(),
});
const entryOf = (bytes: number): Remembered => ({
  isFile: true,
  isFolder: false,
  executable: false,
  sure: true,
  sha256: '3'.repeat(64),
  bytes,
  modified: '1700000000',
  changedSeconds: 5,
  stamp: `644 ${bytes} 1 2`,
});
const withChange = (before: SyncState, at: number): SyncState => ({
  ...before,
  digest: String(at % 10).repeat(64),
  entries: new Map(before.entries).set(`f${at}`, entryOf(1000 + at)),
});

describe('what is remembered of a target', () => {
  it('is what was saved last, for this process and for the next', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(state, { minLength: 1, maxLength: 8 }), async (states) => {
        const writer = open();
        // So that most of what follows is little beside it.
        await writer.save({ ...large(30), others: new Map([['gone', entryOf(1)]]) });
        for (const one of states) {
          await writer.save(one);
          expect(told(await writer.load())).toEqual(told(one));
          expect(told(await open().load())).toEqual(told(one));
        }
        await rm(path.join(home, 'sync-state'), { recursive: true });
      }),
      { numRuns: 60 },
    );
  });

  it('of a large tree only what changed is written, until that is half as much again', async () => {
    const writer = open();
    let now = large(400);
    await writer.save(now);
    const file = await fileOf();
    const whole = (await stat(file)).size;
    let wholes = 0;
    for (let at = 0; at < 300; at += 1) {
      now = withChange(now, at);
      const before = await stat(file);
      await writer.save(now);
      const after = await stat(file);
      if (after.ino !== before.ino) wholes += 1;
      else expect(after.size - before.size).toBeLessThan(whole / 100);
      expect(after.size).toBeLessThan(whole * 1.6);
    }
    expect(wholes).toBeLessThan(5);
    expect(told(await open().load())).toEqual(told(now));
  });

  it('cut off or altered anywhere it is an earlier one, or none, and is written whole again', async () => {
    const writer = open();
    const states = [large(40)];
    await writer.save(large(40));
    for (const at of [3, 7]) {
      const next = withChange(states.at(-1) ?? large(40), at);
      states.push(next);
      await writer.save(next);
    }
    const file = await fileOf();
    const text = await readFile(file, 'utf8');
    const expected = states.map(told);
    const seen = new Set<number>();
    for (let cut = 0; cut < text.length; cut += 37) {
      const broken = [text.slice(0, cut), `${text.slice(0, cut)}#${text.slice(cut + 1)}`];
      for (const one of broken) {
        await writeFile(file, one);
        const found = await open().load();
        if (found !== undefined) expect(expected).toContainEqual(told(found));
        seen.add(
          found === undefined
            ? -1
            : expected.findIndex((each) => JSON.stringify(each) === JSON.stringify(told(found))),
        );
      }
    }
    expect(seen.size).toBeGreaterThan(1);
    // Nothing is written behind what is broken.
    await writeFile(file, text.slice(0, -20));
    const next = open();
    await next.load();
    const last = withChange(large(40), 9);
    await next.save(last);
    expect(told(await open().load())).toEqual(told(last));
  });

  it('two processes that write to it leave one of their states, or an earlier one', async () => {
    const base = large(200);
    await open().save(base);
    const [one, two] = [open(), open()];
    await Promise.all([one.load(), two.load()]);
    const [first, second] = [withChange(base, 1), withChange(base, 2)];
    await one.save(first);
    await two.save(second);
    expect(told(await open().load())).toEqual(told(second));
    expect(told(await one.load())).toEqual(told(second));
    await Promise.all([one.save(first), two.save(withChange(second, 3))]);
    expect([base, first, second, withChange(second, 3)].map(told)).toContainEqual(
      told(await open().load()),
    );
  });
});
