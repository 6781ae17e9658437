import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/core/call.ts';
import { createRules } from '../../../src/files/rules.ts';
import { walkTree } from '../../../src/files/walk.ts';
import { createWalkMemory } from '../../../src/files/walk-memory.ts';
import { fc } from '../../support/property.ts';
import { fastClock, openWorld, treeOf, type World } from './harness.ts';

/** So late that every file was last touched long ago: what is known of it is sure at once. */
const laterClock: Clock = {
  ...fastClock(),
  now: () => new Date(systemClock.now().getTime() + 60_000),
};
const NAMES = Array.from({ length: 9 }, (_, at) => `d${at % 3}/f${at}.txt`);

/** Another content as long as the old one, under the old time: only the time of the change tells. */
function editSilently(file: string): void {
  const { mtime } = statSync(file);
  const content = readFileSync(file, 'utf8');
  const first = content.startsWith('a') ? 'b' : 'a';
  writeFileSync(file, `${first}${content.slice(1)}`);
  utimesSync(file, mtime, mtime);
}

async function start(): Promise<World> {
  const world = await openWorld(laterClock);
  await world.write(Object.fromEntries(NAMES.map((name) => [name, `x content of ${name}\n`])));
  await world.sync();
  // From here on both sides are known.
  expect(await world.sync()).toMatchObject({ sent: { files: 0 }, unchanged: { files: 9 } });
  return world;
}
const same = async (world: World): Promise<void> => {
  expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
};

describe('a tree that is known is not compared again, and nothing is missed', () => {
  it('tells the same again and again', async () => {
    await using world = await start();
    const { seconds, ...told } = await world.sync();
    expect(seconds).toBeGreaterThanOrEqual(0);
    const third = await world.sync();
    expect(third).toMatchObject(told);
    expect(third).toMatchObject({ sent: { files: 0, bytes: 0 }, unchanged: { files: 9 } });
    await same(world);
  });

  it('finds each edit of either side, whatever came before', async () => {
    const names = fc.constantFrom(...NAMES);
    const step = fc.record({
      what: fc.constantFrom(
        'edit',
        'remove',
        'add',
        'swap',
        'chmod',
        'editThere',
        'removeThere',
        'nothing',
      ),
      name: names,
      other: names,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 8 }), async (steps) => {
        await using world = await start();
        const here = (name: string): string => path.join(world.local('project'), name);
        const there = (name: string): string => path.join(world.pod('project'), name);
        const isHere = (name: string): boolean =>
          statSync(here(name), { throwIfNoEntry: false }) !== undefined;
        for (const { what, name, other } of steps) {
          if (what === 'add') writeFileSync(here(name), `x added ${other}\n`);
          if (isHere(name)) {
            if (what === 'edit') editSilently(here(name));
            if (what === 'editThere') editSilently(there(name));
            if (what === 'chmod') chmodSync(here(name), statSync(here(name)).mode ^ 0o100);
            if (what === 'removeThere') rmSync(there(name));
            if (what === 'remove' && name !== NAMES[0]) rmSync(here(name));
            if (what === 'swap' && name !== other && isHere(other)) {
              renameSync(here(name), `${here(name)}.away`);
              renameSync(here(other), here(name));
              renameSync(`${here(name)}.away`, here(other));
            }
          }
          await world.sync({ delete: true });
          await same(world);
          expect(await world.sync({ delete: true })).toMatchObject({
            sent: { files: 0 },
            deleted: [],
          });
        }
      }),
      { numRuns: 4 },
    );
  }, 180_000);

  it('a secret that comes later, or is no longer allowed, is refused as at first', async () => {
    await using world = await start();
    const token = 'key = hf_abcdefghijklmnopqrstuvwxyz012345\n';
    await world.write({ 'd0/f0.txt': token });
    await expect(world.sync()).rejects.toMatchObject({ code: 'secret_refused' });
    await expect(world.sync()).rejects.toMatchObject({ code: 'secret_refused' });
    const allowSecrets = ['d0/f0.txt'];
    expect(await world.sync({ allowSecrets })).toMatchObject({ sent: { files: 1 } });
    expect(await world.sync({ allowSecrets })).toMatchObject({ sent: { files: 0 } });
    await expect(world.sync()).rejects.toMatchObject({ code: 'secret_refused' });
  });

  it('rules that change are obeyed though no file did', async () => {
    await using world = await start();
    expect(await world.sync({ exclude: ['d1'] })).toMatchObject({ unchanged: { files: 6 } });
    expect(await world.sync()).toMatchObject({ unchanged: { files: 9 } });
    await world.write({ '.gitignore': 'd2\n' });
    expect(await world.sync()).toMatchObject({ sent: { files: 1 }, unchanged: { files: 6 } });
  });
});

function makeFolder(folder: string): void {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return;
  rmSync(folder, { force: true });
  mkdirSync(folder, { recursive: true });
}

/** One change in `folder`, as far as what it holds allows it. */
function mutate(folder: string, { kind, name }: { kind: string; name: string }): void {
  if (kind === 'rules') {
    if (name === '') rmSync(path.join(folder, '.gitignore'), { force: true });
    else writeFileSync(path.join(folder, '.gitignore'), `${name}\n`);
    return;
  }
  const target = path.join(folder, name);
  const stats = lstatSync(target, { throwIfNoEntry: false });
  if (kind === 'edit' || kind === 'chmod') {
    if (stats?.isFile() !== true) return;
    if (kind === 'edit') editSilently(target);
    else chmodSync(target, stats.mode ^ 0o100);
    return;
  }
  rmSync(target, { recursive: true, force: true });
  if (kind === 'folder') mkdirSync(target);
  if (kind === 'link') symlinkSync('one.txt', target);
  if (kind === 'file') writeFileSync(target, 'x');
}

describe('a walk that remembers', () => {
  const options = {
    signal: new AbortController().signal,
    allowSecrets: () => false,
    explicit: () => false,
    sameRules: true,
  };
  it('gives the same files for the same tree, sorted, and new ones for what changed', async () => {
    await using world = await openWorld();
    await world.write(Object.fromEntries(NAMES.map((name) => [name, 'x'])));
    const memory = createWalkMemory();
    const root = world.local('project');
    const walk = async (): ReturnType<typeof walkTree> =>
      walkTree(root, createRules({ include: [], exclude: [] }), options, memory);
    const first = await walk();
    expect(first.files.map(({ path: name }) => name)).toEqual(NAMES.toSorted());
    expect((await walk()).files).toBe(first.files);
    editSilently(path.join(root, 'd1/f4.txt'));
    const changed = (await walk()).files;
    expect(changed.map(({ path: name }) => name)).toEqual(NAMES.toSorted());
    expect(changed.flatMap((file, at) => (file === first.files[at] ? [] : [file.path]))).toEqual([
      'd1/f4.txt',
    ]);
    expect(await walkTree(root, createRules({ include: [], exclude: [] }), options)).toEqual(
      await walk(),
    );
  });

  it('finds what a first walk finds, whatever changes between two of them', async () => {
    const root = (world: World): string => world.local('project');
    const place = fc.constantFrom('', 'a', 'a/b', 'c');
    const name = fc.constantFrom('one.txt', 'two.log', '.env', 'id_rsa', 'b');
    const what = fc.oneof(
      fc.record({ kind: fc.constantFrom('file', 'link', 'folder', 'none', 'chmod', 'edit'), name }),
      fc.record({
        kind: fc.constant('rules'),
        name: fc.constantFrom('*.log', 'b', '!two.log', 'one.txt', ''),
      }),
    );
    const step = fc.tuple(place, what);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 4 }), { minLength: 3, maxLength: 8 }),
        async (rounds) => {
          await using world = await openWorld();
          const memory = createWalkMemory();
          for (const steps of rounds) {
            for (const folder of ['', 'a', 'a/b', 'c']) makeFolder(path.join(root(world), folder));
            for (const [folder, change] of steps) mutate(path.join(root(world), folder), change);
            const rules = (): ReturnType<typeof createRules> =>
              createRules({ include: [], exclude: ['c/one.txt'] });
            const walk = async (remembered?: typeof memory): ReturnType<typeof walkTree> =>
              walkTree(root(world), rules(), options, remembered);
            expect(await walk(memory)).toEqual(await walk());
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('skips names that are not UTF-8, and keeps one that holds the sign for them', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'x', 'odd\uFFFDname.txt': 'x' });
    const broken = Buffer.concat([
      Buffer.from(`${world.local('project')}/`),
      Buffer.from([0x66, 0xfc, 0x72]),
    ]);
    await writeFile(broken, 'x');
    const { files, skipped } = await walkTree(
      world.local('project'),
      createRules({ include: [], exclude: [] }),
      options,
    );
    expect(files.map(({ path: name }) => name)).toEqual(['a.txt', 'odd\uFFFDname.txt']);
    expect(skipped).toEqual([{ path: 'f\uFFFDr', why: 'name is not UTF-8' }]);
  });
});
