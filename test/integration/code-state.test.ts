import { execFileSync } from 'node:child_process';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Files, SyncRequest, SyncResult } from '../../src/core/files.ts';
import { podIdSchema } from '../../src/core/ids.ts';
import { withCode } from '../../src/files/code.ts';
import { codeStateOf } from '../../src/files/git/work-tree.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { ManualClock } from '../support/clock.ts';
import { fc } from '../support/property.ts';

const { signal } = new AbortController();
let root = '';
beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-code-')));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const git = (folder: string, ...words: readonly string[]): string =>
  execFileSync(
    'git',
    ['-C', folder, '-c', 'user.name=A', '-c', 'user.email=a@example.org', ...words],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: root, GIT_CONFIG_NOSYSTEM: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  ).trim();
/** As if all had been written long ago, so that nothing is too young to tell. */
async function age(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name === '.git') continue;
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) await age(file);
    else if (entry.isFile()) await utimes(file, 1_700_000_000, 1_700_000_000);
  }
}
async function aRepository(): Promise<string> {
  const folder = path.join(root, 'code');
  await mkdir(path.join(folder, 'src'), { recursive: true });
  await writeFile(path.join(folder, 'train.py'), 'print(1)\n');
  await writeFile(path.join(folder, 'src', 'model.py'), 'x = 1\n');
  await age(folder);
  git(folder, 'init', '-q', '-b', 'main');
  git(folder, 'add', '.');
  git(folder, 'commit', '-q', '-m', 'one');
  return folder;
}

describe('the commit of a folder', () => {
  it('and that it stands as committed, loose, packed, from below and in a second working tree', async () => {
    const folder = await aRepository();
    const commit = git(folder, 'rev-parse', 'HEAD');
    const clean = { commit, branch: 'main', tracked: 'clean' };
    expect(await codeStateOf(folder, signal)).toEqual(clean);
    expect(await codeStateOf(path.join(folder, 'src'), signal)).toEqual(clean);
    git(folder, 'update-index', '--index-version', '4');
    expect(await codeStateOf(folder, signal)).toEqual(clean);
    git(folder, 'gc', '-q');
    expect(await codeStateOf(folder, signal)).toEqual(clean);
    const second = path.join(root, 'second');
    git(folder, 'worktree', 'add', '-q', '-b', 'other', second);
    expect(await codeStateOf(second, signal)).toEqual({ ...clean, branch: 'other' });
    git(folder, 'checkout', '-q', '--detach');
    expect(await codeStateOf(folder, signal)).toEqual({ commit, tracked: 'clean' });
  });

  it.each<[string, (folder: string) => Promise<void>]>([
    ['edited', async (folder) => writeFile(path.join(folder, 'train.py'), 'print(2)\n')],
    ['removed', async (folder) => rm(path.join(folder, 'src', 'model.py'))],
    ['made executable', async (folder) => chmod(path.join(folder, 'train.py'), 0o755)],
    [
      'replaced by a link',
      async (folder) => {
        await rm(path.join(folder, 'train.py'));
        await symlink('src/model.py', path.join(folder, 'train.py'));
      },
    ],
    [
      'staged',
      async (folder) => {
        await writeFile(path.join(folder, 'train.py'), 'print(3)\n');
        git(folder, 'add', '.');
      },
    ],
    [
      'taken back by a soft reset',
      async (folder) => {
        await writeFile(path.join(folder, 'train.py'), 'print(4)\n');
        git(folder, 'commit', '-q', '-a', '-m', 'two');
        git(folder, 'reset', '-q', '--soft', 'HEAD~1');
      },
    ],
  ])('is never called clean when a file is %s', async (_how, change) => {
    const folder = await aRepository();
    await change(folder);
    expect((await codeStateOf(folder, signal)).tracked).not.toBe('clean');
  });

  it('a file that was touched and reads the same is no change', async () => {
    const folder = await aRepository();
    await utimes(path.join(folder, 'train.py'), 1_700_000_500, 1_700_000_500);
    expect((await codeStateOf(folder, signal)).tracked).toBe('clean');
  });

  it('is never clean where git sees a change, in any history', async () => {
    const folder = await aRepository();
    let cleans = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('edit', 'back', 'add', 'commit', 'soft', 'gc'), {
          minLength: 1,
          maxLength: 5,
        }),
        async (steps) => {
          for (const step of steps) {
            const file = path.join(folder, 'train.py');
            if (step === 'edit')
              await writeFile(file, `print(${Math.floor(cleans)}, ${steps.length})\n`);
            if (step === 'back') git(folder, 'checkout', '-q', 'HEAD', '--', '.');
            if (step === 'add') git(folder, 'add', '.');
            if (step === 'commit') git(folder, 'commit', '-q', '--allow-empty', '-a', '-m', 'more');
            if (step === 'soft')
              git(folder, 'commit', '-q', '--amend', '--allow-empty', '--no-edit');
            if (step === 'gc') git(folder, 'gc', '-q');
          }
          const { tracked, commit } = await codeStateOf(folder, signal);
          expect(commit).toBe(git(folder, 'rev-parse', 'HEAD'));
          const seen = git(folder, 'status', '--porcelain', '-uno') === '' ? 'clean' : 'changed';
          if (tracked !== 'unknown') expect(tracked).toBe(seen);
          if (tracked === 'clean') cleans += 1;
        },
      ),
      { numRuns: 15 },
    );
    expect(cleans).toBeGreaterThan(2);
  });

  it('runs no hook, filter or monitor of the repository', async () => {
    const folder = await aRepository();
    const trap = path.join(root, 'ran');
    const program = path.join(root, 'trap.sh');
    await writeFile(program, `#!/bin/sh\ntouch '${trap}'\n`, { mode: 0o755 });
    git(folder, 'config', 'core.fsmonitor', program);
    git(folder, 'config', 'filter.trap.clean', program);
    await writeFile(path.join(folder, '.gitattributes'), '* filter=trap\n');
    await writeFile(path.join(folder, 'train.py'), 'print(9)\n');
    expect((await codeStateOf(folder, signal)).tracked).toBe('changed');
    expect(await readdir(root)).not.toContain('ran');
  });

  it('tells nothing of files that are no repository, whatever they claim', async () => {
    expect(await codeStateOf(root, signal)).toEqual({ tracked: 'no_git' });
    const secret = path.join(root, 'secret');
    await writeFile(secret, 'top-secret-text\n');
    const folder = path.join(root, 'odd');
    await mkdir(path.join(folder, '.git'), { recursive: true });
    for (const head of [
      'ref: refs/../../secret',
      'top-secret-text',
      '',
      'ref: refs/heads/\u001b[31m',
    ]) {
      await writeFile(path.join(folder, '.git', 'HEAD'), head);
      await writeFile(path.join(folder, '.git', 'index'), 'DIRC garbage');
      expect(await codeStateOf(folder, signal), head).toEqual({ tracked: 'unknown' });
    }
    await rm(path.join(folder, '.git'), { recursive: true });
    await writeFile(path.join(folder, '.git'), `gitdir: ${root}\n`);
    expect(await codeStateOf(folder, signal)).toEqual({ tracked: 'unknown' });
  });
});

describe('a sync', () => {
  const podId = podIdSchema.parse('vast:1');
  const RESULT: SyncResult = {
    podId,
    remotePath: '/workspace/code',
    sent: { files: 2, bytes: 10 },
    unchanged: { files: 1, bytes: 5 },
    deleted: [],
    skipped: [],
    skippedCount: 0,
    wireBytes: 10,
    seconds: 1,
    verified: true,
    dryRun: false,
  };
  const request = (changes: Partial<SyncRequest> = {}): SyncRequest => ({
    podId,
    localPath: 'code',
    remotePath: 'code',
    include: [],
    exclude: [],
    delete: false,
    dryRun: false,
    allowSecrets: [],
    ...changes,
  });

  it('leaves a note of the commit for the receipt; one that failed or only looked leaves none', async () => {
    const folder = await aRepository();
    const store = createMemoryStore();
    let failure: Error | undefined = new Error('cut');
    const plain: Partial<Files> = {
      sync: async () => (failure === undefined ? Promise.resolve(RESULT) : Promise.reject(failure)),
    };
    const files = withCode(plain as Files, { store, clock: new ManualClock(), workspace: root });
    await expect(files.sync(request(), { signal })).rejects.toBe(failure);
    failure = undefined;
    await files.sync(request({ dryRun: true }), { signal });
    await files.sync(request({ podId: podIdSchema.parse('ssh:mine') }), { signal });
    expect(await store.code.list()).toEqual([]);
    expect(await files.sync(request(), { signal })).toBe(RESULT);
    expect(await store.code.list()).toEqual([
      {
        podId,
        localPath: folder,
        remotePath: '/workspace/code',
        syncedAt: expect.any(String) as unknown,
        files: 3,
        bytes: 15,
        commit: git(folder, 'rev-parse', 'HEAD'),
        branch: 'main',
        tracked: 'clean',
      },
    ]);
  });
});
