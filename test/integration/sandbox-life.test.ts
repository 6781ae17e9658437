import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { processesOfPod } from '../../src/core/local-process.ts';
import { poll } from '../../src/core/poll.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import { bundled } from '../support/bundle.ts';
import { podProgram } from '../support/pod-program.ts';
import { tinySandboxes } from '../support/tiny-sandbox.ts';

const { signal } = new AbortController();
const until = async (seconds: number, holds: () => Promise<boolean>): Promise<boolean> =>
  (await poll(async () => ((await holds()) ? true : undefined), {
    clock: systemClock,
    signal,
    timeoutSeconds: seconds,
    everySeconds: 0.1,
  })) === true;

let folder: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-sandbox-life-'));
});
afterEach(async () => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  await rm(folder, { recursive: true, force: true });
});

/** A sandbox in a process of its own, with two machines. */
async function startProcess(machineSeconds: number) {
  const child = spawn(
    process.execPath,
    [
      await bundled('test/support/sandbox-program.ts'),
      folder,
      String(machineSeconds),
      ...(await podProgram()).slice(1),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { url, folder: run } = JSON.parse(line) as { url: string; folder: string };
  const pods = createLocalProvider({
    home: run,
    podProgram: await podProgram(),
    clock: systemClock,
  });
  const tokens = (await readdir(path.join(run, 'pods'))).filter((name) => !name.startsWith('.'));
  const running = async (): Promise<number> =>
    (await Promise.all(tokens.map(async (token) => processesOfPod(token)))).flat().length;
  return {
    url,
    run,
    pods,
    running,
    async kill9() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

describe('a sandbox that is killed', () => {
  it('leaves no machine after their own deadline, with nobody around', async () => {
    const victim = await startProcess(6);
    expect(await until(20, async () => (await victim.running()) >= 2)).toBe(true);
    await victim.kill9();
    expect(await victim.running(), 'they live on for a while').toBeGreaterThan(0);
    expect(await until(30, async () => (await victim.running()) === 0)).toBe(true);
    const isEmpty = async () => (await victim.pods.listPods({ signal })).length === 0;
    expect(await until(30, isEmpty), 'their files go last').toBe(true);
    expect(await victim.running()).toBe(0);
  });

  it('is cleaned up by the next one at once, which leaves a living one alone', async () => {
    const victim = await startProcess(600);
    const neighbour = await startProcess(600);
    await victim.kill9();
    await using sandboxes = await tinySandboxes(await podProgram(), folder);
    const sandbox = await sandboxes.open({ machines: 'none' });
    expect(sandbox.swept).toBe(2);
    expect(await victim.running()).toBe(0);
    expect(await readdir(folder)).not.toContain(path.basename(victim.run));
    expect(await neighbour.running()).toBeGreaterThanOrEqual(2);
    const look = await fetch(`${neighbour.url}/pods/1`);
    expect(await look.json()).toMatchObject({ status: 'running' });
    await neighbour.kill9();
    const next = await sandboxes.open({ machines: 'none' });
    expect(next.swept).toBe(2);
    expect(await neighbour.running()).toBe(0);
  });

  it('a folder without an owner, and what is no folder of ours', async () => {
    await using sandboxes = await tinySandboxes(await podProgram(), folder);
    const { mkdir, writeFile } = await import('node:fs/promises');
    await mkdir(path.join(folder, 'run-orphan'));
    await mkdir(path.join(folder, 'mine'));
    await writeFile(path.join(folder, 'run-broken'), 'a file');
    const sandbox = await sandboxes.open({ machines: 'none' });
    const names = await readdir(folder);
    expect(names).toContain('mine');
    expect(names).toContain('run-broken');
    expect(names).not.toContain('run-orphan');
    expect(names).toContain(path.basename(sandbox.folder));
  });
});
