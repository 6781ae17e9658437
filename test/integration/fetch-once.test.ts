import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  open,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { RemoteError } from '../../src/core/errors.ts';
import type { Remote } from '../../src/core/remote.ts';
import { call, fetchRequest, openWorld, sha, treeOf, type World } from '../unit/files/harness.ts';

/* Each file is read once on each side, and not at all where nobody touched it. */

const MEBI = 1 << 20;
const isHashing = (stdin: unknown): boolean => String(stdin).includes('h() {');

interface Seen {
  readonly remote: Remote;
  hashed: number;
  streams: number;
  bytes: number;
}

/** Counts what goes over; `before` and `during` may change the pod's files meanwhile. */
function watching(
  world: World,
  hooks: {
    readonly beforeStream?: (count: number) => Promise<void>;
    readonly atBytes?: { readonly bytes: number; readonly act: () => Promise<void> };
  } = {},
): Seen {
  const seen: Seen = {
    hashed: 0,
    streams: 0,
    bytes: 0,
    remote: {
      ...world.remote,
      exec: async (pod, script, options) => {
        if (isHashing(options.stdin)) seen.hashed += 1;
        return world.remote.exec(pod, script, options);
      },
      stream: async (pod, script, options) => {
        seen.streams += 1;
        await hooks.beforeStream?.(seen.streams);
        const sink = options.stdout;
        if (sink === undefined) throw new Error('no sink');
        const counted = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            const from = seen.bytes;
            seen.bytes += chunk.length;
            const { bytes = Number.POSITIVE_INFINITY, act } = hooks.atBytes ?? {};
            if (act !== undefined && from < bytes && seen.bytes >= bytes)
              act().then(() => {
                done(null, chunk);
              }, done);
            else done(null, chunk);
          },
        });
        counted.pipe(sink);
        counted.once('error', () => sink.destroy());
        return world.remote.stream(pod, script, { ...options, stdout: counted });
      },
    },
  };
  return seen;
}

/** Neither side can have changed within a tick of a clock: as if a while had passed. */
async function settle(world: World, names: readonly string[]): Promise<void> {
  const newest = Math.max(
    ...(await Promise.all(names.map(async (name) => (await stat(world.pod(name))).ctimeMs))),
  );
  while (Math.floor(Date.now() / 1000) <= Math.floor(newest / 1000) + 2)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

describe('what nobody touched', () => {
  it('is neither sent nor hashed again; an edit of either side is seen at once [AR-06]', async () => {
    await using world = await openWorld(systemClock);
    await world.writePod({ 'out/a.txt': 'aaaa', 'out/b.txt': 'bbbb' });
    await settle(world, ['out/a.txt', 'out/b.txt']);
    const first = await world.fetch();
    const seen = watching(world);
    const files = world.over(seen.remote);
    expect(await files.fetch(fetchRequest(), call)).toMatchObject({
      manifest: { files: first.manifest.files },
    });
    expect([seen.hashed, seen.streams]).toEqual([0, 0]);

    // The same size, and the times put back: only the pod's own clock of changes tells.
    const { atime, mtime } = await stat(world.pod('out/a.txt'));
    await writeFile(world.pod('out/a.txt'), 'AAAA');
    await utimes(world.pod('out/a.txt'), atime, mtime);
    const local = await stat(world.local('results/out/b.txt'));
    await writeFile(world.local('results/out/b.txt'), 'BBBB');
    await utimes(world.local('results/out/b.txt'), local.atime, local.mtime);
    const result = await files.fetch(fetchRequest(), call);
    expect(await treeOf(world.local('results'))).toEqual({
      'out/a.txt': sha('AAAA'),
      'out/b.txt': sha('bbbb'),
      [`out/b.txt.kept-${sha('BBBB').slice(0, 12)}`]: sha('BBBB'),
    });
    // What was kept is told first.
    expect(result.manifest.files.map(({ sha256 }) => sha256)).toEqual([sha('bbbb'), sha('AAAA')]);
    expect(seen.bytes).toBe(8);
  });

  it('a file that the pod changed a moment before it was fetched is hashed again', async () => {
    await using world = await openWorld(systemClock);
    await world.writePod({ 'out/a.txt': 'aaaa' });
    await world.fetch();
    const seen = watching(world);
    await world.over(seen.remote).fetch(fetchRequest(), call);
    expect([seen.hashed, seen.streams]).toEqual([1, 0]);
  });

  it('keeps its verdict, and a deeper look is taken when it is asked for', async () => {
    await using world = await openWorld(systemClock);
    await world.writePod({ 'out/m.json': '{"loss": ' });
    await settle(world, ['out/m.json']);
    await world.fetch({ verify: 'hash' });
    const deep = await world.fetch();
    expect(deep.manifest.files[0]).toMatchObject({
      proof: 'hash',
      problem: expect.any(String) as string,
    });
    expect(await world.fetch()).toMatchObject({ manifest: { files: deep.manifest.files } });
  });
});

describe('files that change while they move', () => {
  it('one of many small ones spoils no other; it comes as it is then', async () => {
    await using world = await openWorld();
    const tree: Record<string, string> = {};
    for (let index = 0; index < 50; index += 1) tree[`out/f${index}.txt`] = `content ${index}`;
    await world.writePod(tree);
    const seen = watching(world, {
      beforeStream: async (count) => {
        if (count === 1) await writeFile(world.pod('out/f20.txt'), '!');
      },
    });
    await world.over(seen.remote).fetch(fetchRequest(), call);
    expect(await treeOf(world.local('results'))).toEqual(
      Object.fromEntries(
        Object.entries({ ...tree, 'out/f20.txt': '!' }).map(([name, text]) => [name, sha(text)]),
      ),
    );
  });

  it('one that never rests is named; its neighbours in the same batch come home', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a', 'out/log.txt': 'start', 'out/z.txt': 'z' });
    const seen = watching(world, {
      beforeStream: async (count) => writeFile(world.pod('out/log.txt'), 'x'.repeat(9 - count)),
    });
    const result = await world.over(seen.remote).fetch(fetchRequest(), call);
    expect(await treeOf(world.local('results'))).toEqual({
      'out/a.txt': sha('a'),
      'out/z.txt': sha('z'),
    });
    expect(result.refused?.map((item) => item.path)).toEqual(['out/log.txt']);
  });

  it.each([
    ['shrinks', async (file: string) => truncate(file, 3 * MEBI)],
    ['vanishes', async (file: string) => rm(file)],
    ['cannot be read any more', async (file: string) => rm(file).then(async () => mkdir(file))],
    ['is another one', async (file: string) => writeFile(file, randomBytes(20 * MEBI))],
  ])('a large file that %s in the middle keeps no other away', async (_name, act) => {
    await using world = await openWorld();
    const last = randomBytes(3 * MEBI + 17);
    await world.writePod({ 'out/a.xyz': randomBytes(96 * MEBI), 'out/z.xyz': last });
    const seen = watching(world, {
      atBytes: { bytes: 1 * MEBI, act: async () => act(world.pod('out/a.xyz')) },
    });
    await world.over(seen.remote).fetch(fetchRequest({ verify: 'hash' }), call);
    const home = await treeOf(world.local('results'));
    expect(home['out/z.xyz']).toBe(sha(last));
    const there = await readFile(world.pod('out/a.xyz')).catch(() => undefined);
    expect(home['out/a.xyz']).toBe(there === undefined ? undefined : sha(there));
  });

  it('a large file that only grows is taken whole, as it is at the end', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.xyz': randomBytes(20 * MEBI) });
    const more = randomBytes(MEBI);
    const seen = watching(world, {
      atBytes: {
        bytes: MEBI,
        act: async () => writeFile(world.pod('out/a.xyz'), more, { flag: 'a' }),
      },
    });
    await world.over(seen.remote).fetch(fetchRequest({ verify: 'hash' }), call);
    expect(await treeOf(world.local('results'))).toEqual(await treeOf(world.podHome));
  });

  it('what may not be read any more is named', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a', 'out/b.xyz': randomBytes(2 * MEBI) });
    for (const folder of [world.root, world.podHome, world.pod('out')]) await chmod(folder, 0o755);
    const asNobody = (script: string): string =>
      `exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '${script.replaceAll("'", String.raw`'\''`)}'`;
    const nobody: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => world.remote.exec(pod, asNobody(script), options),
      stream: async (pod, script, options) => {
        await chmod(world.pod('out/b.xyz'), 0o600);
        return world.remote.stream(pod, asNobody(script), options);
      },
    };
    const result = await world.over(nobody).fetch(fetchRequest(), call);
    expect(result.manifest.files.map((file) => file.path)).toEqual(['out/a.txt']);
    expect(result.refused?.map((item) => item.path)).toEqual(['out/b.xyz']);
  });
});

describe('resuming', () => {
  it('a pull that was ended goes on with what is missing, of many files and of one [AR-06]', async () => {
    await using world = await openWorld();
    const tree: Record<string, Buffer> = { 'out/big.xyz': randomBytes(60 * MEBI) };
    for (let index = 0; index < 300; index += 1) tree[`out/s${index}.xyz`] = randomBytes(10_000);
    await world.writePod(tree);
    const total = Object.values(tree).reduce((sum, { length }) => sum + length, 0);
    const stop = new AbortController();
    const first = watching(world, {
      atBytes: {
        bytes: 40 * MEBI,
        act: async () => {
          stop.abort();
          return Promise.reject(new RemoteError('remote_failed', 'Stopped.'));
        },
      },
    });
    await expect(
      world.over(first.remote).fetch(fetchRequest({ verify: 'hash' }), { signal: stop.signal }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/cancelled|remote_failed/) as string });
    expect(await treeOf(world.local('results'))).toEqual({});
    const second = watching(world);
    await world.over(second.remote).fetch(fetchRequest({ verify: 'hash' }), call);
    expect(await treeOf(world.local('results'))).toEqual(await treeOf(world.podHome));
    expect(first.bytes + second.bytes).toBeLessThan(total + 4 * MEBI);
  });

  it('what came of an older version is not mixed with a newer one', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/big.xyz': randomBytes(20 * MEBI) });
    const cut = watching(world, {
      atBytes: {
        bytes: 10 * MEBI,
        act: async () => Promise.reject(new RemoteError('remote_failed', 'Stopped.')),
      },
    });
    await expect(world.over(cut.remote).fetch(fetchRequest(), call)).rejects.toThrow();
    const fresh = randomBytes(20 * MEBI);
    await world.writePod({ 'out/big.xyz': fresh });
    const seen = watching(world);
    await world.over(seen.remote).fetch(fetchRequest({ verify: 'hash' }), call);
    expect(await treeOf(world.local('results'))).toEqual({ 'out/big.xyz': sha(fresh) });
    expect(seen.bytes).toBe(fresh.length);
  });
});

describe('weak pods', () => {
  it.each([
    ['nothing but coreutils of busybox', []],
    ['python3 and no openssl', ['python3']],
    ['openssl', ['openssl']],
  ])('large and small files come over with %s', async (_name, more) => {
    await using world = await openWorld();
    const bin = path.join(world.root, 'bin');
    await mkdir(bin);
    const tools = 'sh cat head tail dd stat sha256sum date readlink printf';
    for (const tool of tools.split(' ')) await symlink('/usr/bin/busybox', path.join(bin, tool));
    for (const tool of more) await symlink(`/usr/bin/${tool}`, path.join(bin, tool));
    const bare = (script: string): string => `PATH=${bin}; export PATH; ${script}`;
    const remote: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => world.remote.exec(pod, bare(script), options),
      stream: async (pod, script, options) => world.remote.stream(pod, bare(script), options),
    };
    const tree: Record<string, string | Buffer> = {
      'out/big one.xyz': randomBytes(12 * MEBI + 1),
      'out/odd\nname.xyz': randomBytes(2 * MEBI + 3),
      'out/-n': 'dash',
      'out/empty': '',
    };
    for (let index = 0; index < 450; index += 1) tree[`out/many/${index}`] = `${index}`.repeat(9);
    await world.writePod(tree);
    const result = await world.over(remote).fetch(fetchRequest(), call);
    expect(result.manifest.totalFiles).toBe(454);
    expect(await treeOf(world.local('results'))).toEqual(await treeOf(world.podHome));
  });
});

it('a sparse file is as sparse here', async () => {
  await using world = await openWorld();
  await mkdir(world.pod('out'));
  const handle = await open(world.pod('out/s.img'), 'w');
  await handle.truncate(80 * MEBI);
  await handle.write(Buffer.alloc(5000, 'x'), 0, 5000, 33 * MEBI);
  await handle.close();
  await world.fetch();
  const stats = await stat(world.local('results/out/s.img'));
  expect(stats.size).toBe(80 * MEBI);
  expect(stats.blocks * 512).toBeLessThan(4 * MEBI);
  expect(await treeOf(world.local('results'))).toEqual(await treeOf(world.podHome));
});

it('a lane never asks for so much that a slow disk makes memory grow', async () => {
  await using world = await openWorld();
  await world.writePod({ 'out/a.xyz': randomBytes(64 * MEBI) });
  let most = 0;
  let seen = 0;
  const remote: Remote = {
    ...world.remote,
    stream: async (pod, script, options) => {
      const sink = options.stdout;
      if (sink === undefined) throw new Error('no sink');
      const counted = new Transform({
        highWaterMark: 64 << 10,
        transform(chunk: Buffer, _encoding, done) {
          seen += chunk.length;
          most = Math.max(most, sink.writableLength);
          done(null, chunk);
        },
      });
      counted.pipe(sink);
      return world.remote.stream(pod, script, { ...options, stdout: counted });
    },
  };
  await world.over(remote).fetch(fetchRequest({ verify: 'hash' }), call);
  expect(seen).toBe(64 * MEBI);
  expect(most).toBeLessThan(3 * MEBI);
});

it('zeros over a slow link come packed, and none of them is waited for in vain', async () => {
  await using world = await openWorld(systemClock);
  await mkdir(world.pod('out'));
  const handle = await open(world.pod('out/zeros.img'), 'w');
  await handle.truncate(64 * MEBI);
  await handle.close();
  const scripts: string[] = [];
  const remote: Remote = {
    ...world.remote,
    stream: async (pod, script, options) => {
      scripts.push(script);
      const sink = options.stdout;
      if (sink === undefined) throw new Error('no sink');
      // 16 MB/s at most.
      const slow = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          setTimeout(done, chunk.length / 16e3, null, chunk);
        },
      });
      slow.pipe(sink);
      return world.remote.stream(pod, script, { ...options, stdout: slow });
    },
  };
  await world.over(remote).fetch(fetchRequest({ verify: 'hash' }), call);
  expect(scripts.filter((script) => script.includes('gzip'))).toHaveLength(1);
  expect(await treeOf(world.local('results'))).toEqual(await treeOf(world.podHome));
});
