import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
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
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { call, openWorld, sha, syncRequest, treeOf } from './harness.ts';

const ODD = [
  'two\nlines.txt',
  'quote\'s "both".txt',
  '$HOME `id` $(id).txt',
  'back\\slash.txt',
  '-rf',
  '-dash/-x',
  'ünïcode-日本語.txt',
  ' lead and trail ',
  'cr\rname',
  `${'d'.repeat(90)}/${'n'.repeat(120)}.txt`,
  'a*b?[c].txt',
];

describe('sync', () => {
  it('sends all once, then only what changed, verified by the pod [SY-12, SY-13, SY-11]', async () => {
    await using world = await openWorld();
    await world.write({ 'train.py': 'print(1)\n', 'src/a.py': 'a', 'src/deep/b.py': 'b' });
    const first = await world.sync();
    expect(first).toMatchObject({ sent: { files: 3 }, unchanged: { files: 0 }, verified: true });
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    const second = await world.sync();
    expect(second).toMatchObject({
      sent: { files: 0, bytes: 0 },
      unchanged: { files: 3 },
      wireBytes: 0,
    });
    await world.write({ 'src/a.py': 'A' });
    const third = await world.sync();
    expect(third).toMatchObject({ sent: { files: 1, bytes: 1 }, unchanged: { files: 2 } });
    expect(await readFile(world.pod('project/src/a.py'), 'utf8')).toBe('A');
  });

  it('never misses an edit of the same size and the same time stamp', async () => {
    await using world = await openWorld();
    const file = world.local('project/config.py');
    for (let round = 0; round < 10; round += 1) {
      await world.write({ 'config.py': `lr=${round}` });
      const when = new Date(1_700_000_000_000);
      await utimes(file, when, when);
      expect((await world.sync()).sent.files).toBe(1);
      expect(await readFile(world.pod('project/config.py'), 'utf8')).toBe(`lr=${round}`);
    }
  });

  it('repairs what was changed on the pod behind our back [SY-12]', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'one' });
    await world.sync();
    await writeFile(world.pod('project/a.txt'), 'two');
    expect((await world.sync()).sent.files).toBe(1);
    expect(await readFile(world.pod('project/a.txt'), 'utf8')).toBe('one');
  });

  it('carries names that shells and archives stumble over', async () => {
    await using world = await openWorld();
    await world.write(Object.fromEntries(ODD.map((name, index) => [name, `content ${index}`])));
    expect((await world.sync()).sent.files).toBe(ODD.length);
    expect(await treeOf(world.pod('project'))).toEqual(await treeOf(world.local('project')));
    expect((await world.sync()).unchanged.files).toBe(ODD.length);
    await world.write({ 'keep.txt': 'k' });
    execFileSync('sh', ['-c', 'rm -rf -- ./*'], { cwd: world.local('project') });
    await world.write({ 'keep.txt': 'k' });
    const gone = await world.sync({ delete: true });
    expect([...gone.deleted].toSorted()).toEqual([...ODD].toSorted());
    expect(Object.keys(await treeOf(world.pod('project')))).toEqual(['keep.txt']);
  });

  it('keeps the executable bit, and an equal file with another bit is no equal file', async () => {
    await using world = await openWorld();
    await world.write({ 'run.sh': '#!/bin/sh\n' });
    await world.sync();
    expect((await stat(world.pod('project/run.sh'))).mode & 0o111).toBe(0);
    await chmod(world.local('project/run.sh'), 0o755);
    expect((await world.sync()).sent.files).toBe(1);
    expect((await stat(world.pod('project/run.sh'))).mode & 0o100).toBe(0o100);
  });

  it('skips defaults at any depth, honours nested .gitignore, skips links [SY-02, SY-03, SY-07]', async () => {
    await using world = await openWorld();
    await world.write({
      '.gitignore': '*.bin\n/build/\n!keep.bin\n',
      'sub/.gitignore': '!wanted.bin\nlocal.txt\n',
      'a.bin': '1',
      'keep.bin': '2',
      'sub/wanted.bin': '3',
      'sub/local.txt': '4',
      'local.txt': '5',
      'build/x': '6',
      'sub/build/x': '7',
      'sub/deep/node_modules/m/index.js': '8',
      '.git/config': '9',
      '.env': 'SECRET=1',
      '.env.example': 'SECRET=',
    });
    await symlink('/etc/passwd', world.local('project/passwd'));
    await symlink('keep.bin', world.local('project/inner-link'));
    execFileSync('mkfifo', [world.local('project/pipe')]);
    const result = await world.sync();
    expect(Object.keys(await treeOf(world.pod('project'))).toSorted()).toEqual([
      '.env.example',
      '.gitignore',
      'keep.bin',
      'local.txt',
      'sub/.gitignore',
      'sub/build/x',
      'sub/wanted.bin',
    ]);
    const why = Object.fromEntries(result.skipped.map((item) => [item.path, item.why]));
    expect(why).toMatchObject({
      'a.bin': '.gitignore',
      build: '.gitignore',
      'sub/local.txt': '.gitignore',
      'sub/deep/node_modules': 'default: node_modules',
      '.git': 'default: .git',
      '.env': 'secret: environment file',
      passwd: 'symbolic link',
      'inner-link': 'symbolic link',
      pipe: 'not a regular file',
    });
    expect(result.skippedCount).toBe(result.skipped.length);
  });

  it('include narrows and brings back what .gitignore skips; exclude beats it [SY-01, SY-05]', async () => {
    await using world = await openWorld();
    await world.write({
      '.gitignore': 'data/\n',
      'data/a.csv': 'x\n1\n',
      'data/b.csv': 'y',
      'c.py': 'c',
    });
    const result = await world.sync({ include: ['data/*.csv'], exclude: ['b.csv'] });
    expect(result.sent.files).toBe(1);
    expect(Object.keys(await treeOf(world.pod('project')))).toEqual(['data/a.csv']);
    await expect(world.sync({ include: ['nothing/*'] })).rejects.toMatchObject({
      code: 'path_missing',
    });
  });

  it.each([
    ['hf_abcdefghijklmnopqrstuvwxyz012345', 'Hugging Face token'],
    ['ghp_abcdefghijklmnopqrstuvwxyz0123456789', 'GitHub token'],
    ['AKIAABCDEFGHIJKLMNOP', 'AWS access key'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', 'private key'],
  ])('refuses %s and never shows it [SY-18]', async (secret, kind) => {
    await using world = await openWorld();
    await world.write({ 'ok.py': '1', 'conf/token.py': `x = 1\n\nKEY = "${secret}"\n` });
    const failure = await world.sync().catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: 'secret_refused' });
    expect(String(failure)).toContain('"conf/token.py:3"');
    expect(String(failure)).toContain(kind);
    expect(String(failure)).not.toContain(secret);
    expect(await treeOf(world.pod('project'))).toEqual({});
    // The cache must not let it through the second time.
    await expect(world.sync()).rejects.toMatchObject({ code: 'secret_refused' });
    expect((await world.sync({ allowSecrets: ['conf/token.py'] })).sent.files).toBe(2);
  });

  it('include does not smuggle an .env file; allowSecrets does [SY-18, KE-12]', async () => {
    await using world = await openWorld();
    await world.write({ '.env': 'A=1', id_ed25519: 'key', 'a.py': 'a' });
    await expect(world.sync({ include: ['.env'] })).rejects.toMatchObject({
      code: 'secret_refused',
    });
    await expect(world.sync()).rejects.toMatchObject({ code: 'secret_refused' });
    const allowed = await world.sync({ allowSecrets: ['.env', 'id_ed25519'] });
    expect(allowed.sent.files).toBe(3);
    await expect(world.sync({ localPath: 'project/.env', remotePath: 'x' })).rejects.toMatchObject({
      code: 'secret_refused',
    });
  });

  it('stays inside the workspace, by real path [SY-06]', async () => {
    await using world = await openWorld();
    const sibling = `${world.workspace}-other`;
    await mkdir(sibling);
    await writeFile(path.join(sibling, 'a'), 'a');
    await symlink(sibling, world.local('link-out'));
    for (const localPath of [sibling, '../workspace-other', 'link-out', '/etc', '..'])
      await expect(world.sync({ localPath })).rejects.toMatchObject({
        code: 'path_outside_workspace',
      });
    await expect(world.sync({ localPath: 'absent' })).rejects.toMatchObject({
      code: 'path_missing',
    });
    await expect(world.sync()).rejects.toMatchObject({ code: 'path_missing' });
  });

  it('sends a single file under the name or into the folder that is asked for', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a' });
    const one = { localPath: 'project/a.py' };
    expect(await world.sync({ ...one, remotePath: 'x/b.py' })).toMatchObject({
      sent: { files: 1 },
    });
    expect(await readFile(world.pod('x/b.py'), 'utf8')).toBe('a');
    await world.sync({ ...one, remotePath: 'x' });
    await world.sync({ ...one, remotePath: 'y/' });
    expect(await readFile(world.pod('x/a.py'), 'utf8')).toBe('a');
    expect(await readFile(world.pod('y/a.py'), 'utf8')).toBe('a');
  });

  it('delete is listed first, stays below remotePath, spares what rules cover [SY-14]', async () => {
    await using world = await openWorld();
    await world.write({ '.gitignore': 'out/\n', 'a.py': 'a', 'old.py': 'o' });
    await world.sync();
    await rm(world.local('project/old.py'));
    await world.writePod({
      'project/out/model.pt': 'precious',
      'project/.env': 'precious',
      'project/node_modules/m.js': 'kept',
      'elsewhere.py': 'kept',
    });
    expect((await world.sync()).deleted).toEqual([]);
    const preview = await world.sync({ delete: true, dryRun: true });
    expect(preview.deleted).toEqual(['old.py']);
    expect(Object.keys(await treeOf(world.podHome))).toContain('project/old.py');
    expect((await world.sync({ delete: true })).deleted).toEqual(['old.py']);
    expect(Object.keys(await treeOf(world.podHome)).toSorted()).toEqual([
      'elsewhere.py',
      'project/.env',
      'project/.gitignore',
      'project/a.py',
      'project/node_modules/m.js',
      'project/out/model.pt',
    ]);
  });

  it('delete takes only what came from here and nobody touched: the pod may hold the only copy [SY-14]', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a', 'old.py': 'o', 'tuned.py': 't', 'lib/gone.py': 'g' });
    await world.sync();
    for (const name of ['old.py', 'tuned.py', 'lib/gone.py'])
      await rm(world.local(`project/${name}`));
    await world.writePod({ 'project/ck/final.pt': 'a week', 'project/tuned.py': 'T' });
    const { deleted, skipped, warnings } = await world.sync({ delete: true });
    expect([...deleted].toSorted()).toEqual(['lib/gone.py', 'old.py']);
    expect(skipped.map(({ path: name }) => name).toSorted()).toEqual([
      'ck/final.pt',
      'lib',
      'tuned.py',
    ]);
    expect(warnings).toEqual([expect.stringMatching(/^delete left 2 files on the pod/)]);
    expect(Object.keys(await treeOf(world.pod('project'))).toSorted()).toEqual([
      'a.py',
      'ck/final.pt',
      'tuned.py',
    ]);
    // Nor does a home that knows nothing of what was sent delete anything.
    await rm(path.join(world.root, 'home/sync-state'), { recursive: true });
    await rm(world.local('project/a.py'));
    await world.write({ 'b.py': 'b' });
    expect(
      (await world.over(world.remote).sync(syncRequest({ delete: true }), call)).deleted,
    ).toEqual([]);
  });

  it('says which edits made on the pod it replaces, also in a dry run', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'one', 'b.py': 'two', 'c.py': 'three', 'd.py': 'four' });
    await world.sync();
    await world.writePod({
      'project/a.py': 'ONE',
      'project/b.py': 'longer',
      'project/d.py': 'four',
    });
    await world.write({ 'b.py': 'another', 'c.py': 'edited here', 'd.py': 'edited here too' });
    const words = [
      '2 files changed on the pod since the last sync, and replaced by what is here: "a.py", "b.py".',
    ];
    expect((await world.sync({ dryRun: true })).warnings).toEqual(words);
    expect((await world.sync()).warnings).toEqual(words);
    expect((await world.sync()).warnings).toBeUndefined();
  });

  it('delete leaves no folder that home has no more, unless something else is in it [SY-14]', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a', 'old/deep/er/x.py': 'x', 'old/y.py': 'y', 'mine/z.py': 'z' });
    await world.sync();
    await rm(world.local('project/old'), { recursive: true });
    await rm(world.local('project/mine'), { recursive: true });
    await world.writePod({ 'project/mine/log.txt': 'made there' });
    const { deleted } = await world.sync({ delete: true });
    expect([...deleted].toSorted()).toEqual(['mine/z.py', 'old/deep/er/x.py', 'old/y.py']);
    expect((await readdir(world.pod('project'))).toSorted()).toEqual(['a.py', 'mine']);
    expect(await readdir(world.pod('project/mine'))).toEqual(['log.txt']);
    expect((await world.sync({ delete: true })).sent.files).toBe(0);
  });

  it('tells what it sends nothing of: empty folders, and a pattern that nothing matches', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a' });
    await mkdir(world.local('project/runs/today'), { recursive: true });
    const first = await world.sync();
    const told = [{ path: 'runs/today', why: 'empty folder: only files are sent' }];
    expect(first.skipped).toEqual(told);
    // Nor is it forgotten when nothing was looked into again.
    expect((await world.sync()).skipped).toEqual(told);
    await rm(world.local('project/a.py'));
    await expect(world.sync({ include: ['*.npz'] })).rejects.toThrow(
      'include matches no file: *.npz',
    );
  });

  it('dryRun changes nothing', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a' });
    const result = await world.sync({ dryRun: true });
    expect(result).toMatchObject({ dryRun: true, verified: false, sent: { files: 1 } });
    expect(await readdir(world.podHome)).toEqual([]);
  });

  it('refuses the folder of a running job, and any folder around it [SY-15]', async () => {
    await using world = await openWorld();
    await world.write({ 'a.py': 'a' });
    for (const cwd of ['project', 'project/sub', '.']) {
      world.jobs = [world.job({ status: 'running', cwd: world.pod(cwd) })];
      await expect(world.sync()).rejects.toMatchObject({ code: 'job_running' });
    }
    world.jobs = [world.job({ status: 'running', cwd: world.pod('project-2') })];
    expect((await world.sync()).sent.files).toBe(1);
  });

  it('a link or a folder in the way is refused before anything is sent', async () => {
    await using world = await openWorld();
    await world.write({ 'data/a.txt': 'a', b: 'b' });
    await mkdir(world.pod('outside'));
    await mkdir(world.pod('project'));
    await symlink(world.pod('outside'), world.pod('project/data'));
    await expect(world.sync()).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await readdir(world.pod('outside'))).toEqual([]);
    await mkdir(world.pod('p2/b'), { recursive: true });
    await expect(world.sync({ remotePath: 'p2' })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('warns of Windows line ends in a script [SY-17]', async () => {
    await using world = await openWorld();
    await world.write({ 'run.sh': 'echo 1\r\n', 'a.csv': 'a\r\n' });
    expect((await world.sync()).warnings).toHaveLength(1);
  });

  it('a cut link leaves the old files whole; the next sync sweeps and finishes', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'old', 'b.txt': 'old' });
    await world.sync();
    const big = randomBytes(3 << 20);
    await world.write({ 'a.txt': 'new', 'b.txt': big });
    let cuts = 0;
    const cutting: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        cuts += 1;
        let seen = 0;
        const cut = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            seen += chunk.length;
            done(null, seen > 2000 ? undefined : chunk);
          },
        });
        const stdin = options.stdin?.pipe(cut);
        await world.remote.stream(pod, script, { ...options, ...(stdin && { stdin }) });
        // The link is gone: nothing can be cleaned up either.
        world.remote.down = true;
        throw new RemoteError('link_lost', 'The link broke.');
      },
      exec: async (...parameters) => {
        if (world.remote.down) tries += 1;
        return world.remote.exec(...parameters);
      },
    };
    let tries = 0;
    await expect(world.over(cutting).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    expect(cuts).toBe(1);
    expect(tries).toBe(2);
    world.remote.down = false;
    expect(await readFile(world.pod('project/a.txt'), 'utf8')).toBe('old');
    expect(
      (await readdir(world.pod('project'))).some((name) => name.startsWith('.gpu-lease-sync-')),
    ).toBe(true);
    expect(await world.sync()).toMatchObject({ sent: { files: 2 }, verified: true });
    expect((await readdir(world.pod('project'))).toSorted()).toEqual(['a.txt', 'b.txt']);
  });

  it('one byte altered on the way is seen, and nothing is replaced', async () => {
    await using world = await openWorld();
    await world.write({ 'a.bin': 'old' });
    await world.sync();
    await world.write({ 'a.bin': Buffer.alloc(5000, 'n') });
    const altering: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        const flip = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            const copy = Buffer.from(chunk);
            if (copy.length > 600) copy[600] = (copy[600] ?? 0) ^ 1;
            done(null, copy);
          },
        });
        return world.remote.stream(pod, script, {
          ...options,
          ...(options.stdin && { stdin: options.stdin.pipe(flip) }),
        });
      },
    };
    await expect(world.over(altering).sync(syncRequest(), call)).rejects.toMatchObject({
      code: 'checksum_mismatch',
    });
    expect(await treeOf(world.pod('project'))).toEqual({ 'a.bin': sha('old') });
  });

  it('a file that changes while it is sent is sent again', async () => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'one', 'b.txt': 'b' });
    let edits = 0;
    const editing: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        edits += 1;
        return world.remote.stream(pod, script, options);
      },
    };
    await world.sync();
    await world.write({ 'a.txt': 'one!' });
    const compare = world.over({
      ...editing,
      exec: async (pod, script, options) => {
        const answer = await world.remote.exec(pod, script, options);
        if (edits === 0 && String(options.stdin).includes('h() {'))
          await world.write({ 'a.txt': 'TWO!' });
        return answer;
      },
    });
    const result = await compare.sync(syncRequest(), call);
    expect(result).toMatchObject({ sent: { files: 1 }, verified: true });
    expect(edits).toBe(2);
    expect(await readFile(world.pod('project/a.txt'), 'utf8')).toBe('TWO!');
  });

  it('a full disk is disk_full and leaves the old files whole [SY-22]', async () => {
    await using world = await openWorld();
    await mkdir(world.pod('project'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', world.pod('project')]);
    try {
      await world.write({ 'a.bin': 'old' });
      await world.sync();
      await world.write({ 'a.bin': Buffer.alloc(4 << 20, 7) });
      await expect(world.sync()).rejects.toMatchObject({ code: 'disk_full' });
      // The same where df does not tell before.
      const blind: Remote = {
        ...world.remote,
        exec: async (pod, script, options) =>
          world.remote.exec(pod, script, {
            ...options,
            stdin: `df() { :; }; stat() { :; }\n${String(options.stdin)}`,
          }),
      };
      await expect(world.over(blind).sync(syncRequest(), call)).rejects.toMatchObject({
        code: 'disk_full',
      });
      expect(await treeOf(world.pod('project'))).toEqual({ 'a.bin': sha('old') });
    } finally {
      execFileSync('umount', [world.pod('project')]);
    }
  });

  it('ten thousand small files go in one stream, and again in no time [SY-08]', async () => {
    await using world = await openWorld();
    const tree: Record<string, string> = {};
    for (let index = 0; index < 10_000; index += 1)
      tree[`d${index % 100}/f${index}.txt`] = `file ${index}\n`;
    await world.write(tree);
    let streams = 0;
    const counting: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        streams += 1;
        return world.remote.stream(...parameters);
      },
    };
    const cold = await world.over(counting).sync(syncRequest(), call);
    const warm = await world.over(counting).sync(syncRequest(), call);
    expect(cold).toMatchObject({ sent: { files: 10_000 }, verified: true });
    expect(warm).toMatchObject({ sent: { files: 0 }, unchanged: { files: 10_000 } });
    expect(streams).toBe(1);
    expect(cold.wireBytes).toBeLessThan(2_000_000);
  }, 60_000);
});
