import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Remote } from '../../../src/core/remote.ts';
import { unfetchedOf } from '../../../src/core/unfetched.ts';
import { amountOf } from '../../../src/files/sync-plan.ts';
import {
  call,
  fetchRequest,
  jobId,
  openWorld,
  sha,
  syncRequest,
  treeOf,
  type World,
} from './harness.ts';

/* Ways in which the only copy could be lost while everything looks well. */

const gatesOf = async (world: World): Promise<readonly string[]> =>
  (await world.files.gates(fetchRequest().podId, call)).map((gate) =>
    `${gate.gate} ${gate.path ?? ''}`.trim(),
  );
const whysOf = async (world: World): Promise<string> =>
  (await world.files.gates(fetchRequest().podId, call)).map(({ why }) => why).join(' ');

describe('the gate', () => {
  it('does not open over a name that cannot be a name here [TD-01]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.txt': 'a' });
    const folder = Buffer.from(world.pod('project/out/'));
    await writeFile(Buffer.concat([folder, Buffer.from([0x62, 0xff, 0xfe])]), 'only copy');
    world.jobs = [world.job()];
    const result = await world.fetch({ jobId, paths: [] });
    expect(result.refused?.map(({ why }) => why).join()).toContain('1 names');
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out/**']);
    expect(unfetchedOf(world.jobs, await world.store.artifacts.list())).toHaveLength(1);
    expect(await whysOf(world)).toContain('Rename them on the pod');
  });

  it('and the records agree on what could not come home [TD-01]', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.txt': 'a', 'data/big.bin': 'elsewhere' });
    await symlink(world.pod('data/big.bin'), world.pod('project/out/big.bin'));
    world.jobs = [world.job()];
    const open = async (): Promise<readonly string[]> =>
      unfetchedOf(world.jobs, await world.store.artifacts.list()).map(({ path: name }) => name);

    const { refusals } = await world.fetch({ jobId, paths: [] });
    expect(refusals).toMatchObject([{ count: 1, holdsData: true }]);
    expect(await open()).toEqual(['out/**']);
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out/big.bin']);
    // A look elsewhere forgets nothing, be it at the very file whose record says it.
    await world.fetch({ jobId, paths: ['out/a.txt'] });
    expect(await open()).toEqual(['out/**']);

    await rm(world.pod('project/out/big.bin'));
    await writeFile(world.pod('project/out/big.bin'), 'a copy');
    await rm(world.pod('project/out/a.txt'));
    await world.fetch({ paths: ['project/out/**'], localPath: 'second' });
    expect(await open()).toEqual([]);
    expect(await gatesOf(world)).toEqual([]);

    // Asked for by path, with no job: what the job declared is held back all the same.
    await symlink(world.local('elsewhere'), world.pod('project/out/more.bin'));
    await writeFile(world.local('elsewhere'), 'not below the work folder');
    await world.fetch({ paths: ['project/out/**'], localPath: 'second' });
    expect(await open()).toEqual(['out/**']);
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out/more.bin']);
  });

  it('follows links that stay inside, names those that lead out, forgets those that lead nowhere', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/step100.bin': 'weights', 'data/big.bin': 'elsewhere' });
    await symlink('step100.bin', world.pod('project/out/last.bin'));
    world.jobs = [world.job({ artifacts: ['out/last.bin'] })];
    const one = await world.fetch({ jobId, paths: [] });
    expect(one.manifest.files).toMatchObject([{ path: 'out/last.bin', sha256: sha('weights') }]);
    expect(one.leftOnPod).toEqual([]);
    expect(await gatesOf(world)).toEqual([]);

    await symlink('nowhere', world.pod('project/out/dead'));
    await symlink('.', world.pod('project/out/again'));
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: [] });
    expect(await treeOf(world.local('results'))).toEqual({
      'out/last.bin': sha('weights'),
      'out/step100.bin': sha('weights'),
    });
    expect(await gatesOf(world)).toEqual([]);

    await symlink(world.pod('data/big.bin'), world.pod('project/out/big.bin'));
    const result = await world.fetch({ jobId, paths: [] });
    expect(result.refused?.map((item) => item.path)).toEqual([
      'out/again',
      'out/big.bin',
      'out/dead',
    ]);
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out/big.bin']);
    expect(await whysOf(world)).toContain('cp -L');
  });

  it('a retargeted link is a changed artifact', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/1.bin': 'one', 'project/out/2.bin': 'two' });
    await symlink('1.bin', world.pod('project/out/last.bin'));
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: [] });
    expect(await gatesOf(world)).toEqual([]);
    await rm(world.pod('project/out/last.bin'));
    await symlink('2.bin', world.pod('project/out/last.bin'));
    expect(await gatesOf(world)).toEqual(['artifact_changed out/last.bin']);
  });

  it('a link to a folder that was not asked for is no folder', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/runs/7/a.bin': 'a' });
    await symlink('runs/7', world.pod('project/out'));
    world.jobs = [world.job({ artifacts: ['out'] })];
    await expect(world.fetch({ jobId, paths: [] })).rejects.toMatchObject({ code: 'path_missing' });
    expect(await gatesOf(world)).toEqual(['artifact_not_fetched out']);
    expect(await whysOf(world)).toContain('cp -rL');
  });

  it('what the login may not read is refused by name, not passed over', async () => {
    await using world = await openWorld();
    await world.writePod({
      'project/out/a.txt': 'a',
      'project/out/secret.bin': 's',
      'project/out/closed/b.txt': 'b',
    });
    await chmod(world.pod('project/out/secret.bin'), 0o600);
    await chmod(world.pod('project/out/closed'), 0o700);
    for (const folder of [world.root, world.podHome]) await chmod(folder, 0o755);
    await chown(world.podHome, 65_534, 65_534);
    const nobody: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => world.remote.exec(pod, asNobody(script), options),
      stream: async (pod, script, options) => world.remote.stream(pod, asNobody(script), options),
    };
    world.jobs = [world.job()];
    const files = world.over(nobody);
    const result = await files.fetch(fetchRequest({ jobId, paths: [] }), call);
    expect(result.manifest.files.map((file) => file.path)).toEqual(['out/a.txt']);
    expect(result.refused?.map((item) => item.path)).toEqual(['out/closed', 'out/secret.bin']);
    const gates = await files.gates(fetchRequest().podId, call);
    expect(gates.map((gate) => `${gate.gate} ${gate.path ?? ''}`)).toEqual([
      'artifact_not_fetched out/closed',
      'artifact_not_fetched out/secret.bin',
    ]);

    // Not absent: whether it is there is for this login not to know.
    const denied = { code: 'permission_denied' };
    for (const [asked, named] of [
      ['out/secret.bin', 'out/secret.bin'],
      ['out/closed/b.txt', 'out/closed'],
      ['out/closed/deep/*.bin', 'out/closed'],
    ] as const)
      for (const strict of [false, true])
        await expect(
          files.fetch(fetchRequest({ jobId, paths: [asked], strict }), call),
        ).rejects.toMatchObject({
          ...denied,
          message: expect.not.stringContaining(named) as string,
          foreignText: expect.stringContaining(named) as string,
        });
    await expect(
      files.fetch(fetchRequest({ jobId, paths: [], strict: true }), call),
    ).rejects.toMatchObject(denied);
    const part = await files.fetch(
      fetchRequest({ jobId, paths: ['out/a.txt', 'out/closed/b.txt'] }),
      call,
    );
    expect(part).toMatchObject({
      missing: ['out/closed/b.txt'],
      refused: [{ path: 'out/closed', why: expect.stringContaining('may not read') as string }],
    });
    world.jobs = [world.job({ artifacts: ['out/a.txt', 'out/closed/b.txt'] })];
    expect((await files.gates(fetchRequest().podId, call)).map(({ path: name }) => name)).toEqual([
      'out/closed',
    ]);
  });

  it('strict takes no fetch for whole that a name or a link was left out of', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a' });
    await symlink(world.local('elsewhere'), world.pod('out/link'));
    await writeFile(world.local('elsewhere'), 'x');
    await expect(world.fetch({ strict: true })).rejects.toMatchObject({
      code: 'path_missing',
      foreignText: expect.stringContaining('out/link') as string,
    });
    expect(await treeOf(world.local('results'))).toEqual({});
    await rm(world.pod('out/link'));
    await symlink('nowhere', world.pod('out/dead'));
    expect((await world.fetch({ strict: true })).manifest.totalFiles).toBe(1);
    await rm(world.pod('out/dead'));
    const folder = Buffer.from(world.pod('out/'));
    await writeFile(Buffer.concat([folder, Buffer.from([0x62, 0xff, 0xfe])]), 'only copy');
    await expect(world.fetch({ strict: true })).rejects.toMatchObject({ code: 'path_missing' });
  });

  it('a part fetched after the end is not all of it when the pod cannot be read', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.txt': 'a', 'project/out/b.txt': 'b' });
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: ['out/a.txt'] });
    world.remote.down = true;
    expect(await gatesOf(world)).toEqual(['not_checked out/**']);
    world.remote.down = false;
    await world.fetch({ jobId, paths: [], exclude: ['b.txt'] });
    world.remote.down = true;
    expect(await gatesOf(world)).toEqual(['not_checked out/**']);
    world.remote.down = false;
    await world.fetch({ jobId, paths: [] });
    world.remote.down = true;
    expect(await gatesOf(world)).toEqual([]);
  });

  it('a pod whose clock is behind cannot make an early fetch a late one', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.txt': 'a' });
    world.jobs = [world.job({ status: 'running' })];
    await world.fetch({ jobId, paths: [] });
    // The pod's clock is hours behind; here the end was seen after the fetch.
    world.jobs = [
      world.job({
        endedAt: new Date(Date.now() - 7_200_000).toISOString(),
        observedAt: new Date(Date.now() + 1000).toISOString(),
      }),
    ];
    world.remote.down = true;
    expect(await gatesOf(world)).toEqual(['not_checked out/**', 'artifact_not_fetched out/**']);
  });

  it('files that something still writes keep it shut, whatever came home before', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.log': 'start\n' });
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: [] });
    let writes = 0;
    const writing: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => {
        const answer = await world.remote.exec(pod, script, options);
        if (String(options.stdin).includes('h() {'))
          await writeFile(world.pod('project/out/a.log'), `more ${++writes}\n`);
        return answer;
      },
    };
    const gates = await world.over(writing).gates(fetchRequest().podId, call);
    expect(gates).toMatchObject([{ gate: 'artifact_changed', path: 'out/**' }]);
    expect(gates[0]?.why).toContain('still writes');
  });

  it('a pod that answers but cannot list or hash is not checked', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/a.txt': 'a' });
    world.jobs = [world.job()];
    await world.fetch({ jobId, paths: [] });
    const broken: Remote = {
      ...world.remote,
      exec: async () => Promise.reject(new RemoteError('remote_failed', 'It could not.')),
    };
    const gates = await world.over(broken).gates(fetchRequest().podId, call);
    expect(gates).toMatchObject([{ gate: 'not_checked', why: 'It could not.' }]);
  });
});

describe('landing', () => {
  it('does not replace the result of another pod that is still whole here', async () => {
    await using world = await openWorld();
    await world.writePod({ 'one/model.txt': 'first', 'two/model.txt': 'second' });
    const of = (folder: string) => world.job({ cwd: world.pod(folder), artifacts: ['model.txt'] });
    world.jobs = [of('one')];
    await world.fetch({ jobId, paths: [] });
    world.jobs = [of('two')];
    await expect(world.fetch({ jobId, paths: [] })).rejects.toMatchObject({
      code: 'invalid_input',
      hint: expect.stringContaining('another localPath') as string,
    });
    expect(await readFile(world.local('results/model.txt'), 'utf8')).toBe('first');
    await world.fetch({ jobId, paths: [], localPath: 'results-2' });
    expect(await readFile(world.local('results-2/model.txt'), 'utf8')).toBe('second');
    // A newer version of the same file comes over the older one.
    await world.writePod({ 'two/model.txt': 'second, longer' });
    await world.fetch({ jobId, paths: [], localPath: 'results-2' });
    expect(await readFile(world.local('results-2/model.txt'), 'utf8')).toBe('second, longer');
  });

  it('a full disk here is said so, keeps what came, and goes on when there is room', async () => {
    await using world = await openWorld();
    const big = Buffer.alloc(3 << 20, 'abc');
    await world.writePod({ 'out/big.xyz': big });
    await mkdir(world.local('small'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', world.local('small')]);
    try {
      // Room for it when the fetch begins, and not when it writes.
      const filling: Remote = {
        ...world.remote,
        stream: async (...parameters) => {
          await writeFile(world.local('small/other'), Buffer.alloc(2 << 20));
          return world.remote.stream(...parameters);
        },
      };
      const request = fetchRequest({ localPath: 'small/results', verify: 'hash' });
      await expect(world.over(filling).fetch(request, call)).rejects.toMatchObject({
        code: 'disk_full',
        message: expect.stringContaining('This machine') as string,
      });
      expect(await treeOf(world.local('small/results'))).toEqual({});
      await rm(world.local('small/other'));
      await world.files.fetch(request, call);
      expect(await treeOf(world.local('small/results'))).toEqual({ 'out/big.xyz': sha(big) });
      expect(await readdir(world.local('small'))).toEqual(['results']);
    } finally {
      execFileSync('umount', [world.local('small')]);
    }
  });

  it('a folder that turns up where a file should land is said, and nothing is lost', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/a.txt': 'a' });
    const meddling: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        await mkdir(world.local('results/out/a.txt/full'), { recursive: true });
        return world.remote.stream(...parameters);
      },
    };
    await expect(world.over(meddling).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await rm(world.local('results'), { recursive: true });
    await world.writePod({ 'out/a.txt': 'another' });
    const linking: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        await mkdir(world.local('results'));
        await mkdir(path.join(world.root, 'outside'));
        await symlink(path.join(world.root, 'outside'), world.local('results/out'));
        return world.remote.stream(...parameters);
      },
    };
    await expect(world.over(linking).fetch(fetchRequest(), call)).rejects.toMatchObject({
      code: 'path_outside_workspace',
    });
    expect(await readdir(path.join(world.root, 'outside'))).toEqual([]);
  });

  it('two that fetch to one place at once do not spoil each other', async () => {
    await using world = await openWorld();
    const big = Buffer.alloc(8 << 20, 'abcdefgh');
    await world.writePod({ 'out/big.xyz': big, 'out/b.txt': 'b' });
    let entered = 0;
    let second: () => void = () => undefined;
    const together = new Promise<void>((resolve) => {
      second = resolve;
    });
    const counted: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        entered += 1;
        if (entered === 2) second();
        // The first waits for another one: they really run at the same time.
        await together;
        return world.remote.stream(...parameters);
      },
    };
    const results = await Promise.all(
      [0, 1, 2].map(async () => world.over(counted).fetch(fetchRequest(), call)),
    );
    for (const result of results) expect(result.manifest.totalFiles).toBe(2);
    expect(await treeOf(world.local('results'))).toEqual({
      'out/big.xyz': sha(big),
      'out/b.txt': sha('b'),
    });
    expect(await readdir(world.workspace)).toEqual(['project', 'results']);
  });

  it('what a dead process began is taken over, what a living one holds is not', async () => {
    await using world = await openWorld();
    const big = Buffer.alloc(2 << 20, 'xyz');
    await world.writePod({ 'out/big.xyz': big });
    const failing: Remote = {
      ...world.remote,
      stream: async () => Promise.reject(new RemoteError('remote_failed', 'No.')),
    };
    await expect(world.over(failing).fetch(fetchRequest(), call)).rejects.toThrow('No.');
    const partials = async (): Promise<readonly string[]> =>
      (await readdir(world.workspace)).filter((name) => name.includes('.partial-'));
    expect(await partials()).toEqual([]);
    const halfway: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        let passed = 0;
        const half = new Transform({
          transform(chunk: Buffer, _encoding, done) {
            passed += chunk.length;
            if (passed > 1_500_000) done(new RemoteError('remote_failed', 'Half.'));
            else done(null, chunk);
          },
        });
        const sink = options.stdout;
        if (sink === undefined) throw new Error('no sink');
        const whole = pipeline(half, sink, { end: false }).catch(() => undefined);
        return world.remote.stream(pod, script, { ...options, stdout: half }).finally(async () => {
          await whole;
          sink.end();
        });
      },
    };
    await expect(world.over(halfway).fetch(fetchRequest(), call)).rejects.toThrow('Half.');
    const [free = 'none'] = await partials();
    await world.write({ 'a.py': 'a' });
    // Half a file must not come to a pod as if it were one.
    const tree = await world.sync({ localPath: '.', remotePath: 'all' });
    expect(tree.skipped).toContainEqual({ path: free, why: 'default: unfinished fetch' });
    expect(await readdir(world.pod('all'))).not.toContain(free);
    const child = spawn('true');
    await once(child, 'exit');
    const dead = `${free}-${child.pid ?? 0}-01234567-abcdefgh`;
    await rename(world.local(free), world.local(dead));
    let pulled = 0;
    const measuring: Remote = {
      ...world.remote,
      stream: async (pod, script, options) => {
        options.stdout?.on('pipe', (source) => {
          source.on('data', (chunk: Buffer) => {
            pulled += chunk.length;
          });
        });
        return world.remote.stream(pod, script, options);
      },
    };
    await world.over(measuring).fetch(fetchRequest(), call);
    expect(await treeOf(world.local('results'))).toEqual({ 'out/big.xyz': sha(big) });
    expect(await readdir(world.workspace)).toEqual(['project', 'results']);
    expect(pulled).toBeGreaterThan(0);
    expect(pulled).toBeLessThan(big.length);
  });

  it('a log that grows does not keep the finished checkpoint away, and is no success', async () => {
    await using world = await openWorld();
    await world.writePod({ 'project/out/best.xyz': 'weights', 'project/out/m.log': 'start\n' });
    world.jobs = [world.job({ artifacts: ['out/best.xyz', 'out/m.log'] })];
    let lines = 0;
    const training: Remote = {
      ...world.remote,
      exec: async (pod, script, options) => {
        const answer = await world.remote.exec(pod, script, options);
        if (String(options.stdin).includes('h() {'))
          await appendFile(world.pod('project/out/m.log'), `step ${++lines}\n`);
        return answer;
      },
    };
    const files = world.over(training);
    const result = await files.fetch(fetchRequest({ jobId, paths: [] }), call);
    expect(result.manifest.files.map((file) => file.path)).toEqual(['out/best.xyz']);
    expect(result.missing).toEqual(['out/m.log']);
    expect(result.refused).toMatchObject([
      { path: 'out/m.log', why: expect.stringContaining('still writes') as string },
    ]);
    expect((await files.gates(fetchRequest().podId, call)).map(({ gate }) => gate)).toEqual([
      'artifact_changed',
    ]);
    await expect(
      files.fetch(fetchRequest({ jobId, paths: [], strict: true }), call),
    ).rejects.toMatchObject({ code: 'path_missing' });
  });

  it('a checkpoint that the job removes meanwhile does not keep the others away', async () => {
    await using world = await openWorld();
    await world.writePod({ 'out/step1.xyz': 'one', 'out/step2.xyz': 'two' });
    const rotating: Remote = {
      ...world.remote,
      stream: async (...parameters) => {
        await rm(world.pod('out/step1.xyz'), { force: true });
        return world.remote.stream(...parameters);
      },
    };
    const result = await world.over(rotating).fetch(fetchRequest(), call);
    expect(result.manifest.files.map((file) => file.path)).toEqual(['out/step2.xyz']);
    expect(result.refused).toMatchObject([
      { path: 'out/step1.xyz', why: expect.stringContaining('deleted or renamed') as string },
    ]);
    expect(await treeOf(world.local('results'))).toEqual({ 'out/step2.xyz': sha('two') });
  });

  it('holds names of 255 bytes and an empty file, and a hard link twice', async () => {
    await using world = await openWorld();
    const long = 'n'.repeat(255);
    await world.writePod({ [`out/${long}`]: 'long', 'out/empty': '', 'out/one': 'same' });
    execFileSync('ln', [world.pod('out/one'), world.pod('out/two')]);
    await world.fetch({ verify: 'hash' });
    expect(await treeOf(world.local('results/out'))).toEqual({
      [long]: sha('long'),
      empty: sha(''),
      one: sha('same'),
      two: sha('same'),
    });
  });
});

it('amounts are said in fitting units', () => {
  expect(amountOf([{ bytes: 49_000 }])).toBe('1 file, 49 kB');
  expect(amountOf([])).toBe('0 files, 0 B');
  expect(amountOf([{ bytes: 1500 }, { bytes: 0 }])).toBe('2 files, 1.5 kB');
  expect(amountOf([{ bytes: 2_500_000_000 }])).toBe('1 file, 2.5 GB');
});

function asNobody(script: string): string {
  return `exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '${script.replaceAll("'", String.raw`'\''`)}'`;
}

it.each([
  ['small', 10],
  ['big', 3 << 20],
])(
  'a %s file that vanishes while it is sent is named, and the others arrive [SY-12]',
  async (_size, bytes) => {
    await using world = await openWorld();
    await world.write({ 'a.txt': 'a', 'gone.bin': Buffer.alloc(bytes, 7), 'z.txt': 'z' });
    const progress = (message: string): void => {
      if (message.startsWith('Sending')) rmSync(world.local('project/gone.bin'), { force: true });
    };
    const result = await world.files.sync(syncRequest(), { ...call, progress });
    expect(result).toMatchObject({
      sent: { files: 2 },
      skipped: [{ path: 'gone.bin', why: 'vanished while it was being sent' }],
      verified: true,
    });
    expect(await treeOf(world.pod('project'))).toEqual({ 'a.txt': sha('a'), 'z.txt': sha('z') });
    expect((await world.sync()).unchanged.files).toBe(2);
  },
);
