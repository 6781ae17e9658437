import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { processesMentioning } from '../../src/cli/demo/leftovers.ts';
import { PROMISES } from '../../src/cli/demo/step.ts';

const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');
const LIMIT_MS = 170_000;

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-e2e-'));
  await mkdir(path.join(root, 'tmp'));
});
afterEach(async () => {
  expect(await processesMentioning(root, 'command_or_environment')).toEqual([]);
  await rm(root, { recursive: true, force: true });
});

function startDemo(
  main: string,
  ...argv: readonly string[]
): { readonly child: ChildProcess; readonly text: () => string } {
  const child = spawn(process.execPath, [main, 'demo', ...argv], {
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: root, TMPDIR: path.join(root, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  return { child, text: () => text };
}

/** The package as it would be published, unpacked where nothing of the repository is around. */
async function packedMain(): Promise<string> {
  const repository = path.resolve(import.meta.dirname, '../..');
  const run = promisify(execFile);
  const options = { cwd: repository };
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', root], options);
  const [tarball = ''] = (await readdir(root)).filter((name) => name.endsWith('.tgz'));
  const folder = path.join(root, 'node_modules');
  await mkdir(folder);
  await run('tar', ['-xzf', path.join(root, tarball), '-C', folder]);
  for (const name of Object.keys(manifest.dependencies)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await symlink(path.join(repository, 'node_modules', name), path.join(folder, name));
  }
  return path.join(folder, 'package', 'dist', 'main.js');
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? (await once(child, 'exit'))[0];
}

describe('gpu-lease demo', () => {
  it.each([
    ['the SDK client on 2026-07-28', '2026', async () => Promise.resolve(MAIN)],
    ['raw JSON-RPC on 2025-06-18, from the packed package', '2025', packedMain],
  ])(
    'the whole day with %s: every promise seen, nothing left [MO-14, SE-24]',
    async (_name, era, main) => {
      const { child, text } = startDemo(await main(), '--era', era);
      const code = await exitCode(child);
      expect(code, text()).toBe(0);
      const summary = text().slice(text().indexOf('Every promise, as it was seen'));
      for (const [number, name] of Object.entries(PROMISES))
        expect(summary).toMatch(new RegExp(`✓ +${number} ${name}`));
      expect(summary).toContain('No pod, no process and no folder is left.');
      expect(await readdir(path.join(root, 'tmp'))).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'an interrupt in the middle leaves nothing behind and exits 1',
    async () => {
      const { child, text } = startDemo(MAIN, '--json');
      const ended = once(child, 'exit');
      while (!text().includes('"job_start"') && child.exitCode === null)
        await Promise.race([ended, once(child.stdout ?? child, 'data')]);
      child.kill('SIGINT');
      expect(await exitCode(child), text()).toBe(1);
      expect(text()).toContain('interrupted');
      expect(await readdir(path.join(root, 'tmp'))).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'a server that dies for good ends the demo, and its pod is put away',
    async () => {
      const { child, text } = startDemo(MAIN, '--json');
      const ended = once(child, 'exit');
      while (!text().includes('"session_open"') && child.exitCode === null)
        await Promise.race([ended, once(child.stdout ?? child, 'data')]);
      const servers = await processesMentioning(`${MAIN} `, 'command');
      for (const pid of servers)
        if (pid !== child.pid && (await isChildOf(pid, child.pid))) process.kill(pid, 'SIGKILL');
      expect(await exitCode(child), text()).toBe(1);
      expect(text()).toContain('"ok":false');
      expect(await readdir(path.join(root, 'tmp'))).toEqual([]);
    },
    LIMIT_MS,
  );
});

async function isChildOf(pid: number, parent: number | undefined): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'ppid=', '-p', String(pid)]);
  return Number(stdout.trim()) === parent;
}
