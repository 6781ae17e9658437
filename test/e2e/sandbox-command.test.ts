import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as pty from '@lydell/node-pty';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { processesOfPod } from '../../src/core/local-process.ts';
import { poll } from '../../src/core/poll.ts';
import { MAIN } from '../support/built-server.ts';
import { type SandboxProcess, startSandboxProcess } from '../support/vast-sandbox.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const until = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
  const found = await poll(look, {
    clock: systemClock,
    signal,
    timeoutSeconds: 60,
    everySeconds: 0.1,
  });
  if (found === undefined) throw new Error('It did not come to that.');
  return found;
};

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'gpu-lease-sandbox-command-'));
});
afterEach(async () => rm(home, { recursive: true, force: true }));
const environment = (): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  HOME: home,
  GPU_LEASE_HOME: home,
});
/** The command with its exit code, not its exception. */
const command = async (...args: readonly string[]) =>
  run(process.execPath, [MAIN, 'sandbox', ...args], { env: environment(), cwd: home }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failure: unknown) => failure as { code: number; stdout: string; stderr: string },
  );

/** Rents the cheapest offer as the official tool does, and waits until it runs. */
async function rent(sandbox: SandboxProcess): Promise<string> {
  const headers = { authorization: `Bearer ${sandbox.apiKey}` };
  const search = await fetch(`${sandbox.url}/api/v0/bundles/`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ rentable: { eq: true }, order: [['dph_total', 'asc']], limit: 1 }),
  });
  const { offers } = (await search.json()) as { offers: { id: number }[] };
  const made = await fetch(`${sandbox.url}/api/v0/asks/${String(offers[0]?.id)}/`, {
    method: 'PUT',
    headers,
    body: JSON.stringify({ image: 'pytorch/pytorch', disk: 10, runtype: 'ssh_direct' }),
  });
  const { new_contract: id } = (await made.json()) as { new_contract: number };
  await until(async () => {
    const { instances } = await sandbox.books();
    const runs = instances.some((one) => one.id === String(id) && one.state === 'running');
    // A fast clock is ahead of the machine, whose processes start in real time.
    return runs && (await machinesOf(sandbox.folder)).length > 0 ? true : undefined;
  });
  return String(id);
}

/** Pids of all machines of a run. */
async function machinesOf(folder: string): Promise<readonly number[]> {
  const tokens = await readdir(path.join(folder, 'pods')).catch(() => []);
  return (await Promise.all(tokens.map(async (token) => processesOfPod(token)))).flat();
}

describe('gpu-lease sandbox', () => {
  it('tells what to export, shows what happens line by line, and ends everything on Ctrl-C', async () => {
    const varsFile = path.join(home, 'sandbox.env');
    await using sandbox = await startSandboxProcess(['--speed', '60', '--vars-file', varsFile], {
      home,
    });
    const sourced = await run('sh', ['-c', `. ${varsFile}; echo "$VAST_API_KEY $VAST_URL"`]);
    expect(sourced.stdout.trim()).toBe(`${sandbox.apiKey} ${sandbox.url}`);
    const id = await rent(sandbox);
    await until(async () =>
      Promise.resolve(
        sandbox.events.find((event) => event['id'] === id && event['state'] === 'running'),
      ),
    );
    expect(await machinesOf(sandbox.folder)).not.toEqual([]);

    expect(await sandbox.interrupt()).toBe(0);
    expect(await machinesOf(sandbox.folder)).toEqual([]);
    expect(existsSync(sandbox.folder)).toBe(false);
    expect(existsSync(varsFile)).toBe(false);
    expect(sandbox.events.at(-1)).toMatchObject({ event: 'ended', destroyed: 1 });
    expect(sandbox.events.at(-1)?.['spentUsd']).toBeGreaterThan(0);
    const states = sandbox.events.filter((event) => event['event'] === 'instance');
    expect(states.at(-1)).toMatchObject({ id, billing: true, state: 'running' });
    expect(sandbox.events).toContainEqual(
      expect.objectContaining({ event: 'request', method: 'POST', path: '/api/v0/bundles/' }),
    );
    expect(JSON.stringify(sandbox.events.slice(1))).not.toContain(sandbox.apiKey);
    expect(sandbox.stderr()).toBe('');
  });

  it('each cloud that it makes up works with what is printed: the doctor reaches all three', async () => {
    const varsFile = path.join(home, 'clouds.env');
    await using sandbox = await startSandboxProcess(['--vars-file', varsFile], { home });
    const variables = Object.fromEntries(
      (await readFile(varsFile, 'utf8'))
        .split('\n')
        .map((line) => /^(?:export )?([A-Z_0-9]+)='?([^']*)'?$/.exec(line))
        .flatMap((found) => (found === null ? [] : [[found[1], found[2]]])),
    ) as Record<string, string>;
    const { stdout } = await run(process.execPath, [MAIN, 'doctor', '--json'], {
      env: { ...environment(), ...variables },
      cwd: home,
    });
    expect(sandbox.stderr()).toBe('');
    const { providers } = JSON.parse(stdout) as { providers: Record<string, unknown>[] };
    for (const provider of ['vast', 'runpod', 'lambda'])
      expect(providers).toContainEqual(
        expect.objectContaining({ provider, configured: true, reachable: true }),
      );
  });

  it('a killed one is cleaned up by the next, a living one is not touched', async () => {
    await using living = await startSandboxProcess(['--speed', '600'], { home });
    await rent(living);
    await using killed = await startSandboxProcess(['--speed', '600'], { home });
    await rent(killed);
    await killed.kill9();
    expect(await machinesOf(killed.folder)).not.toEqual([]);

    const { code, stdout } = await command('--once', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ event: 'started', swept: 1 });
    expect(await machinesOf(killed.folder)).toEqual([]);
    expect(await machinesOf(living.folder)).not.toEqual([]);
    expect((await living.books()).billingCount).toBe(1);
  });

  it('draws a live picture on a terminal', async () => {
    const terminal = pty.spawn(process.execPath, [MAIN, 'sandbox', '--offers', '5'], {
      cols: 120,
      rows: 40,
      env: environment(),
      cwd: home,
    });
    let seen = '';
    terminal.onData((data) => {
      seen += data;
    });
    const exited = new Promise<number>((resolve) => {
      terminal.onExit(({ exitCode }) => {
        resolve(exitCode);
      });
    });
    const redrawn = new RegExp(`${String.fromCharCode(27)}\\[\\d+A`);
    await until(async () => Promise.resolve(redrawn.test(seen) ? true : undefined));
    expect(seen).toMatch(/export VAST_URL=http:\/\/127\.0\.0\.1:\d+/);
    expect(seen).toContain('No machines');
    expect(seen).toContain('Ctrl-C ends the sandbox');
    terminal.write('\x03');
    expect(await exited).toBe(0);
    expect(seen).toContain('The sandbox has ended: 0 machines destroyed');
  });

  it('plain lines without a terminal; the help lists the faults', async () => {
    const once = await command('--once', '--port', '0');
    expect(once).toMatchObject({ code: 0, stderr: '' });
    expect(once.stdout).toMatch(/export VAST_API_KEY=\S+\n {2}export VAST_URL=http/);
    expect(once.stdout).not.toContain(String.fromCharCode(27));
    const help = await command('--help');
    expect(help.stdout).toContain('--vars-file PATH');
    expect(help.stdout).toMatch(/stuck-loading +The image is pulled for ever\./);
  });

  it('a port of its own: --port is not that of the HTTP server; a taken one is said to be', async () => {
    await using sandbox = await startSandboxProcess([], { home });
    const { port } = new URL(sandbox.url);
    const taken = await command('--once', '--port', port);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain(`cannot listen on port ${port}`);
    expect(await readdir(path.join(home, 'sandbox'))).toEqual([path.basename(sandbox.folder)]);
  });

  it.each([
    [['--speed', 'fast'], 2, '--speed takes a number'],
    [['--offers', '1.5'], 2, '--offers takes a whole number'],
    [['--fault', '@5'], 2, '--fault takes KIND'],
    [['--fault', 'unheard-of', '--once'], 1, 'No cloud of this sandbox knows this fault'],
    [['--vars-file', '/nonexistent/x', '--once'], 1, 'cannot be written'],
    [['extra'], 2, 'Too many arguments'],
  ])('%j: exit %i, and why', async (args, code, words) => {
    const ended = await command(...args);
    expect(ended.code).toBe(code);
    expect(ended.stderr).toContain(words);
    expect(await readdir(path.join(home, 'sandbox')).catch(() => [])).toEqual([]);
  });
});
