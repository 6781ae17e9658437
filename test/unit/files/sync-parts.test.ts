import { readdirSync } from 'node:fs';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { createHashParts, PART_NAME } from '../../../src/files/hash-parts.ts';
import { fc } from '../../support/property.ts';
import { call, openWorld, syncRequest, treeOf, type World } from './harness.ts';

/** Enough for three parts. */
const MANY = 4700;
const DEADLINE_MS = 60_000;
const POLL_MS = 10;
const BUSYBOX =
  'sh tar ps cat chmod cp date dd df dirname env find head ls mkdir mv printf pwd rm rmdir sha256sum sleep sort stat tail test touch tr true';

async function manyFiles(world: World): Promise<void> {
  await world.write(
    Object.fromEntries(
      Array.from({ length: MANY }, (_, at) => [`d${at % 9}/it's ${at}`, `content ${at}\n`]),
    ),
  );
}

/** Each stream goes through what `through` makes, its script through `edit`. */
function changed(
  remote: Remote,
  {
    through,
    edit = (script) => script,
  }: { readonly through?: () => Transform; readonly edit?: (script: string) => string },
): Remote {
  return {
    ...remote,
    stream: async (pod, script, options) =>
      remote.stream(pod, edit(script), {
        ...options,
        ...(through === undefined || options.stdin === undefined
          ? {}
          : { stdin: options.stdin.pipe(through()) }),
      }),
  };
}

/** Names in the staging folder of the target. */
function stagedIn(world: World): readonly string[] {
  const target = world.pod('project');
  return readdirSync(target)
    .filter((name) => name.startsWith('.gpu-lease-sync-'))
    .flatMap((name) => readdirSync(path.join(target, name)));
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('It never came true.');
    await new Promise((resolve) => {
      AbortSignal.timeout(POLL_MS).addEventListener('abort', resolve, { once: true });
    });
  }
}

describe('many files', () => {
  it('are hashed on the pod while others are still on their way', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    let early: readonly string[] = [];
    // What is behind the first part waits until somebody has hashed that part.
    const gate = (): Transform => {
      let isOpen = false;
      let tail = '';
      let parts = 0;
      return new Transform({
        transform(chunk: Buffer, _encoding, done) {
          const text = tail + chunk.toString('latin1');
          if (!isOpen && text.includes(PART_NAME)) parts += 1;
          tail = text.slice(-PART_NAME.length);
          // Its own chunk, and one more that shows tar that it is whole.
          if (isOpen || parts === 0) {
            done(null, chunk);
            return;
          }
          this.push(chunk);
          if (parts === 1 && !text.includes(PART_NAME)) {
            isOpen = true;
            void until(() => stagedIn(world).some((name) => name.endsWith('.done')))
              .then(() => {
                early = stagedIn(world);
                done();
              })
              .catch(done);
            return;
          }
          done();
        },
      });
    };
    const files = world.over(changed(world.remote, { through: gate }));
    expect(await files.sync(syncRequest(), call)).toMatchObject({
      sent: { files: MANY },
      verified: true,
    });
    expect(early.some((name) => name.endsWith('.got'))).toBe(true);
    expect(early.some((name) => name.startsWith('.gpu-lease-place-'))).toBe(false);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    expect((await readdir(world.pod('project'))).some((name) => name.startsWith('.'))).toBe(false);
  }, 120_000);

  it.each([
    [
      'the second shell never runs',
      (script: string) => script.replace('kill -0 $$', () => 'false'),
    ],
    ['no sleep takes fractions', (script: string) => script.replace('sleep 0.05', 'false')],
    ['there is no sleep', (script: string) => script.replace(/sleep 0.05 \|\| sleep 1/, 'false')],
  ])(
    'arrive where %s',
    async (_name, edit) => {
      await using world = await openWorld();
      await manyFiles(world);
      let edits = 0;
      const files = world.over(
        changed(world.remote, {
          edit(script) {
            const other = edit(script);
            if (other !== script) edits += 1;
            return other;
          },
        }),
      );
      expect(await files.sync(syncRequest(), call)).toMatchObject({ sent: { files: MANY } });
      expect(edits).toBe(1);
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    },
    120_000,
  );

  it.each([
    [
      'a second shell that dies over a part',
      (script: string) =>
        script
          .replace('{ . "$f"; }', () => '{ [ -n "$w" ] || exit 9; . "$f"; }')
          .replace(': >./', () => 'wait "$w"; : >./'),
    ],
    [
      'a part that nobody hashed',
      (script: string) => script.replace('true >"$i.done"', () => 'rm "$i.got"; true >"$i.done"'),
    ],
    [
      'half of what a part printed',
      (script: string) =>
        script.replace('true >"$i.done"', () => 'echo >|"$i.got"; true >"$i.done"'),
    ],
  ])(
    'are not put in place after %s',
    async (_name, edit) => {
      await using world = await openWorld();
      await manyFiles(world);
      const files = world.over(changed(world.remote, { edit }));
      await expect(files.sync(syncRequest(), call)).rejects.toMatchObject({
        code: 'checksum_mismatch',
      });
      expect(await treeOf(world.pod('project'))).toEqual({});
      expect((await world.sync()).sent.files).toBe(MANY);
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    },
    120_000,
  );

  it('arrive on a pod of busybox alone', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    const folder = path.join(world.root, 'bin');
    await mkdir(folder);
    for (const name of BUSYBOX.split(' '))
      await symlink('/usr/bin/busybox', path.join(folder, name));
    const lines = `PATH=${folder}; export PATH; umask 077\n`;
    const remote: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => world.remote.exec(pod, lines + script, options),
      stream: async (pod, script, options) => world.remote.stream(pod, lines + script, options),
    };
    expect(await world.over(remote).sync(syncRequest(), call)).toMatchObject({
      sent: { files: MANY },
      verified: true,
    });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  }, 120_000);

  it('of which one byte of any part was altered on the way are not put in place', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    for (const word of ['content 0\n', 'content 2400\n', `content ${MANY - 1}\n`, "b './d3/"]) {
      let isDone = false;
      const alter = (): Transform =>
        new Transform({
          transform(chunk: Buffer, _encoding, done) {
            const copy = Buffer.from(chunk);
            const at = copy.indexOf(word);
            if (at >= 0 && !isDone) {
              isDone = true;
              copy[at + 1] = (copy[at + 1] ?? 0) ^ 1;
            }
            done(null, copy);
          },
        });
      const files = world.over(changed(world.remote, { through: alter }));
      await expect(files.sync(syncRequest(), call)).rejects.toMatchObject({
        code: 'checksum_mismatch',
      });
      expect(isDone).toBe(true);
      expect(await treeOf(world.pod('project'))).toEqual({});
    }
  }, 120_000);

  it('go on after a cut behind the first part, beside what that attempt left [SY-10]', async () => {
    await using world = await openWorld();
    await manyFiles(world);
    let seen = 0;
    const cut = (): Transform =>
      new Transform({
        transform(chunk: Buffer, _encoding, done) {
          seen += chunk.length;
          done(null, seen > 3 << 20 ? undefined : chunk);
        },
      });
    const through = changed(world.remote, { through: cut });
    const broken: Remote = {
      ...through,
      stream: async (...parameters) => {
        await through.stream(...parameters);
        world.remote.down = true;
        throw new RemoteError('link_lost', 'The link broke.');
      },
    };
    await expect(world.over(broken).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    expect(stagedIn(world).some((name) => name.startsWith(PART_NAME))).toBe(true);
    world.remote.down = false;
    const result = await world.sync();
    expect(result).toMatchObject({ sent: { files: MANY }, verified: true });
    expect(result.wireBytes).toBeLessThan((MANY - 2000) * 1024 + (2 << 20));
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  }, 120_000);
});

it('every file is in one part or in none, and the parts keep the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40 << 20), { maxLength: 60 }), fc.boolean(), (sizes, odd) => {
      const files = sizes.map((bytes, at) => ({
        path: odd && at % 5 === 0 ? `f\n${at}` : `f${at}`,
        absolute: '/x',
        bytes,
        executable: false,
        key: '',
        modifiedSeconds: 0,
        touchedMs: 0,
        sha256: '',
      }));
      const { groups, rest } = createHashParts(files);
      const order = files.map((file) => file.path);
      const inGroups = groups.flat().map((file) => file.path);
      expect(inGroups).toEqual(order.filter((name) => inGroups.includes(name)));
      expect([...inGroups, ...rest.map((file) => file.path)].toSorted()).toEqual(order.toSorted());
      if (groups.length > 0) expect(inGroups.some((name) => name.includes('\n'))).toBe(false);
      expect(groups.every((group) => group.length > 0)).toBe(true);
    }),
  );
});
