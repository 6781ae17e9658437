import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuiltServer, listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened, readyPod, started, transcript } from '../support/day.ts';
import { sampled } from '../support/whole.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const pause = async (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const podFolders = async (home: string) => readdir(path.join(home, 'pods')).catch(() => []);

/** The moment of the kill is swept over the call: every delay is one more place where it may die. */
const MOMENTS_MS = [0, 25, 60, 120, 250, 500];

describe.concurrent('kill -9 of the built server', () => {
  it.each(sampled(MOMENTS_MS, 0))(
    'during create, after %i ms: the next server knows every pod [OW-07] [CR-26]',
    async (delay) => {
      await using box = await sandbox();
      const first = await BuiltServer.start(box);
      const found = await first.call('find_offer', { providers: ['local'] });
      const lost = first
        .tool('create_pod', { offerId: textAt(found, 'offers.0.offerId'), waitSeconds: 25 })
        .catch(() => undefined);
      await pause(delay);
      await first.kill9();
      await lost;

      await using next = await BuiltServer.start(box);
      const onDisk = await podFolders(box.home);
      const pods = listAt(await next.call('list_pods'), 'pods');
      expect(pods.length).toBeGreaterThanOrEqual(onDisk.length);
      expect(pods.every((pod) => textAt(pod, 'mode') === 'managed')).toBe(true);
      for (const pod of pods) await gone(next, textAt(pod, 'podId'));
      expect(await podFolders(box.home)).toEqual([]);
      expect(await box.podPids()).toEqual([]);
      expect((await next.call('list_pods'))['pods']).toEqual([]);
    },
  );

  it('in a session: shell, folder and every byte of the transcript survive, once [SE-24] [TR-01]', async ({
    expect,
  }) => {
    await using box = await sandbox();
    const first = await BuiltServer.start(box);
    const podId = await readyPod(first);
    const sessionId = await opened(first, podId);
    await first.call('session_write', {
      sessionId,
      input: 'mkdir -p deep && cd deep && export WORD=kept',
    });
    await first.call('session_write', {
      sessionId,
      input: 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo "line-$i-end"; sleep 0.01; done',
      waitSeconds: 1,
    });
    await first.kill9();

    await using next = await BuiltServer.start(box);
    const { pods } = await next.call('list_pods');
    expect(JSON.stringify(pods)).toContain(sessionId);
    let text = '';
    await expect
      .poll(async () => (text = await transcript(next, sessionId)), { timeout: 30_000 })
      .toContain('line-400-end');
    const lines = text.match(/line-\d+-end/g);
    expect(lines).toEqual(Array.from({ length: 400 }, (_, index) => `line-${index + 1}-end`));
    const after = await next.call('session_write', {
      sessionId,
      input: 'echo "$WORD in $(basename "$PWD")"',
    });
    expect(after).toMatchObject({ done: true, exitCode: 0 });
    expect(after['output']).toContain('kept in deep');
    await gone(next, podId);
  });

  it.each([50, 200, 600])(
    'during sync, after %i ms: whole files only, and the next sync completes it',
    async (delay) => {
      await using box = await sandbox();
      const first = await BuiltServer.start(box);
      const podId = await readyPod(first);
      const project = path.join(box.workspace, 'project');
      await mkdir(project);
      const content = new Map<string, Buffer>();
      for (let index = 0; index < 40; index += 1)
        content.set(`file-${index}.bin`, randomBytes(400_000));
      for (const [name, bytes] of content) await writeFile(path.join(project, name), bytes);
      const lost = first
        .tool('sync_files', { podId, localPath: 'project', remotePath: 'project' })
        .catch(() => undefined);
      await pause(delay);
      await first.kill9();
      await lost;

      const [pod = ''] = await podFolders(box.home);
      const remote = path.join(box.home, 'pods', pod, 'home', 'project');
      for (const name of await readdir(remote).catch(() => []))
        if (content.has(name))
          expect(sha256(await readFile(path.join(remote, name)))).toBe(
            sha256(content.get(name) ?? Buffer.alloc(0)),
          );

      await using next = await BuiltServer.start(box);
      const synced = await next.call('sync_files', {
        podId,
        localPath: 'project',
        remotePath: 'project',
      });
      expect(synced).toMatchObject({ verified: true });
      expect(numberAt(synced, 'sent.files') + numberAt(synced, 'unchanged.files')).toBe(40);
      expect((await readdir(remote)).sort()).toEqual([...content.keys()].sort());
      await gone(next, podId);
    },
  );

  it.each(sampled([0, 30, 80, 200, 400], 0))(
    'during job_start, after %i ms: no job runs that nobody knows [JO-06]',
    async (delay) => {
      await using box = await sandbox();
      const first = await BuiltServer.start(box);
      const podId = await readyPod(first);
      const lost = first
        .tool('job_start', {
          podId,
          command: 'echo begun >> runs; sleep 1; echo ended >> runs',
          artifacts: [],
        })
        .catch(() => undefined);
      await pause(delay);
      await first.kill9();
      await lost;

      await using next = await BuiltServer.start(box);
      const jobs = listAt(await next.call('list_pods'), 'pods.0.jobs');
      const [pod = ''] = await podFolders(box.home);
      const runs = path.join(box.home, 'pods', pod, 'home', 'runs');
      const begun = await readFile(runs, 'utf8').catch(() => '');
      if (begun !== '') expect(jobs).toHaveLength(1);
      for (const job of jobs) {
        const end = await finished(next, textAt(job, 'jobId'));
        const ran = await readFile(runs, 'utf8').catch(() => '');
        if (end['status'] === 'completed') expect(ran).toBe('begun\nended\n');
        else expect(ran).toBe('');
      }
      await gone(next, podId);
      expect(await box.podPids()).toEqual([]);
    },
  );

  it('while a job runs: it goes on, and the next server reads all of it [JO-15]', async () => {
    await using box = await sandbox();
    const first = await BuiltServer.start(box);
    const podId = await readyPod(first);
    const jobId = await started(first, {
      podId,
      command:
        'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "step $i/40"; sleep 0.05; done; echo out > result.txt',
      artifacts: ['result.txt'],
    });
    await first.kill9();
    await using next = await BuiltServer.start(box);
    expect(await finished(next, jobId)).toMatchObject({ status: 'completed', exitCode: 0 });
    const log = await next.call('job_logs', { jobId, stream: 'stdout', offset: 0 });
    expect(textAt(log, 'output').trim().split('\n')).toEqual(
      Array.from({ length: 40 }, (_, index) => `step ${index + 1}/40`),
    );
    expect(await next.call('destroy', { podId })).toMatchObject({ outcome: 'blocked' });
    await next.call('fetch_artifacts', { jobId, localPath: 'out' });
    await gone(next, podId);
  });

  it.each([50, 150, 400])(
    'during fetch, after %i ms: no half file at home, and the next fetch completes it [AR-07]',
    async (delay) => {
      await using box = await sandbox();
      const first = await BuiltServer.start(box);
      const podId = await readyPod(first);
      const jobId = await started(first, {
        podId,
        command: 'head -c 30000000 /dev/urandom > big.bin && sha256sum big.bin | cut -c1-64',
        artifacts: ['big.bin'],
      });
      await finished(first, jobId);
      const log = await first.call('job_logs', { jobId, stream: 'stdout', offset: 0 });
      const expected = textAt(log, 'output').trim();
      const lost = first
        .tool('fetch_artifacts', { jobId, localPath: 'out' })
        .catch(() => undefined);
      await pause(delay);
      await first.kill9();
      await lost;
      const home = path.join(box.workspace, 'out', 'big.bin');
      if (
        await access(home).then(
          () => true,
          () => false,
        )
      )
        expect(sha256(await readFile(home))).toBe(expected);

      await using next = await BuiltServer.start(box);
      const fetched = await next.call('fetch_artifacts', { jobId, localPath: 'out' });
      expect(fetched).toMatchObject({
        manifest: { files: [{ path: 'big.bin', sha256: expected }] },
      });
      expect(sha256(await readFile(home))).toBe(expected);
      await gone(next, podId);
    },
  );

  it.each(sampled(MOMENTS_MS, 1))(
    'during destroy, after %i ms: the next server ends it with proof [TD-04]',
    async (delay) => {
      await using box = await sandbox();
      const first = await BuiltServer.start(box);
      const podId = await readyPod(first);
      await first.call('session_open', { podId });
      const lost = first.tool('destroy', { podId }).catch(() => undefined);
      await pause(delay);
      await first.kill9();
      await lost;
      await using next = await BuiltServer.start(box);
      const ended = await gone(next, podId);
      expect(ended['receipt']).toMatchObject({ podId });
      expect(await podFolders(box.home)).toEqual([]);
      expect(await box.podPids()).toEqual([]);
    },
  );
});
