import { execFileSync } from 'node:child_process';
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Readable, Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it, vi } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { call, fetchRequest, jobId, openWorld, sha, treeOf, type World } from './harness.ts';

describe('fetch', () => {
  it('brings declared artifacts home, hashed and opened, and says what was left [AR-01, AR-02, AR-14, VE-02]', async () => {
    await using world = await openWorld();
    await world.writePod({
      'project/out/metrics.json': '{"loss": 1}',
      'project/out/deep/log.txt': 'done\n',
      'project/out/weights.xyz': 'w',
      'project/big.tmp': 'left here',
    });
    world.jobs = [world.job({ artifacts: ['out/**', 'absent.pt'] })];
    const result = await world.fetch({ jobId, paths: [] });
    expect(result.missing).toEqual(['absent.pt']);
    expect(result.leftOnPod).toEqual([{ path: 'big.tmp', bytes: 9 }]);
    expect(
      Object.fromEntries(result.manifest.files.map((file) => [file.path, file.proof])),
    ).toEqual({
      'out/metrics.json': 'loaded',
      'out/deep/log.txt': 'loaded',
      'out/weights.xyz': 'hash',
    });
    expect(await treeOf(world.local('results'))).toEqual({
      'out/metrics.json': sha('{"loss": 1}'),
      'out/deep/log.txt': sha('done\n'),
      'out/weights.xyz': sha('w'),
    });
    expect(await readdir(world.workspace)).toEqual(['project', 'results']);
    expect((await world.store.artifacts.list()).map((record) => record.proof)).toHaveLength(3);
    const whole = JSON.parse(await readFile(result.manifest.manifestPath ?? '', 'utf8')) as object;
    expect(whole).toMatchObject({ jobId, files: { length: 3 } });
  });

  it('a localPath that is a file is named as that, and stays as it is', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/a.json': '1' });
    await world.write({ 'mine.json': 'mine' });
    for (const dryRun of [true, false])
      await expect(
        world.fetch({ paths: ['a.json'], localPath: 'project/mine.json', dryRun }),
      ).rejects.toMatchObject({
        code: 'invalid_input',
        message: 'localPath is a file; a folder is needed.',
      });
    expect(await readFile(world.local('project/mine.json'), 'utf8')).toBe('mine');
  });

  it('what was there before the job began is not called left behind [AR-14]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/train.py': 'code', 'project/data.bin': 'data' });
    const changed = (await stat(world.pod('project/data.bin'))).ctimeMs;
    // The pod tells whole seconds: the next one is surely after.
    const startedAt = new Date((Math.floor(changed / 1000) + 1) * 1000).toISOString();
    await vi.waitFor(
      async () => {
        await world.writePod({ 'project/out/a': 'a', 'project/forgotten.pt': 'x' });
        const made = (await stat(world.pod('project/forgotten.pt'))).ctimeMs;
        expect(made).toBeGreaterThan(Date.parse(startedAt));
      },
      { timeout: 5000, interval: 100 },
    );
    world.jobs = [world.job({ artifacts: ['out'], startedAt })];
    const left = [{ path: 'forgotten.pt', bytes: 1 }];
    expect((await world.fetch({ jobId, paths: [] })).leftOnPod).toEqual(left);
    expect((await world.fetch({ jobId, paths: [], dryRun: true })).leftOnPod).toEqual(left);
  });

  it('nothing found is an error, never a success of nothing [AR-04]', async () => {
    await using world = await openWorld();
    await expect(world.fetch()).rejects.toMatchObject({ code: 'path_missing' });
    await expect(world.fetch({ dryRun: true })).rejects.toMatchObject({ code: 'path_missing' });
    await expect(world.fetch({ paths: [] })).rejects.toMatchObject({ code: 'invalid_input' });
    world.jobs = [world.job({ artifacts: [] })];
    await expect(world.fetch({ jobId, paths: [] })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await world.writePod({ 'out/a': 'a' });
    await expect(world.fetch({ paths: ['out', 'b'], strict: true })).rejects.toMatchObject({
      code: 'path_missing',
    });
    expect(await readdir(world.workspace)).toEqual(['project']);
  });

  it('carries odd names, empty files and equal files', async () => {
    await using world = await openWorld();
    await world.writePod({
      'out/two\nlines': '1',
      "out/it's $HOME `id`": '2',
      'out/back\\slash': '3',
      'out/-rf': '4',
      'out/ünï-日本': '5',
      'out/empty': '',
      'out/empty2': '',
      'out/same1': 'same',
      'out/same2': 'same',
    });
    const result = await world.fetch();
    expect(result.manifest.totalFiles).toBe(9);
    expect(await treeOf(world.local('results'))).toEqual(
      Object.fromEntries(
        Object.entries(await treeOf(world.pod('out'))).map(([name, hash]) => [`out/${name}`, hash]),
      ),
    );
  });

  it('does not pull twice what is home, and repairs what is not [AR-06]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a': 'a', 'out/b': 'b' });
    await world.fetch();
    const scripts: string[] = [];
    const watched = watching(world, scripts);
    await world.over(watched).fetch(fetchRequest(), call);
    expect(scripts).toEqual([]);
    await writeFile(world.local('results/out/b'), 'B');
    await world.over(watched).fetch(fetchRequest(), call);
    expect(scripts).toHaveLength(1);
    expect(await readFile(world.local('results/out/b'), 'utf8')).toBe('b');
  });

  it('goes on where a cut link stopped, and shows no half file meanwhile [AR-06, AR-07, SY-10]', async () => {
    await using world = await openWorld();
    const big = Buffer.alloc(6 << 20, 'abcdefg');
    await world.writePod({ 'out/big.safetensors': big });
    let pulled = 0;
    let cutAfter = 4 << 20;
    const cutting: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        const counted = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            pulled += chunk.length;
            if (pulled > cutAfter) done(new RemoteError('link_lost', 'The link broke.'));
            else done(null, chunk);
          },
        });
        if (options.stdout === undefined) throw new Error('no sink');
        // What arrived before the cut is delivered, then the stream ends in an error.
        const whole = pipeline(counted, options.stdout, { end: false }).catch(() => undefined);
        await world.remote.stream(pod, script, { ...options, stdout: counted });
        await whole;
        options.stdout.end();
        return { exitCode: 0, stderr: Buffer.alloc(0) };
      },
    };
    await expect(
      world.over(cutting).fetch(fetchRequest({ verify: 'hash' }), call),
    ).rejects.toMatchObject({ code: 'link_lost' });
    expect(await treeOf(world.local('results'))).toEqual({});
    const first = pulled;
    cutAfter = Number.POSITIVE_INFINITY;
    await world.over(cutting).fetch(fetchRequest({ verify: 'hash' }), call);
    expect(pulled - first).toBeLessThan(big.length);
    expect(await treeOf(world.local('results'))).toEqual({ 'out/big.safetensors': sha(big) });
    expect(await readdir(world.workspace)).toEqual(['project', 'results']);
  });

  it('one byte altered by the pod is seen, kept aside and nothing lands [AR-07, VE-02]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.bin': Buffer.alloc(3000, 1), 'out/b.bin': 'fine' });
    const lying = answering(world, async (genuine, sink) => {
      const copy = Buffer.from(genuine);
      copy[1500] = 2;
      await pipeline(Readable.from([copy]), sink);
    });
    await expect(world.over(lying).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await treeOf(world.local('results'))).toEqual({});
    const names = await readdir(world.workspace);
    expect(names.filter((name) => name.startsWith('results.quarantine-'))).toHaveLength(1);
    expect(await world.store.artifacts.list()).toEqual([]);
  });

  it.each([
    ['one byte too many', (genuine: Buffer) => Buffer.concat([genuine, Buffer.from('x')])],
    ['a whole archive after the files', (genuine: Buffer) => Buffer.concat([genuine, evilTar()])],
    ['endless bytes', (genuine: Buffer) => Buffer.concat([genuine, Buffer.alloc(64 << 20)])],
  ])('%s is hostile: nothing is written [AR-15]', async (_name, craft) => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.bin': 'a', 'out/b.bin': 'b' });
    const hostile = answering(world, async (genuine, sink) => {
      await pipeline(Readable.from([craft(genuine)]), sink);
    });
    await expect(world.over(hostile).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'unsafe_archive',
    });
    expect(await readdir(world.workspace)).toEqual(['project']);
    expect(await readdir(world.root)).toEqual(expect.not.arrayContaining(['evil']));
  });

  it('an archive instead of the files is only wrong bytes: no name of the pod is ever used [AR-15]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.bin': Buffer.alloc(8192, 1) });
    const hostile = answering(world, async (_genuine, sink) => {
      await pipeline(Readable.from([evilTar().subarray(0, 8192)]), sink);
    });
    await expect(world.over(hostile).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await treeOf(world.local('results'))).toEqual({});
  });

  it.each(['../evil', '/etc/evil', 'out/../../evil', 'out//evil', '.', 'out/./evil'])(
    'a listed name %j cannot leave the destination [AR-15]',
    async (name) => {
      await using world = await openWorld();
      await world.writePod({ 'out/a.txt': 'a' });
      const lying: Remote = {
        ...world.remote,
        exec: async (pod, script, options) => {
          const answer = await world.remote.exec(pod, script, options);
          if (!String(options.stdin).includes('find /dev/null')) return answer;
          const forged = Buffer.from(`f 1 1.0/1.0/7\0${name}\0`);
          return { ...answer, stdout: Buffer.concat([answer.stdout, forged]) };
        },
      };
      const result = await world.over(lying).fetch(fetchRequest({ paths: ['.'] }), call);
      expect(result.manifest.files.map((file) => file.path)).toEqual(['out/a.txt']);
      expect(result.refused).toHaveLength(1);
      expect(Object.keys(await treeOf(world.root))).not.toContain('evil');
    },
  );

  it('links and pipes on the pod are refused and said, never followed [AR-03]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a' });
    await symlink('/etc/passwd', world.pod('out/passwd'));
    await symlink('/etc', world.pod('out/etc'));
    execFileSync('mkfifo', [world.pod('out/pipe')]);
    const result = await world.fetch();
    expect(result.manifest.files.map((file) => file.path)).toEqual(['out/a.txt']);
    expect(result.refused?.map((item) => item.path)).toEqual(['out/etc', 'out/passwd', 'out/pipe']);
  });

  it('a local link does not lead a file out of the workspace', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a' });
    await mkdir(path.join(world.root, 'outside'));
    await mkdir(world.local('results'));
    await symlink(path.join(world.root, 'outside'), world.local('results/out'));
    await expect(world.fetch()).rejects.toMatchObject({ code: 'path_outside_workspace' });
    await symlink(path.join(world.root, 'outside'), world.local('escape'));
    for (const localPath of ['escape/x', '../x', '/tmp/x'])
      await expect(world.fetch({ localPath })).rejects.toMatchObject({
        code: 'path_outside_workspace',
      });
    expect(await readdir(path.join(world.root, 'outside'))).toEqual([]);
  });

  it('a file that keeps changing is named and not taken; one that settles is [AR-08]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.log': 'start\n' });
    let writes = 0;
    const writing = (limit: number): Remote => ({
      ...world.remote,
      exec: async (pod, script, options) => {
        const answer = await world.remote.exec(pod, script, options);
        if (String(options.stdin).includes('h() {') && writes < limit) {
          writes += 1;
          await appendFile(world.pod('out/a.log'), 'more\n');
        }
        return answer;
      },
    });
    await expect(world.over(writing(9)).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'checksum_mismatch',
      foreignText: 'out/a.log',
    });
    expect(await treeOf(world.local('results'))).toEqual({});
    writes = 0;
    const settled = await world.over(writing(1)).fetch(fetchRequest(), call);
    expect(settled.manifest.files[0]?.sha256).toBe(sha(await readFile(world.pod('out/a.log'))));
  });

  it('a file that changes during the pull is pulled as it is now', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'old old', 'out/b.txt': 'b' });
    let edits = 0;
    const editing: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        edits += 1;
        if (edits === 1) await writeFile(world.pod('out/a.txt'), 'new and longer');
        return world.remote.stream(...parameters);
      },
    };
    const result = await world.over(editing).fetch(fetchRequest(), call);
    expect(result.manifest.totalFiles).toBe(2);
    expect(await readFile(world.local('results/out/a.txt'), 'utf8')).toBe('new and longer');
  });

  it('excludes, globs, dry run and paths that leave the folder [AR-10, AR-19]', async () => {
    await using world = await openWorld();
    await world.writePod({
      'out/a.pt': 'a',
      'out/optimizer.pt': 'o',
      'out/c.txt': 'c',
      'x/[1].txt': '1',
    });
    const dry = await world.fetch({ paths: ['out/*.pt'], exclude: ['optimizer.pt'], dryRun: true });
    expect(dry.manifest.files).toMatchObject([{ path: 'out/a.pt', bytes: 1, proof: 'exists' }]);
    expect(await readdir(world.workspace)).toEqual(['project']);
    expect((await world.fetch({ paths: ['x/[1].txt'] })).manifest.totalFiles).toBe(1);
    for (const paths of [['../x'], ['/etc/passwd'], ['~/x'], ['out/../../x']])
      await expect(world.fetch({ paths })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('works on a pod without find, xargs, gzip or a tar that knows --null', async () => {
    await using world = await openWorld();
    const bin = path.join(world.root, 'bin');
    await mkdir(bin);
    const tools = 'sh cat cp mv rm mkdir head tail stat sha256sum dirname df tar cut printf ls';
    for (const tool of tools.split(' ')) await symlink('/usr/bin/busybox', path.join(bin, tool));
    const bare: Remote = {
      ...world.remote,
      exec: async (pod, script, options) =>
        world.remote.exec(pod, `PATH=${bin}; export PATH; ${script}`, options),
      stream: async (pod, script, options) =>
        world.remote.stream(pod, `PATH=${bin}; export PATH; ${script}`, options),
    };
    const files = world.over(bare);
    const names = {
      'a.txt': 'a',
      'two\nlines': 'b',
      'back\\slash': 'c',
      [`${'n'.repeat(150)}.txt`]: 'd',
      'ü/é': 'e',
    };
    await world.write(names);
    const request = { podId: fetchRequest().podId, localPath: 'project', remotePath: 'project' };
    const sync = {
      ...request,
      include: [],
      exclude: [],
      delete: true,
      dryRun: false,
      allowSecrets: [],
    };
    expect((await files.sync(sync, call)).sent.files).toBe(5);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    await world.write({ extra: 'x' });
    await files.sync(sync, call);
    await rm(world.local('project/extra'));
    expect((await files.sync(sync, call)).deleted).toEqual(['extra']);
    const result = await files.fetch(fetchRequest({ paths: ['project'] }), call);
    expect(result.manifest.totalFiles).toBe(5);
    expect(await treeOf(world.local('results/project'))).toEqual(
      await treeOf(world.pod('project')),
    );
  });
});

describe('gates', () => {
  const done = async (world: World): Promise<void> => {
    await world.writePod({ 'project/out/m.json': '{}', 'project/out/x.bin': 'x' });
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: [] });
  };
  const gatesOf = async (world: World): Promise<readonly string[]> =>
    (await world.files.gates(fetchRequest().podId, call)).map((gate) =>
      `${gate.gate} ${gate.path ?? ''}`.trim(),
    );

  it('open only when every declared artifact is home [TD-01]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/m.json': '{}' });
    world.jobs = [world.job({ status: 'running' })];
    expect(await gatesOf(world)).toEqual(['job_running']);
    world.jobs = [world.job()];
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out/m.json']);
    await world.fetch({ jobId, paths: [] });
    expect(await gatesOf(world)).toEqual([]);
  });

  it('see a newer file, a new file, a lost copy and an edited copy', async () => {
    await using world = await openWorld();
    await done(world);
    await writeFile(world.pod('project/out/m.json'), '[]');
    await writeFile(world.pod('project/out/new.bin'), 'n');
    expect(await gatesOf(world)).toEqual([
      'artifact_changed out/m.json',
      'artifact_not_fetched out/new.bin',
    ]);
    await world.fetch({ jobId, paths: [] });
    await unlink(world.local('results/out/x.bin'));
    await writeFile(world.local('results/out/m.json'), '{}');
    expect(await gatesOf(world)).toEqual([
      'artifact_not_home out/m.json',
      'artifact_not_home out/x.bin',
    ]);
  });

  it('a pod that cannot be read: proven home is enough, anything less is not checked', async () => {
    await using world = await openWorld();
    await done(world);
    world.remote.down = true;
    expect(await gatesOf(world)).toEqual([]);
    await rm(world.local('results/out/x.bin'));
    expect(await gatesOf(world)).toEqual(['artifact_not_home out/x.bin', 'not_checked out/**']);
    world.jobs = [world.job({ artifacts: ['other/**'] })];
    expect(await gatesOf(world)).toEqual(['not_checked other/**', 'artifact_not_fetched other/**']);
    // Fetched before the job ended: more may have been written since.
    world.jobs = [world.job({ endedAt: '2999-01-01T00:00:00.000Z' })];
    expect(await gatesOf(world)).toContain('not_checked out/**');
  });

  it('a broken artifact and one that was never made block', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/m.json': '{"loss": 1' });
    world.jobs = [world.job({ status: 'failed', artifacts: ['out/m.json', 'best.pt'] })];
    const result = await world.fetch({ jobId, paths: [] });
    expect(result.manifest.files[0]).toMatchObject({
      proof: 'hash',
      problem: expect.any(String) as string,
    });
    expect(await gatesOf(world)).toEqual([
      'artifact_broken out/m.json',
      'artifact_not_fetched best.pt',
    ]);
  });
});

function watching(world: World, scripts: string[]): Remote {
  return {
    ...world.remote,
    stream: async (pod, script, options) => {
      scripts.push(script);
      return world.remote.stream(pod, script, options);
    },
  };
}

/** A pod that answers pulls with what `answer` makes of the genuine bytes. */
function answering(
  world: World,
  answer: (genuine: Buffer, sink: Writable) => Promise<void>,
): Remote {
  return {
    ...world.remote,
    stream: async (pod, script, options) => {
      const parts: Buffer[] = [];
      const collect = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          parts.push(chunk);
          done();
        },
      });
      const result = await world.remote.stream(pod, script, { ...options, stdout: collect });
      if (options.stdout === undefined) throw new Error('no sink');
      await answer(Buffer.concat(parts), options.stdout).catch(() => undefined);
      return result;
    },
  };
}

function evilTar(): Buffer {
  return execFileSync('tar', ['-cPf', '-', '--transform', 's,^,../,', '/etc/hostname']);
}
