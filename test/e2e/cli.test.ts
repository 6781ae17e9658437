import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { processesMentioning } from '../../src/cli/demo/leftovers.ts';
import { openBuilt } from '../support/built-client.ts';
import { MAIN } from '../support/built-server.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-e2e-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** The built program, with a home and a state folder of its own. */
async function gpuLease(...argv: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, ...argv],
      {
        cwd: root,
        env: {
          PATH: process.env['PATH'],
          HOME: path.join(root, 'home'),
          GPU_LEASE_HOME: path.join(root, 'state'),
        },
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

describe('the built program', () => {
  it('--help lists the commands and touches nothing', async () => {
    const { code, stdout, stderr } = await gpuLease('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of ['http', 'demo', 'doctor', 'pods', 'watch', 'destroy', 'add', 'remove'])
      expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
    expect(stdout).not.toContain('\x1b');
    expect(await readdir(root)).toEqual([]);
  });

  it('--version is the version of the package', async () => {
    expect(await gpuLease('--version')).toEqual({
      code: 0,
      stdout: `${manifest.version}\n`,
      stderr: '',
    });
  });

  it.each([[['frobnicate']], [['pods', '--frobnicate']], [['destroy']]])(
    '%j exits 2 and says so on stderr only',
    async (argv) => {
      const { code, stdout, stderr } = await gpuLease(...argv);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).not.toBe('');
    },
  );

  it('pods: none, at no cost', async () => {
    const { code, stdout } = await gpuLease('pods', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ pods: [], usdPerHour: 0, spentUsd: 0 });
  });

  it('doctor: the embedded provider is on', async () => {
    const { stdout } = await gpuLease('doctor', '--json');
    const { providers } = JSON.parse(stdout) as {
      providers: readonly { provider: string; configured: boolean }[];
    };
    expect(providers).toContainEqual(
      expect.objectContaining({ provider: 'local', configured: true }),
    );
  });

  it('watch --once: one round', async () => {
    const { code, stdout } = await gpuLease('watch', '--once', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ actions: [], pods: 0 });
  });

  it('destroy of a pod that nobody knows is a typed error', async () => {
    const { code, stdout } = await gpuLease('destroy', 'local:nobody', '--yes', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'not_found' } });
  });

  it('add and remove: the entry starts this very program', async () => {
    const added = await gpuLease('add', 'codex', '--json');
    expect(added.code).toBe(0);
    const printed = await gpuLease('add', 'codex', '--print');
    expect(printed.stdout).toContain(MAIN);
    const removed = await gpuLease('remove', 'codex', '--json');
    expect(JSON.parse(removed.stdout)).toMatchObject({ results: [{ outcome: 'removed' }] });
  });

  it('pods and destroy: a person sees and ends what an agent rented', async () => {
    const { signal } = new AbortController();
    const workspace = path.join(root, 'workspace');
    await mkdir(workspace);
    const server = await openBuilt({ home: path.join(root, 'state'), workspace }, signal);
    try {
      const rent = { offerId: 'local:cpu', name: 'agent', diskGb: 1, ttlMinutes: 5 };
      const created = await server.call('create_pod', { ...rent, waitSeconds: 30 }, { signal });
      const { podId } = (created.data as { pod: { podId: string } }).pod;

      const listed = await gpuLease('pods');
      expect(listed.stdout).toContain(podId);
      expect(listed.stdout).toMatch(/agent +ready/);

      const unasked = await gpuLease('destroy', podId);
      expect(unasked.code).toBe(2);
      expect(unasked.stderr).toContain('--yes');

      const ended = await gpuLease('destroy', podId, '--yes', '--json');
      expect(ended.code, ended.stdout).toBe(0);
      expect(JSON.parse(ended.stdout)).toMatchObject({ podId, outcome: 'gone' });
      expect(await processesMentioning(path.join(root, 'state', 'pods'), 'command')).toEqual([]);
    } finally {
      await server.close();
    }
  });

  it('watch ends on SIGTERM with success', async () => {
    const child = spawn(process.execPath, [MAIN, 'watch'], {
      cwd: root,
      env: { PATH: process.env['PATH'], HOME: root, GPU_LEASE_HOME: path.join(root, 'state') },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    while (!text.includes('per hour') && child.exitCode === null)
      await Promise.race([ended, once(child.stdout, 'data')]);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(text).toContain('The watcher ended.');
  });
});
