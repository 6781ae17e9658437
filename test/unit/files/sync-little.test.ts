import { chmod, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Remote } from '../../../src/core/remote.ts';
import { call, openWorld, syncRequest, treeOf, type World } from './harness.ts';

const FOLDERS = 40;
const FILES = 640;
const SETTLED_SECONDS = 60;
const nameOf = (index: number): string => `d${index % FOLDERS}/e/f${index}`;

/** More files than are asked for one by one, in folders that are each a small part of the tree. */
async function openTree(): Promise<World> {
  const world = await openWorld();
  await world.write(
    Object.fromEntries(Array.from({ length: FILES }, (_, at) => [nameOf(at), `text ${at}`])),
  );
  // Old enough that nobody takes them for files that are still written.
  const when = new Date(Date.now() - SETTLED_SECONDS * 1000);
  for (let at = 0; at < FILES; at += 1)
    await utimes(world.local(`project/${nameOf(at)}`), when, when);
  return world;
}

interface Spy extends Remote {
  /** What the last script that only looked answered. */
  looked: string;
  /** Bytes that came back with the last stream. */
  toldBytes: number;
  /** Runs once, before the next stream reaches the pod. */
  meanwhile: (() => Promise<void>) | undefined;
}
function spied(remote: Remote): Spy {
  const spy: Spy = {
    ...remote,
    looked: '',
    toldBytes: 0,
    meanwhile: undefined,
    async exec(...parameters) {
      const result = await remote.exec(...parameters);
      spy.looked = result.stdout.toString('latin1');
      return result;
    },
    async stream(pod, script, options) {
      const { meanwhile } = spy;
      spy.meanwhile = undefined;
      await meanwhile?.();
      spy.toldBytes = 0;
      const counter = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          spy.toldBytes += chunk.length;
          done(null, chunk);
        },
      });
      if (options.stdout !== undefined) counter.pipe(options.stdout);
      return remote.stream(pod, script, { ...options, stdout: counter });
    },
  };
  return spy;
}
const isSame = ({ looked }: Spy): boolean => looked.includes('\0same\0');

describe('a few files of many', () => {
  it('after they are placed only their folders are listed, and the next look finds it as was reckoned', async () => {
    await using world = await openTree();
    const remote = spied(world.remote);
    const files = world.over(remote);
    await files.sync(syncRequest(), call);
    const whole = remote.toldBytes;
    expect(whole).toBeGreaterThan(FILES * 60);
    await files.sync(syncRequest(), call);
    expect(isSame(remote)).toBe(true);
    for (let round = 0; round < 3; round += 1) {
      await world.write({ [nameOf(round)]: `other ${round}`, [nameOf(90)]: `again ${round}` });
      const result = await files.sync(syncRequest(), call);
      expect(result).toMatchObject({ sent: { files: 2 }, unchanged: { files: FILES - 2 } });
      // What was reckoned of the time before was right: the pod had nothing to tell.
      expect(isSame(remote)).toBe(true);
      expect(remote.toldBytes).toBeLessThan(whole / 3);
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    }
    const again = await files.sync(syncRequest(), call);
    expect(isSame(remote)).toBe(true);
    expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: FILES } });
  });

  it('what the pod changes while they are on their way is seen by the next sync', async () => {
    await using world = await openTree();
    const remote = spied(world.remote);
    const files = world.over(remote);
    await files.sync(syncRequest(), call);
    await files.sync(syncRequest(), call);
    const onPod = (index: number): string => world.pod(`project/${nameOf(index)}`);
    // Each in a folder of its own, and in the one of the file that is sent.
    const places = (round: number): readonly number[] => [7 + round, 3 + (round + 1) * FOLDERS];
    const changes: readonly ((file: string) => Promise<unknown>)[] = [
      // Of the same size and time.
      async (file) => {
        const { mtime } = await stat(file);
        await writeFile(file, (await readFile(file, 'utf8')).toUpperCase());
        await utimes(file, mtime, mtime);
      },
      async (file) => writeFile(file, 'longer than it was'),
      async (file) => rm(file),
      async (file) => rename(file, `${file}~`),
      async (file) => chmod(file, 0o755),
      async (file) => {
        await rm(path.dirname(file), { recursive: true });
        await mkdir(path.dirname(file), { recursive: true });
      },
    ];
    for (const [round, change] of changes.entries()) {
      await world.write({ [nameOf(3)]: `sent ${round}` });
      remote.meanwhile = async () => {
        for (const place of places(round)) await change(onPod(place));
      };
      await files.sync(syncRequest(), call);
      const mended = await files.sync(syncRequest(), call);
      expect(mended.sent.files, `after change ${round}`).toBeGreaterThan(1);
      expect(await treeOf(world.pod('project'))).toMatchObject(
        await treeOf(world.local('project')),
      );
    }
    // A dozen syncs of a few dozen processes each: on a machine with much else to do they take their time.
  }, 60_000);

  it('a folder with a strange name, one that is new and one that goes are listed right', async () => {
    await using world = await openTree();
    const remote = spied(world.remote);
    const files = world.over(remote);
    await world.write({ 'ü ñ/-x\n/two\nlines': '1', 'ü ñ/b': '2' });
    await writeFile(path.join(world.local('project'), 'ü ñ', 'B f'), '3');
    await files.sync(syncRequest(), call);
    await files.sync(syncRequest(), call);
    for (const tree of [
      { 'ü ñ/-x\n/two\nlines': 'one' },
      { 'ü ñ/b': 'two', 'new/deep/er': 'three' },
      { 'new/deep/er': 'four' },
      { 'new/other': 'five', [nameOf(5)]: 'six' },
    ]) {
      await world.write(tree);
      const { sent } = await files.sync(syncRequest(), call);
      expect(sent.files).toBe(Object.keys(tree).length);
      expect((await files.sync(syncRequest(), call)).sent.files).toBe(0);
    }
    await rm(world.local('project/new'), { recursive: true });
    await world.write({ [nameOf(6)]: 'seven' });
    const { deleted } = await files.sync(syncRequest({ delete: true }), call);
    expect([...deleted].toSorted()).toEqual(['new/deep/er', 'new/other']);
    expect(await readFile(world.pod(`project/${nameOf(6)}`), 'utf8')).toBe('seven');
    expect((await files.sync(syncRequest(), call)).sent.files).toBe(0);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  });
});
