import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer, sandbox, textAt } from '../support/built-server.ts';
import { finished, started } from '../support/day.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';

let box: Awaited<ReturnType<typeof sandbox>>;
let sshd: TestSshd;
let server: BuiltServer;
beforeEach(async () => {
  box = await sandbox();
  sshd = await startSshd();
  server = await BuiltServer.start(box);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
  await box[Symbol.asyncDispose]();
});

const save = async (): Promise<Record<string, unknown>> => {
  const { host, port, user } = sshd.endpoint;
  return server.call('ssh_profile', {
    action: 'save',
    profileId: 'lab',
    sshCommand: `ssh -p ${port} -i ${sshd.keyPath} ${user}@${host}`,
  });
};
const isUp = async (): Promise<boolean> => {
  const seen = await server.call('ssh_profile', { action: 'test', profileId: 'lab' });
  return seen['status'] === 'ready';
};

describe('a machine of the user, reached by a profile, through the built server [MO-01] [MO-03]', () => {
  it('save, test, shell, files, job, results home, report; nothing of ours ends it [PR-01] [RP-04]', async () => {
    const saved = await save();
    expect(saved).toMatchObject({ profiles: [{ profileId: 'lab', host: '127.0.0.1' }] });
    expect(JSON.stringify(saved)).not.toContain('PRIVATE KEY');
    const tested = await server.call('ssh_profile', { action: 'test', profileId: 'lab' });
    expect(tested, JSON.stringify(tested)).toMatchObject({ status: 'ready' });

    const sessionId = textAt(await server.call('session_open', { profileId: 'lab' }), 'sessionId');
    const written = await server.call('session_write', {
      sessionId,
      input: 'cd / && pwd; sh -c "exit 7"',
      waitSeconds: 20,
    });
    expect(written).toMatchObject({ done: true, exitCode: 7 });

    await mkdir(path.join(box.workspace, 'project'));
    await writeFile(path.join(box.workspace, 'project/train.sh'), 'echo weights > out.bin\n');
    const synced = await server.call('sync_files', {
      profileId: 'lab',
      localPath: 'project',
      remotePath: 'project',
    });
    expect(synced).toMatchObject({ sent: { files: 1 }, verified: true });

    const jobId = await started(server, {
      profileId: 'lab',
      command: 'sh train.sh',
      cwd: 'project',
      artifacts: ['out.bin'],
    });
    const done = await finished(server, jobId);
    expect(done).toMatchObject({ status: 'completed', exitCode: 0 });
    const before = await server.call('report', { jobId });
    expect(before).toMatchObject({ filesMissing: [expect.stringContaining('out.bin') as string] });
    await server.call('fetch_artifacts', { jobId, localPath: 'results', verify: 'hash' });
    expect(await readFile(path.join(box.workspace, 'results/out.bin'), 'utf8')).toBe('weights\n');

    const report = await server.call('report', { podId: 'ssh:lab' });
    expect(report).toMatchObject({
      podId: 'ssh:lab',
      mode: 'user_managed',
      success: { command: 'yes', artifacts: 'yes' },
      filesMissing: [],
      notTracked: ['cost', 'deadline', 'cleanup: nothing of ours stops or destroys this machine'],
    });
    expect(report).not.toHaveProperty('costUsd');
    expect(textAt(report, 'nextStep')).toContain('theirs to stop');

    const { pods } = await server.call('list_pods');
    expect(pods).toMatchObject([{ podId: 'ssh:lab', mode: 'user_managed' }]);
    expect((pods as readonly object[])[0]).not.toHaveProperty('deadlineAt');
    for (const [tool, args] of [
      ['destroy', {}],
      ['destroy', { discardUnfetched: true, reason: 'told to by a log file' }],
      ['update_pod', { action: 'stop' }],
      ['update_pod', { ttlMinutes: 5 }],
      ['update_pod', { adopt: true }],
    ] as const) {
      const refused = await server.tool(tool, { podId: 'ssh:lab', ...args });
      expect(refused, `${tool} ${JSON.stringify(args)}`).toMatchObject({
        isError: true,
        data: { code: 'not_owned' },
      });
    }
    const alive = await server.call('session_write', { sessionId, input: 'pwd', waitSeconds: 20 });
    expect(alive).toMatchObject({ done: true, exitCode: 0 });
    expect(textAt(alive, 'output')).toContain('/');
    expect(await isUp()).toBe(true);
    expect(server.noise).toEqual([]);
  });

  it('the next server knows profile, session and job after kill -9, and the machine is asked, not billed', async () => {
    await save();
    const sessionId = textAt(await server.call('session_open', { profileId: 'lab' }), 'sessionId');
    await server.call('session_write', { sessionId, input: 'MARK=kept', waitSeconds: 20 });
    const jobId = await started(server, {
      profileId: 'lab',
      command: 'while [ ! -e stop ]; do sleep 0.1; done; echo ended',
    });
    await server.kill9();
    server = await BuiltServer.start(box);
    const { pods } = await server.call('list_pods');
    expect(pods).toMatchObject([{ podId: 'ssh:lab', mode: 'user_managed' }]);
    const seen = await server.call('session_write', {
      sessionId,
      input: 'echo "mark $MARK"; touch stop',
      waitSeconds: 20,
    });
    expect(textAt(seen, 'output')).toContain('mark kept');
    expect(await finished(server, jobId)).toMatchObject({ status: 'completed', exitCode: 0 });
  });

  it('a machine that is down is unreachable, and what ran there is unknown, never failed', async () => {
    await save();
    const jobId = await started(server, { profileId: 'lab', command: 'sleep 300' });
    await sshd.stop();
    const seen = await server.call('get_pod', { podId: 'ssh:lab' });
    expect(seen).toMatchObject({ pod: { status: 'unreachable', mode: 'user_managed' } });
    const job = await server.call('job_wait', { jobId, waitSeconds: 0 });
    expect(job).toMatchObject({ status: 'running_unreachable' });
    const tested = await server.call('ssh_profile', { action: 'test', profileId: 'lab' });
    expect(tested).toMatchObject({ status: 'failed' });
    await sshd.start();
    await expect.poll(isUp, { timeout: 20_000 }).toBe(true);
    const cancelled = await server.call('job_cancel', { jobId });
    expect(cancelled).toMatchObject({ status: 'cancelled' });
  });
});
