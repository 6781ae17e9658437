import { randomBytes } from 'node:crypto';
import { chmod, open, readdir, readFile, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { pipeline, Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { blockLines, localBlocks, parseBlocks } from '../../../src/files/block-hash.ts';
import { call, openWorld, podId, syncRequest, treeOf, type World } from './harness.ts';

const TOKEN = 'hf_abcdefghijklmnopqrstuvwxyz012345';
const MIB = 1 << 20;
const { signal } = new AbortController();

/** Keeps what goes out over streams; `before` is done before each, `lines` come first in every script; `isFar`: several streams. */
function watched(
  remote: Remote,
  options: {
    readonly before?: () => Promise<void>;
    readonly lines?: string;
    readonly isFar?: boolean;
  } = {},
): Remote & { readonly out: () => Buffer } {
  const kept: Buffer[] = [];
  const lines = options.lines ?? ':';
  return {
    ...remote,
    out: () => Buffer.concat(kept),
    exec: async (pod, script, given) => {
      // So long is a round trip.
      if (options.isFar === true) await new Promise((resolve) => setTimeout(resolve, 40));
      return remote.exec(pod, script, { ...given, stdin: `${lines}\n${String(given.stdin)}` });
    },
    stream: async (pod, script, given) => {
      await options.before?.();
      const tap = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          kept.push(chunk);
          done(null, chunk);
        },
      });
      if (given.stdin) pipeline(given.stdin, tap, () => undefined);
      const stdin = given.stdin === undefined ? {} : { stdin: tap };
      return remote.stream(pod, `${lines}\n${script}`, { ...given, ...stdin });
    },
  };
}

async function edit(file: string, bytes: Buffer, at: number): Promise<void> {
  await using handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, at);
}

async function big(world: World, mebibytes: number): Promise<string> {
  await world.write({ 'big.bin': randomBytes(mebibytes * MIB + 5) });
  const file = world.local('project/big.bin');
  // Long ago: what it hashes to is remembered.
  await utimes(file, 1_700_000_000, 1_700_000_000);
  return file;
}

async function equal(world: World): Promise<void> {
  expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  expect(await readdir(world.pod('project'))).toEqual(['big.bin']);
}

describe('a big file that is read as it is sent', () => {
  it.each([
    ['in its middle', 9 * MIB + 77],
    ['over the edge of two pieces', 9 * MIB - 20],
    ['at its end', 12 * MIB - 40],
  ])(
    'with a secret %s is refused: it never leaves, and nothing is put in place [SY-18]',
    async (_, at) => {
      await using world = await openWorld();
      const file = await big(world, 12);
      await edit(file, Buffer.from(`\n${TOKEN}\n`), at);
      await world.write({ 'small.txt': 'small' });
      const remote = watched(world.remote);
      await expect(world.over(remote).sync(syncRequest(), call)).rejects.toMatchObject({
        code: 'secret_refused',
        message: expect.stringMatching(/big\.bin:\d+.*Hugging Face/) as unknown,
      });
      expect(remote.out().includes(TOKEN.slice(0, 12))).toBe(false);
      expect(await readdir(world.pod('.'))).toEqual([]);
      const allowed = await world.sync({ allowSecrets: ['big.bin'] });
      expect(allowed).toMatchObject({ sent: { files: 2 }, verified: true });
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    },
    60_000,
  );

  it.each([false, true])(
    'arrives where python3 is there and does not work (far: %s)',
    async (isFar) => {
      await using world = await openWorld();
      await big(world, 9);
      for (const lines of ['python3() { return 127; }', 'python3() { return 1; }']) {
        await edit(world.local('project/big.bin'), randomBytes(100), 5 * MIB);
        const remote = watched(world.remote, { lines, isFar });
        const result = await world.over(remote).sync(syncRequest(), call);
        expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
        await equal(world);
        // Seen to be another: what it holds is asked for again.
        await utimes(world.pod('project/big.bin'), 1_700_000_900, 1_700_000_900);
      }
    },
    60_000,
  );

  it('grows while it goes out, and arrives as it is then', async () => {
    await using world = await openWorld();
    const file = await big(world, 16);
    let pieces = 0;
    const slow: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        const tap = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            pieces += 1;
            if (pieces !== 3) done(null, chunk);
            else
              void edit(file, randomBytes(99), 16 * MIB).then(() => {
                done(null, chunk);
              }, done);
          },
        });
        if (options.stdin) pipeline(options.stdin, tap, () => undefined);
        const stdin = options.stdin === undefined ? {} : { stdin: tap };
        return world.remote.stream(pod, script, { ...options, ...stdin });
      },
    };
    const result = await world.over(slow).sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    await equal(world);
  }, 60_000);
});

describe('a big file of which the pod has an older one', () => {
  it.each([true, false])(
    'is not sent nor replaced when it is the same (ours: %s)',
    async (ours) => {
      await using world = await openWorld();
      const file = await big(world, 12);
      if (ours) await world.sync();
      else await world.writePod({ 'project/big.bin': await readFile(file) });
      const there = world.pod('project/big.bin');
      const before = await stat(there, { bigint: true });
      await utimes(file, 1_700_000_500, 1_700_000_500);
      const result = await world.sync();
      expect(result).toMatchObject({
        sent: { files: 0, bytes: 0 },
        unchanged: { files: 1, bytes: 12 * MIB + 5 },
      });
      expect(result.wireBytes).toBeLessThan(64 << 10);
      const after = await stat(there, { bigint: true });
      expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
      await chmod(file, 0o755);
      await utimes(file, 1_700_000_600, 1_700_000_600);
      expect(await world.sync()).toMatchObject({ sent: { files: 1 } });
      expect((await stat(there)).mode & 0o777).toBe(0o755);
      await equal(world);
    },
    60_000,
  );

  it('needs no room when it is the same; one that differs is refused before anything is sent [SY-22]', async () => {
    await using world = await openWorld();
    const file = await big(world, 12);
    await world.write({ 'small.txt': 'small' });
    await world.sync();
    // 4 MiB are free.
    const df = `df() { printf 'Filesystem\\n/dev/x 99999 95903 4096 96%% /\\n'; }
stat() { [ "$1" != -f ] && command stat "$@"; }`;
    const full = world.over({
      ...world.remote,
      exec: async (pod, script, options) =>
        world.remote.exec(pod, script, { ...options, stdin: `${df}\n${String(options.stdin)}` }),
    });
    await utimes(file, 1_700_000_500, 1_700_000_500);
    await world.write({ 'small.txt': 'other' });
    const result = await full.sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, unchanged: { files: 1 } });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    await edit(file, randomBytes(9), 3 * MIB);
    const before = await treeOf(world.pod('project'));
    await expect(full.sync(syncRequest(), call)).rejects.toMatchObject({ code: 'disk_full' });
    expect(await treeOf(world.pod('project'))).toEqual(before);
  }, 60_000);

  it('costs what differs beside programs that are named like those of python3', async () => {
    await using world = await openWorld();
    const file = await big(world, 12);
    const names = ['hashlib', 'queue', 'stat', 'threading', 'zlib', 'logging', 'fcntl'];
    await world.write(
      Object.fromEntries(names.map((name) => [`${name}.py`, 'raise SystemExit(3)\n'])),
    );
    await world.sync();
    // As in a new server: what is there is not remembered.
    await utimes(world.pod('project/big.bin'), 1_700_000_900, 1_700_000_900);
    await edit(file, randomBytes(9), 3 * MIB);
    const result = await world.sync();
    expect(result).toMatchObject({ sent: { files: 1 }, unchanged: { files: names.length } });
    expect(result.wireBytes).toBeLessThan(512 << 10);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  }, 60_000);

  it('costs what differs: at its front, its end, over edges, longer, shorter', async () => {
    await using world = await openWorld();
    const file = await big(world, 12);
    await world.writePod({ 'project/big.bin': await readFile(file) });
    const changes: readonly (readonly [number, number])[] = [
      [0, 10],
      [12 * MIB, 5],
      [MIB - 3, 6],
      [4 * MIB - 200_000, 400_000],
      [12 * MIB + 5, 300_000],
    ];
    for (const [at, length] of changes) {
      await edit(file, randomBytes(length), at);
      const result = await world.sync();
      expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
      expect(result.wireBytes).toBeLessThan(length + (512 << 10));
      await equal(world);
    }
    await using handle = await open(file, 'r+');
    await handle.truncate(9 * MIB + 1);
    expect((await world.sync()).wireBytes).toBeLessThan(256 << 10);
    await equal(world);
  }, 60_000);

  it('that changes while the new one is made from it is taken for none', async () => {
    await using world = await openWorld();
    const file = await big(world, 12);
    await world.sync();
    await edit(file, randomBytes(10), 5 * MIB);
    let times = 0;
    const remote = watched(world.remote, {
      before: async () => {
        if (times++ === 0) await edit(world.pod('project/big.bin'), randomBytes(10), 2 * MIB);
      },
    });
    const result = await world.over(remote).sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    await equal(world);
  }, 60_000);

  it('a link that breaks in the middle costs no more than what differs [SY-10]', async () => {
    await using world = await openWorld();
    const file = await big(world, 24);
    await world.sync();
    for (const at of [2 * MIB, 20 * MIB]) await edit(file, randomBytes(3 * MIB), at);
    let isCut = false;
    const cut: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        if (isCut) return world.remote.stream(pod, script, options);
        isCut = true;
        let left = 2 * MIB;
        const tap = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            const part = chunk.subarray(0, left);
            left -= part.length;
            if (part.length > 0) this.push(part);
            if (left > 0) done();
            else this.push(null);
          },
        });
        if (options.stdin) pipeline(options.stdin, tap, () => undefined);
        await world.remote.stream(pod, script, { ...options, stdin: tap });
        throw new RemoteError('link_lost', 'The link broke.');
      },
    };
    const result = await world.over(cut).sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    // What went before the cut is counted, and what arrived of it is not sent again.
    expect(result.wireBytes).toBeGreaterThan(6 * MIB);
    expect(result.wireBytes).toBeLessThan(9 * MIB);
    await equal(world);
  }, 60_000);

  it.each([true, false])(
    'has the same digests at both ends (python3: %s)',
    async (hasPython) => {
      await using world = await openWorld();
      for (const bytes of [0, 5, 128 << 10, (8 << 20) - 1, 8 << 20, (9 << 20) + 7, 16 << 20]) {
        const content = randomBytes(bytes);
        await world.write({ 'big.bin': content });
        await world.writePod({ 'big.bin': content });
        const script = ['H() { sha256sum -- "$@"; }', ...blockLines(['big.bin'], hasPython), ''];
        const { stdout } = await world.remote.exec(podId, 'sh -s', {
          ...call,
          timeoutSeconds: 60,
          stdin: script.join('\n'),
        });
        const [there] = parseBlocks(stdout, 1, hasPython);
        const blockBytes = there?.blockBytes ?? 0;
        const here = await localBlocks(
          path.join(world.workspace, 'project/big.bin'),
          blockBytes,
          signal,
        );
        expect(here).toEqual(there);
        expect(here.digests).toHaveLength(Math.ceil(bytes / blockBytes));
      }
    },
    60_000,
  );
});
