import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer, processesBelow, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened, readyPod, started } from '../support/day.ts';

let box: Awaited<ReturnType<typeof sandbox>>;
let server: BuiltServer;
beforeEach(async () => {
  box = await sandbox();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await box[Symbol.asyncDispose]();
});

const podFolder = (podId: string): string => path.join(box.home, 'pods', podId.split(':')[1] ?? '');
const servingPid = async (podId: string): Promise<number> => {
  const text = await readFile(path.join(podFolder(podId), 'state.json'), 'utf8');
  return (JSON.parse(text) as { process: { pid: number } }).process.pid;
};
const left = async (): Promise<readonly number[]> => processesBelow(path.join(box.home, 'pods'));

describe('pods in trouble, through the built server', () => {
  it.each([
    ['quotes, blanks, $() and more', 'it\'s a "home" $(id) `id`; é 日本'],
    ['180 characters', 'x'.repeat(180)],
  ])(
    'a state folder whose name has %s: the whole life of a pod, and nothing left',
    async (_what, name) => {
      const home = path.join(box.home, name);
      server = await BuiltServer.start({ ...box, home });
      const podId = await readyPod(server);
      const sessionId = await opened(server, podId);
      const said = await server.call('session_write', {
        sessionId,
        input: 'cd && echo ok > f; pwd',
      });
      expect(said).toMatchObject({ done: true, exitCode: 0 });
      const jobId = await started(server, { podId, command: 'cat f > out', artifacts: ['out'] });
      expect(await finished(server, jobId)).toMatchObject({ status: 'completed' });
      await server.call('fetch_artifacts', { jobId, localPath: 'home', verify: 'hash' });
      expect(await readFile(path.join(box.workspace, 'home/out'), 'utf8')).toBe('ok\n');
      await gone(server, podId);
      expect(await readdir(path.join(home, 'pods'))).toEqual([]);
      expect(await left()).toEqual([]);
    },
  );

  it('a killed pod process is said to be one, start brings shell and job back, destroy ends all', async () => {
    server = await BuiltServer.start(box);
    const podId = await readyPod(server);
    const sessionId = await opened(server, podId);
    await server.call('session_write', { sessionId, input: 'MARK=kept' });
    const jobId = await started(server, {
      podId,
      command: 'while [ ! -e stop ]; do sleep 0.1; done',
    });
    process.kill(await servingPid(podId), 'SIGKILL');
    await expect
      .poll(async () => server.call('get_pod', { podId }), { timeout: 10_000 })
      .toMatchObject({
        pod: {
          status: 'failed',
          problem: expect.stringContaining('may still run') as string,
        },
      });
    expect(await server.call('list_pods')).toMatchObject({ pods: [{ podId, status: 'failed' }] });
    await server.call('update_pod', { podId, action: 'start' });
    await server.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
    const seen = await server.call('session_write', {
      sessionId,
      input: 'echo "mark $MARK"; touch stop',
      waitSeconds: 20,
    });
    expect(textAt(seen, 'output')).toContain('mark kept');
    expect(await finished(server, jobId)).toMatchObject({ status: 'completed' });
    process.kill(await servingPid(podId), 'SIGKILL');
    await gone(server, podId, { discardUnfetched: true, reason: 'its process was killed' });
    expect(await left()).toEqual([]);
  });

  it('a frozen pod process can be destroyed, and ends', async () => {
    server = await BuiltServer.start(box);
    const podId = await readyPod(server);
    process.kill(await servingPid(podId), 'SIGSTOP');
    await gone(server, podId, { discardUnfetched: true, reason: 'frozen', waitSeconds: 45 });
    expect(await left()).toEqual([]);
  });

  it('destroy while it is being made leaves nothing', async () => {
    server = await BuiltServer.start(box);
    const rent = { offerId: 'local:cpu', diskGb: 1, ttlMinutes: 30, waitSeconds: 0 };
    const created = await Promise.all(
      Array.from({ length: 5 }, async () => server.call('create_pod', rent)),
    );
    const ends = created.map(async (answer) => gone(server, textAt(answer, 'pod.podId')));
    await Promise.all(ends);
    expect(await server.call('list_pods')).toMatchObject({ pods: [] });
    expect(await left()).toEqual([]);
  });

  it('ten pods of one name, made and destroyed by two servers at once: ten pods, ten ends', async () => {
    server = await BuiltServer.start(box);
    const other = await BuiltServer.start(box);
    try {
      const rent = { offerId: 'local:cpu', diskGb: 1, ttlMinutes: 10, waitSeconds: 0 };
      const created = await Promise.all(
        Array.from({ length: 10 }, async (_, index) =>
          (index % 2 === 0 ? server : other).call('create_pod', { ...rent, name: 'same name' }),
        ),
      );
      const ids = new Set(created.map((answer) => textAt(answer, 'pod.podId')));
      expect(ids.size).toBe(10);
      for (const podId of ids)
        await other.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
      const { pods: ready } = await server.call('list_pods');
      expect((ready as { status: string }[]).map(({ status }) => status)).toEqual(
        Array.from({ length: 10 }, () => 'ready'),
      );
      const ends = [...ids].flatMap((podId) => [gone(server, podId), gone(other, podId)]);
      await Promise.all(ends);
      expect(await left()).toEqual([]);
      expect(await readdir(path.join(box.home, 'pods'))).toEqual([]);
      expect((await other.call('list_pods', { includeEnded: true }))['pods']).toHaveLength(10);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('the whole state folder is deleted under pods and server: they end, and the server knows it', async () => {
    server = await BuiltServer.start(box);
    const podId = await readyPod(server);
    await started(server, { podId, command: 'sleep 600' });
    expect((await left()).length).toBeGreaterThan(0);
    await rm(box.home, { recursive: true, force: true, maxRetries: 5 });
    await mkdir(box.home, { recursive: true, mode: 0o700 });
    await expect.poll(left, { timeout: 20_000 }).toEqual([]);
    expect(await server.call('get_pod', { podId })).toMatchObject({ pod: { status: 'gone' } });
  });

  it('a boot script that failed is said, not hidden behind "ready"', async () => {
    server = await BuiltServer.start(box);
    const podId = await readyPod(server, { setup: 'echo no such package >&2; exit 3' });
    await expect
      .poll(async () => server.call('get_pod', { podId }), { timeout: 10_000 })
      .toMatchObject({ pod: { problem: expect.stringContaining('exit code 3') as string } });
  });
});
