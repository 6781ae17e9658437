import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { POD_FILES } from '../../src/core/embedded-pod.ts';
import type { PodId } from '../../src/core/ids.ts';
import { writeJsonFile } from '../../src/core/json-file.ts';
import {
  isAlive,
  processesOfPod,
  processIdentity,
  sendSignal,
} from '../../src/core/local-process.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { poll } from '../../src/core/poll.ts';
import type { ProviderPod } from '../../src/core/provider.ts';
import { endPod } from '../../src/pod/end.ts';
import { openPodFolder, type PodFolder } from '../../src/pod/folder.ts';
import { type EmbeddedPod, startEmbeddedPod } from '../support/embedded-pod.ts';
import { type LocalProviderFixture, openLocalProvider } from '../support/local-provider.ts';
import { openSshClient } from '../support/openssh.ts';

const { signal } = new AbortController();
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const options = { clock: systemClock, signal, timeoutSeconds: 30, everySeconds: 0.05 };
  const seen = await poll(look, options);
  if (seen === undefined) throw new Error('It did not come to that.');
  return seen;
}
const endpointOf = ({ endpoint }: ProviderPod): SshEndpoint => {
  if (endpoint === undefined) throw new Error('The pod has no endpoint.');
  return endpoint;
};
const exists = async (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
/** Leaves the session, ignores what can be ignored, and one of them goes through init. */
const ESCAPES = `
  nohup sleep 5001 >/dev/null 2>&1 &
  setsid -f sleep 5002 >/dev/null 2>&1 </dev/null
  setsid -f sh -c "trap '' TERM HUP INT; while :; do sleep 0.2; done" >/dev/null 2>&1 </dev/null
  (setsid sh -c 'kill -STOP $$' >/dev/null 2>&1 </dev/null &)
  echo started`;

const open: AsyncDisposable[] = [];
const keep = <T extends AsyncDisposable>(resource: T): T => {
  open.push(resource);
  return resource;
};
afterEach(async () => {
  for (let next = open.pop(); next !== undefined; next = open.pop())
    await next[Symbol.asyncDispose]();
});

describe('the end of an embedded pod', () => {
  const escapees = async (pod: EmbeddedPod): Promise<readonly number[]> => {
    expect((await openSshClient(pod.endpoint).ssh(ESCAPES)).stdout.toString()).toBe('started\n');
    return until(async () => {
      const pids = await pod.processes();
      // The four and the guard of the pod.
      return pids.length >= 5 ? pids : undefined;
    });
  };
  /** A zombie that nobody has buried yet is no process any more. */
  const noneLeft = async (pids: readonly number[]): Promise<boolean> =>
    (await Promise.all(pids.map(processIdentity))).every((identity) => identity === undefined);

  it('its deadline ends it and everything it ever started, with nobody watching', async () => {
    const pod = keep(await startEmbeddedPod({ deadlineSeconds: 4 }));
    const pids = await escapees(pod);
    const server = await pod.pid();
    await until(async () => ((await exists(pod.folder)) ? undefined : true));
    expect(await noneLeft(pids)).toBe(true);
    expect(await pod.processes()).toEqual([]);
    await until(async () => ((await noneLeft([server])) ? true : undefined));
  });

  it('a deadline that says stop keeps the files', async () => {
    const pod = keep(await startEmbeddedPod({ deadlineSeconds: 3, onExpiry: 'stop' }));
    const pids = await escapees(pod);
    await openSshClient(pod.endpoint).ssh('echo kept > result');
    await until(async () => ((await pod.state())?.status === 'stopped' ? true : undefined));
    expect(await noneLeft(pids)).toBe(true);
    expect(await readFile(path.join(pod.home, 'result'), 'utf8')).toBe('kept\n');
  });

  it('an unreadable deadline is an alarm, never an end, and clears [CO-06]', async () => {
    const pod = keep(await startEmbeddedPod({ deadlineSeconds: 3600 }));
    const file = path.join(pod.folder, POD_FILES.deadline);
    await writeFile(file, '{"deadlineAt": "yester');
    await until(async () => ((await pod.state())?.alarm ? true : undefined));
    expect((await openSshClient(pod.endpoint).ssh('echo alive')).stdout.toString()).toBe('alive\n');
    const deadlineAt = new Date(Date.now() + 3_600_000).toISOString();
    await writeJsonFile(file, { deadlineAt, onExpiry: 'destroy' });
    await until(async () => ((await pod.state())?.alarm === '' ? true : undefined));
    expect((await pod.state())?.status).toBe('running');
  });

  it('destroy finds what a killed pod process had started', async () => {
    const pod = keep(await startEmbeddedPod());
    const pids = await escapees(pod);
    await pod.kill9();
    expect(await noneLeft(pids)).toBe(false);
    await pod[Symbol.asyncDispose]();
    await until(async () => ((await noneLeft(pids)) ? true : undefined));
    expect(await exists(pod.folder)).toBe(false);
  });

  it('a killed pod process: what it had started still ends at the deadline, with nobody watching [CO-05]', async () => {
    const pod = keep(await startEmbeddedPod({ deadlineSeconds: 6 }));
    const pids = await escapees(pod);
    await pod.kill9();
    expect(await noneLeft(pids)).toBe(false);
    await until(async () => ((await exists(pod.folder)) ? undefined : true));
    // The dead stay in the table until their parent has read how they died.
    await until(async () => ((await noneLeft(pids)) ? true : undefined));
    await until(async () => ((await pod.processes()).length === 0 ? true : undefined));
  });

  it('destroy ends a process that begins to serve between its look and its claim', async () => {
    const pod = keep(await startEmbeddedPod());
    await pod.kill9();
    const folder = openPodFolder(pod.folder, () => systemClock.now());
    let late: number | undefined;
    const crossed: PodFolder = {
      ...folder,
      take: async (role) => {
        if (late === undefined) {
          await pod.respawn();
          late = await pod.pid();
        }
        return folder.take(role);
      },
    };
    expect(await endPod(crossed, pod.token, 'destroy', systemClock)).toBe(true);
    expect(late).toBeDefined();
    expect(await exists(pod.folder)).toBe(false);
    expect(await pod.processes()).toEqual([]);
  });

  it('a pod whose folder is deleted ends, and everything it ever started', async () => {
    const pod = keep(await startEmbeddedPod());
    const pids = await escapees(pod);
    const server = await pod.pid();
    await rm(pod.folder, { recursive: true, force: true, maxRetries: 5 });
    await until(async () => ((await noneLeft([...pids, server])) ? true : undefined));
    await until(async () => ((await pod.processes()).length === 0 ? true : undefined));
  });

  it('a pod whose lock is lost goes on', async () => {
    const pod = keep(await startEmbeddedPod());
    await rm(path.join(pod.folder, POD_FILES.lock));
    const client = openSshClient(pod.endpoint);
    const child = client.startSsh('sleep 3; echo alive');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toBe('alive\n');
  });

  it('destroy removes folders that their owner closed', async () => {
    const pod = keep(await startEmbeddedPod());
    await openSshClient(pod.endpoint).ssh('mkdir -p a/b; touch a/b/c; chmod 000 a/b a');
    await pod[Symbol.asyncDispose]();
    expect(await exists(pod.folder)).toBe(false);
  });

  it('a cut link ends no command, and the pod can be reached again', async () => {
    const pod = keep(await startEmbeddedPod());
    const client = openSshClient(pod.endpoint);
    const child = client.startSsh('echo ready; sleep 1; echo done > done');
    await once(child.stdout, 'data');
    pod.cutLinks();
    await once(child, 'close');
    await until(async () => ((await exists(path.join(pod.home, 'done'))) ? true : undefined));
    expect((await client.ssh('cat done')).stdout.toString()).toBe('done\n');
  });

  it('is the same machine after a crash: host key, files; the boot script is not run again', async () => {
    const pod = keep(await startEmbeddedPod({ setup: 'echo once >> times' }));
    const before = await until(async () => {
      const state = await pod.state();
      return state?.setupExitCode === undefined ? undefined : state;
    });
    await pod.kill9();
    await pod.respawn();
    const after = await pod.state();
    expect(after?.hostKey).toBe(before.hostKey);
    expect(after?.setupExitCode).toBe(0);
    const times = await openSshClient(pod.endpoint).ssh('cat times');
    expect(times.stdout.toString()).toBe('once\n');
  });

  it('only one process serves a folder, however many are started', async () => {
    const pod = keep(await startEmbeddedPod());
    const state = await pod.state();
    const { podProgram } = await import('../support/pod-program.ts');
    const [command = '', ...args] = await podProgram();
    const others = Array.from({ length: 3 }, () => spawn(command, [...args, pod.folder]));
    const codes = await Promise.all(
      others.map(async (other) => ((await once(other, 'exit')) as [number])[0]),
    );
    expect(codes).toEqual([0, 0, 0]);
    expect((await pod.state())?.process).toEqual(state?.process);
  });

  it('keeps its files from other users [SA-06]', async () => {
    const pod = keep(await startEmbeddedPod());
    const mode = async (file: string): Promise<number> =>
      (await stat(path.join(pod.folder, file))).mode & 0o777;
    expect(await mode('.')).toBe(0o700);
    for (const file of ['host_key', 'pod.json', 'state.json', 'deadline.json', 'lock.json'])
      expect(await mode(file)).toBe(0o600);
    for (const folder of ['home', 'tmp']) expect(await mode(folder)).toBe(0o700);
  });
});

describe('local pods through crashes', () => {
  const running = async (fixture: LocalProviderFixture, podId: PodId): Promise<ProviderPod> =>
    until(async () => {
      const pod = await fixture.provider.getPod(podId, { signal });
      return pod?.status === 'running' ? pod : undefined;
    });
  const reach = (fixture: LocalProviderFixture, pod: ProviderPod) =>
    openSshClient({ ...endpointOf(pod), keyPath: fixture.keyPath });
  const folderOf = (fixture: LocalProviderFixture, podId: PodId): string =>
    path.join(fixture.home, 'pods', podId.slice('local:'.length));

  it('two pods are apart: home, processes, end', async () => {
    const fixture = keep(await openLocalProvider());
    const requests = [fixture.request({ env: { WHO: 'one' } }), fixture.request()];
    const created = await Promise.all(
      requests.map(async (request) => fixture.provider.createPod(request, { signal })),
    );
    const [one, two] = await Promise.all(created.map(async ({ podId }) => running(fixture, podId)));
    if (one === undefined || two === undefined) throw new Error('no pods');
    await reach(fixture, one).ssh('echo "$WHO" > mine; setsid -f sleep 5003 >/dev/null 2>&1');
    await reach(fixture, two).ssh('setsid -f sleep 5004 >/dev/null 2>&1');
    expect((await reach(fixture, two).ssh('ls mine')).code).not.toBe(0);
    expect(one.endpoint?.hostKey).not.toBe(two.endpoint?.hostKey);
    await fixture.provider.terminatePod(one.podId, { signal });
    await until(async () =>
      (await fixture.provider.getPod(one.podId, { signal })) === undefined ? true : undefined,
    );
    expect(await processesOfPod(one.podId.slice('local:'.length))).toEqual([]);
    expect(await processesOfPod(two.podId.slice('local:'.length))).not.toEqual([]);
    expect((await reach(fixture, two).ssh('echo fine')).stdout.toString()).toBe('fine\n');
  });

  it('a pod outlives the kill -9 of the process that created it, and is found by its label', async () => {
    const fixture = keep(await openLocalProvider());
    const request = fixture.request();
    const script = `
      import { createLocalProvider } from './src/providers/local/provider.ts';
      import { systemClock } from './src/core/call.ts';
      const [home, program, request] = process.argv.slice(1).map((text) => JSON.parse(text));
      const provider = createLocalProvider({ home, podProgram: program, clock: systemClock });
      await provider.createPod(request, { signal: new AbortController().signal });
      process.kill(process.pid, 'SIGKILL');`;
    const creator = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        script,
        '--',
        ...[fixture.home, fixture.podProgram, request].map((value) => JSON.stringify(value)),
      ],
      { cwd: path.resolve(import.meta.dirname, '../..'), stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let complaint = '';
    creator.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const [, endedBy] = (await once(creator, 'close')) as [number | null, string | null];
    expect(endedBy, complaint).toBe('SIGKILL');
    const [found] = await fixture.provider.listPods({ signal });
    expect(found?.label).toBe(request.label);
    const again = await fixture.provider.createPod(request, { signal });
    expect(again.podId).toBe(found?.podId);
    const pod = await running(fixture, again.podId);
    expect((await reach(fixture, pod).ssh('echo here')).stdout.toString()).toBe('here\n');
  });

  it('a crash between the folder and the process: the same label completes the pod [OW-07]', async () => {
    const fixture = keep(await openLocalProvider());
    const request = fixture.request();
    const { podId } = await fixture.provider.createPod(request, { signal });
    await running(fixture, podId);
    await fixture.provider.power?.stopPod(podId, { signal });
    const folder = folderOf(fixture, podId);
    for (const file of ['state.json', 'lock.json'])
      await rm(path.join(folder, file), { force: true });
    await writeJsonFile(path.join(folder, 'order.json'), {
      order: 'run',
      at: new Date(Date.now() - 60_000).toISOString(),
    });
    expect(await fixture.provider.getPod(podId, { signal })).toMatchObject({ status: 'failed' });
    const again = await fixture.provider.createPod(request, { signal });
    expect(again.podId).toBe(podId);
    await running(fixture, podId);
  });

  it('a killed pod process is "failed", never "running", and start brings it back', async () => {
    const fixture = keep(await openLocalProvider());
    const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
    const pod = await running(fixture, podId);
    await reach(fixture, pod).ssh('echo kept > result');
    const state = JSON.parse(
      await readFile(path.join(folderOf(fixture, podId), 'state.json'), 'utf8'),
    ) as { process: { pid: number; startedAt: string } };
    sendSignal(state.process.pid, 'SIGKILL');
    await until(async () => ((await isAlive(state.process)) ? undefined : true));
    const dead = await fixture.provider.getPod(podId, { signal });
    expect(dead).toMatchObject({ status: 'failed' });
    expect(dead?.endpoint).toBeUndefined();
    await fixture.provider.power?.startPod(podId, { signal });
    const back = await running(fixture, podId);
    expect(back.endpoint?.hostKey).toBe(pod.endpoint?.hostKey);
    expect((await reach(fixture, back).ssh('cat result')).stdout.toString()).toBe('kept\n');
  });

  it('a pid that belongs to another process now fools nobody', async () => {
    const fixture = keep(await openLocalProvider());
    const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
    await running(fixture, podId);
    await fixture.provider.power?.stopPod(podId, { signal });
    const file = path.join(folderOf(fixture, podId), 'state.json');
    const state = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const process_ = { pid: process.pid, startedAt: 'another boot:1' };
    await writeJsonFile(file, { ...state, status: 'running', process: process_ });
    expect((await fixture.provider.getPod(podId, { signal }))?.status).not.toBe('running');
    await fixture.provider.terminatePod(podId, { signal });
    await until(async () =>
      (await fixture.provider.getPod(podId, { signal })) === undefined ? true : undefined,
    );
  });

  it('a pod program that cannot be started leaves nothing behind', async () => {
    const fixture = keep(await openLocalProvider(['/no/such/program']));
    await expect(fixture.provider.createPod(fixture.request(), { signal })).rejects.toMatchObject({
      code: 'no_capacity',
    });
    expect(await fixture.provider.listPods({ signal })).toEqual([]);
  });

  it('one pod with broken files hides no other, and is unknown, not gone', async () => {
    const fixture = keep(await openLocalProvider());
    const good = await fixture.provider.createPod(fixture.request(), { signal });
    const bad = await fixture.provider.createPod(fixture.request(), { signal });
    await Promise.all([running(fixture, good.podId), running(fixture, bad.podId)]);
    const file = path.join(folderOf(fixture, bad.podId), 'pod.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.slice(0, 20));
    const pods = await fixture.provider.listPods({ signal });
    expect(pods.find((pod) => pod.podId === bad.podId)?.status).toBe('unknown');
    expect(pods.find((pod) => pod.podId === good.podId)?.status).toBe('running');
    await expect(fixture.provider.getPod(bad.podId, { signal })).rejects.toMatchObject({
      code: 'provider_unavailable',
    });
    await writeFile(file, text);
    await chmod(file, 0o600);
  });

  it('a moved deadline is kept by the pod; start refuses when it has passed', async () => {
    const fixture = keep(await openLocalProvider());
    const { provider } = fixture;
    const { podId } = await provider.createPod(fixture.request({ onExpiry: 'stop' }), { signal });
    await running(fixture, podId);
    await provider.deadlines?.setDeadline(podId, new Date().toISOString(), { signal });
    await until(async () =>
      (await provider.getPod(podId, { signal }))?.status === 'stopped' ? true : undefined,
    );
    await expect(provider.power?.startPod(podId, { signal })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    const later = new Date(Date.now() + 60_000).toISOString();
    await provider.deadlines?.setDeadline(podId, later, { signal });
    await provider.power?.startPod(podId, { signal });
    await running(fixture, podId);
  });
});
