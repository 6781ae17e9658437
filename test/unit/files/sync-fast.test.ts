import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/call.ts';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { createFiles } from '../../../src/files/files.ts';
import { call, jobsOf, openWorld, sha, syncRequest, treeOf, type World } from './harness.ts';

/** Counts what goes to the pod. */
function counted(remote: Remote): Remote & { execs: number; streams: number; hashed: number } {
  const counts = {
    ...remote,
    execs: 0,
    streams: 0,
    hashed: 0,
    exec: async (...parameters: Parameters<Remote['exec']>) => {
      counts.execs += 1;
      const [, , options] = parameters;
      counts.hashed += String(options.stdin).match(/^h .*/gm)?.length ?? 0;
      return remote.exec(...parameters);
    },
    stream: async (...parameters: Parameters<Remote['stream']>) => {
      counts.streams += 1;
      return remote.stream(...parameters);
    },
  };
  return counts;
}

/** A pod on which only these programs exist. `lines` come first in every script. */
function podWith(remote: Remote, lines: string): Remote {
  return {
    ...remote,
    exec: async (pod, script, options) =>
      remote.exec(pod, `${lines}\n${script}`, { ...options, stdin: String(options.stdin ?? '') }),
    stream: async (pod, script, options) => remote.stream(pod, `${lines}\n${script}`, options),
  };
}

const NEEDED =
  'tar ps cat chmod cp date dd df dirname echo env expr false head ls mkdir mv printf pwd rm rmdir sha256sum sort stat tail test touch tr true uname wc';

/** A folder of the programs of busybox: an `sh` that is no bash, a `find` without -printf, no gzip, python3 or openssl. */
async function busybox(world: World, programs = `${NEEDED} find sh`): Promise<string> {
  const folder = path.join(world.root, `bin-${programs.length}`);
  await mkdir(folder, { recursive: true });
  for (const name of programs.split(' '))
    await symlink('/usr/bin/busybox', path.join(folder, name)).catch(() => undefined);
  return folder;
}

describe('what is remembered of a pod', () => {
  it('an unchanged tree costs one question and nothing is hashed again [SY-13]', async () => {
    await using world = await openWorld();
    await world.write(
      Object.fromEntries(Array.from({ length: 700 }, (_, at) => [`d${at % 7}/f${at}`, `${at}`])),
    );
    const remote = counted(world.remote);
    const files = world.over(remote);
    await files.sync(syncRequest(), call);
    expect(remote.streams).toBe(1);
    remote.execs = 0;
    remote.hashed = 0;
    const again = await files.sync(syncRequest(), call);
    expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: 700 }, verified: true });
    expect(remote).toMatchObject({ execs: 1, streams: 1, hashed: 0 });
    // Another server process of the same home: it has the folders of the pod to ask for.
    const other = counted(world.remote);
    await world.over(other).sync(syncRequest(), call);
    expect(other).toMatchObject({ execs: 2, streams: 0, hashed: 0 });
    await world.write({ 'd3/f3': 'three' });
    const changed = await files.sync(syncRequest(), call);
    expect(changed).toMatchObject({ sent: { files: 1 }, unchanged: { files: 699 } });
    expect(remote).toMatchObject({ execs: 2, streams: 2, hashed: 0 });
  });

  it('of a thousand edits of the same size and time, here or there, none is missed', async () => {
    await using world = await openWorld();
    const names = Array.from({ length: 50 }, (_, at) => `f${at}`);
    const when = new Date(1_700_000_000_000);
    const write = async (folder: string, round: string): Promise<void> => {
      for (const name of names) {
        const file = path.join(folder, name);
        await writeFile(file, `${name} ${round}`);
        await utimes(file, when, when);
      }
    };
    for (let round = 0; round < 10; round += 1) {
      await write(world.local('project'), `l${round}`);
      expect((await world.sync()).sent.files).toBe(50);
      await write(world.pod('project'), `p${round}`);
      expect((await world.sync()).sent.files).toBe(50);
    }
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    // Twenty syncs of a few dozen processes each: on a machine with much else to do they take their time.
  }, 60_000);

  it('a memory that is broken, or of another folder, is no memory', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'a', 'b.txt': 'b' });
    await world.sync();
    const folder = path.join(world.root, 'home/sync-state');
    const [name = ''] = await readdir(folder);
    const text = await readFile(path.join(folder, name), 'utf8');
    for (const broken of ['', 'x', text.slice(0, -20), text.replaceAll('\t', ' '), '\0\0\0']) {
      await writeFile(path.join(folder, name), broken);
      expect((await world.sync()).unchanged.files).toBe(2);
    }
    // The folder is another one now, with other files of the same size.
    execFileSync('mv', [world.pod('project'), world.pod('gone')]);
    await world.writePod({ 'project/a.txt': 'x', 'project/b.txt': 'b' });
    expect(await world.sync()).toMatchObject({ sent: { files: 1 }, unchanged: { files: 1 } });
    expect(await readFile(world.pod('project/a.txt'), 'utf8')).toBe('a');
  });
});

describe('folders that the pod lacks', () => {
  const NEW = {
    'old/here/a': 'a',
    'old/new/b': 'b',
    'old/new/deep/c': 'c',
    'old-new/d e/f': 'f',
    '-n/g\nh': 'g',
    i: 'i',
  };

  it('join what is there, and nothing there is touched', async () => {
    await using world = await openWorld();
    await world.write(NEW);
    const before = { 'old/here/mine': 'm', 'old/here/a': 'z', 'other/x': 'x' };
    await world.writePod(
      Object.fromEntries(Object.entries(before).map(([name, text]) => [`project/${name}`, text])),
    );
    expect((await world.sync()).sent.files).toBe(6);
    for (const [name, text] of Object.entries({ ...before, ...NEW }))
      expect(await readFile(world.pod(`project/${name}`), 'utf8')).toBe(text);
    expect((await world.sync()).unchanged.files).toBe(6);
  });

  it('bring nothing along that an earlier attempt left in them', async () => {
    await using world = await openWorld();
    await world.write(NEW);
    let streams = 0;
    const files = world.over({
      ...world.remote,
      stream: async (pod, script, options) => {
        streams += 1;
        if (streams > 1) return world.remote.stream(pod, script, options);
        const staging = /\.gpu-lease-sync-[\w-]+/.exec(script)?.[0] ?? '';
        await world.writePod({ [`project/${staging}/old/new/left`]: 'not ours' });
        throw new RemoteError('link_lost', 'The link broke.');
      },
    });
    expect((await files.sync(syncRequest(), call)).sent.files).toBe(6);
    expect(streams).toBe(2);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  });

  it.each([
    ['openssl', ''],
    ['python3', 'openssl() { return 1; }'],
    ['sha256sum', 'openssl() { echo no; }; python3() { return 1; }'],
  ])('are proven with %s, and one altered byte is seen', async (_, lines) => {
    await using world = await openWorld();
    await world.write({
      ...NEW,
      ...Object.fromEntries(
        Array.from({ length: 12 }, (_none, at) => [`much/m${at}`, randomBytes(1 << 20)]),
      ),
    });
    let altering = true;
    const remote = podWith(world.remote, lines);
    const files = world.over({
      ...remote,
      stream: async (pod, script, options) => {
        const place = altering ? 'printf x >>much/m3; exec sh "$f"' : 'exec sh "$f"';
        // The functions of `lines` are for the script that hashes, too.
        const told = `{ echo '${lines}'; cat "$f"; } >.t; mv .t "$f"; ${place}`;
        return remote.stream(pod, script.replace('exec sh "$f"', `{ ${told}; }`), options);
      },
    });
    await expect(files.sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await treeOf(world.pod('project'))).toEqual({});
    altering = false;
    expect((await files.sync(syncRequest(), call)).sent.files).toBe(18);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  });

  it('hashed by several programs at once, one altered or missing file of any is seen', async () => {
    await using world = await openWorld();
    const names = Array.from({ length: 2200 }, (_, at) => `d${at % 3}/f${at}`);
    await world.write(Object.fromEntries(names.map((name) => [name, name])));
    for (const harm of ['printf x >>d0/f0', 'rm d2/f1100', 'printf x >>d0/f2199']) {
      const files = world.over({
        ...world.remote,
        stream: async (pod, script, options) =>
          world.remote.stream(
            pod,
            script.replace('exec sh "$f"', `{ ${harm}; exec sh "$f"; }`),
            options,
          ),
      });
      await expect(files.sync(syncRequest(), call)).rejects.toMatchObject({
        code: 'checksum_mismatch',
      });
    }
    expect(await treeOf(world.pod('project'))).toEqual({});
    expect((await world.sync()).sent.files).toBe(2200);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  }, 120_000);
});

describe('big files', () => {
  it('a broken link costs the piece that was on its way [SY-10]', async () => {
    await using world = await openWorld();
    const big = randomBytes((40 << 20) + 12_345);
    await world.write({ 'sub/big.bin': big, 'a.txt': 'a' });
    const cut = cutAfter(30 << 20);
    let open = 0;
    const broken: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        open += 1;
        const stdin = options.stdin?.pipe(cut());
        await world.remote.stream(pod, script, { ...options, ...(stdin && { stdin }) });
        open -= 1;
        // All of them end at once.
        while (open > 0) await new Promise((resolve) => setImmediate(resolve));
        world.remote.down = true;
        throw new RemoteError('link_lost', 'The link broke.');
      },
    };
    await expect(world.over(broken).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    world.remote.down = false;
    const result = await world.sync();
    expect(result).toMatchObject({ sent: { files: 2 }, verified: true });
    expect(result.wireBytes).toBeLessThan((10 << 20) + (40 << 20) * 0.02 + (4 << 20));
    expect(result.wireBytes).toBeGreaterThan(9 << 20);
    expect(await treeOf(world.pod('project'))).toEqual({
      'sub/big.bin': sha(big),
      'a.txt': sha('a'),
    });
  }, 60_000);

  it.each(['python3', 'busybox'])(
    'only blocks that differ are sent, longer and shorter, with %s',
    async (name) => {
      await using world = await openWorld();
      const files =
        name === 'python3'
          ? world.files
          : world.over(podWith(world.remote, `PATH=${await busybox(world)}`));
      const big = randomBytes((65 << 20) + 7);
      await world.write({ 'big.bin': big });
      await files.sync(syncRequest(), call);
      const file = world.local('project/big.bin');
      await using handle = await open(file, 'r+');
      await handle.write(randomBytes(4096), 0, 4096, 20 << 20);
      const second = await files.sync(syncRequest(), call);
      expect(second.wireBytes).toBeLessThan(10 << 20);
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
      await handle.truncate((64 << 20) + 3);
      const shorter = await files.sync(syncRequest(), call);
      expect(shorter.wireBytes).toBeLessThan(10 << 20);
      expect((await stat(world.pod('project/big.bin'))).size).toBe((64 << 20) + 3);
      await handle.write(randomBytes(300_000), 0, 300_000, (64 << 20) + 3);
      const longer = await files.sync(syncRequest(), call);
      expect(longer.wireBytes).toBeLessThan(10 << 20);
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
      expect(await readdir(world.pod('project'))).toEqual(['big.bin']);
    },
    120_000,
  );

  it('one that changes while it is sent is sent again', async () => {
    await using world = await openWorld();
    await world.write({ 'big.bin': randomBytes(10 << 20) });
    let edits = 0;
    const editing: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        if (edits++ === 0) await world.write({ 'big.bin': randomBytes((10 << 20) + 5) });
        return world.remote.stream(...parameters);
      },
    };
    const result = await world.over(editing).sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  }, 60_000);
});

describe('many kinds of pods', () => {
  it.each([
    ['busybox alone', `${NEEDED} find sh`],
    ['no find at all', `${NEEDED} sh`],
    ['no stat and no find', `${NEEDED.replace(' stat', '')} sh`],
  ])(
    '%s',
    async (_name, programs) => {
      await using world = await openWorld();
      const folder = await busybox(world, programs);
      const files = world.over(podWith(world.remote, `PATH=${folder}; export PATH; umask 077`));
      const tree: Record<string, string | Buffer> = {
        'run.sh': '#!/bin/sh\n',
        'big.bin': randomBytes((9 << 20) + 1),
        'two\nlines': 'odd',
        'back\\slash': 'odd too',
      };
      for (let at = 0; at < 600; at += 1) tree[`d${at % 3}/f${at}`] = `${at}`;
      await world.write(tree);
      execFileSync('chmod', ['755', world.local('project/run.sh')]);
      expect(await files.sync(syncRequest(), call)).toMatchObject({ sent: { files: 604 } });
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
      expect((await stat(world.pod('project/run.sh'))).mode & 0o777).toBe(0o755);
      expect(await files.sync(syncRequest(), call)).toMatchObject({
        sent: { files: 0 },
        unchanged: { files: 604 },
      });
      await writeFile(world.pod('project/d1/f1'), 'X');
      await world.write({ 'd2/f2': 'Y' });
      expect(await files.sync(syncRequest(), call)).toMatchObject({ sent: { files: 2 } });
      expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
      expect((await readdir(world.pod('project'))).filter((name) => name.startsWith('.'))).toEqual(
        [],
      );
    },
    60_000,
  );

  it.each([
    ['perl', async () => Promise.resolve('')],
    ['no perl', async (world: World) => `PATH=${await busybox(world)}; export PATH`],
    ['a perl that reads names as letters', async () => Promise.resolve('export PERL_UNICODE=SAD')],
    ['a perl that does not start', async () => Promise.resolve('export PERL5OPT=-Mnone')],
  ])('files in many folders, with %s', async (_name, linesFor) => {
    await using world = await openWorld();
    const files = world.over(podWith(world.remote, await linesFor(world)));
    const names = Array.from({ length: 12 }, (_, at) => `a b'${at}/-c "d\n${at}/$e\\ü${at}`);
    const tree = (text: string): Record<string, string> =>
      Object.fromEntries([...names, ...names.map((name) => `${name}.x`)].map((n) => [n, text + n]));
    await world.write({ ...tree('old'), 'top.txt': 'old', 'only/f': 'old' });
    expect(await files.sync(syncRequest(), call)).toMatchObject({ sent: { files: 26 } });
    await world.write({ ...tree('new'), 'top.txt': 'new', 'b/new/f': 'new' });
    expect(await files.sync(syncRequest(), call)).toMatchObject({
      sent: { files: 26 },
      unchanged: { files: 1 },
    });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    expect((await readdir(world.pod('project'))).filter((name) => name.startsWith('.'))).toEqual(
      [],
    );
  });

  it('a folder that turns up in the place of one of many files is told, and loses nothing', async () => {
    await using world = await openWorld();
    const names = Array.from({ length: 12 }, (_, at) => `d${at}/f`);
    await world.write(Object.fromEntries(names.map((name) => [name, 'old'])));
    await world.sync();
    await world.write(Object.fromEntries(names.map((name) => [name, 'new'])));
    const late: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        await rm(world.pod('project/d7/f'));
        await mkdir(world.pod('project/d7/f/made/there'), { recursive: true });
        return world.remote.stream(...parameters);
      },
    };
    await expect(world.over(late).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'remote_failed',
    });
    expect((await stat(world.pod('project/d7/f/made/there'))).isDirectory()).toBe(true);
    await rm(world.pod('project/d7/f'), { recursive: true });
    await world.sync();
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
  });

  it('a clock that is a year off changes nothing', async () => {
    await using world = await openWorld();
    const ahead = createFiles({
      remote: world.remote,
      store: world.store,
      jobs: jobsOf(() => []),
      clock: { ...systemClock, now: () => new Date(Date.now() - 365 * 86_400_000) },
      home: path.join(world.root, 'home'),
      workspace: world.workspace,
    });
    for (let round = 0; round < 5; round += 1) {
      await world.write({ 'a.txt': `r${round}` });
      expect((await ahead.sync(syncRequest(), call)).sent.files).toBe(1);
      expect(await readFile(world.pod('project/a.txt'), 'utf8')).toBe(`r${round}`);
    }
  });
});

describe('more than one writer', () => {
  it('two servers that sync to one folder at once do not spoil each other', async () => {
    await using world = await openWorld();
    await world.write(
      Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`f${at}`, randomBytes(40_000)])),
    );
    const server = (home: string) =>
      createFiles({
        remote: world.remote,
        store: world.store,
        jobs: jobsOf(() => []),
        clock: systemClock,
        home: path.join(world.root, home),
        workspace: world.workspace,
      });
    // Two homes, and two processes of one home.
    const servers = ['one', 'two', 'two'].map(server);
    const results = await Promise.all(
      servers.map(async (files) => files.sync(syncRequest(), call)),
    );
    for (const result of results) expect(result.verified).toBe(true);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    expect((await readdir(world.pod('project'))).length).toBe(60);
    // Who came second of one home knows of the first.
    const told = results.map(({ warnings = [] }) =>
      warnings.join(' ').includes('at the same time'),
    );
    expect(told[0]).toBe(false);
    expect(told.slice(1).toSorted()).toEqual([false, true]);
    await world.write({ f0: 'once more' });
    expect(await servers[1]?.sync(syncRequest(), call)).not.toHaveProperty('warnings');
  });

  it('a deletion of most of the target needs a dry run first [SY-14]', async () => {
    await using world = await openWorld();
    const names = Array.from({ length: 30 }, (_, at) => `run${at}`);
    await world.write(Object.fromEntries(['a.txt', ...names].map((name) => [name, 'source'])));
    await world.sync();
    for (const name of names) await rm(world.local(`project/${name}`));
    await expect(world.sync({ delete: true })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('30 of 31') as string,
    });
    expect(Object.keys(await treeOf(world.pod('project'))).length).toBe(31);
    expect((await world.sync({ delete: true, dryRun: true })).deleted.length).toBe(30);
    // What turned up since was not in that list.
    await world.write({ fresh: 'source' });
    await world.sync();
    await rm(world.local('project/fresh'));
    await expect(world.sync({ delete: true })).rejects.toMatchObject({ code: 'invalid_input' });
    await world.sync({ delete: true, dryRun: true });
    expect((await world.sync({ delete: true })).deleted.length).toBe(31);
    expect(Object.keys(await treeOf(world.pod('project')))).toEqual(['a.txt']);
  });
});

/** Streams that together carry so many bytes and no more. */
function cutAfter(bytes: number): () => Transform {
  let room = bytes;
  return () =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        const passed = chunk.subarray(0, room);
        room -= passed.length;
        done(null, passed);
      },
    });
}
