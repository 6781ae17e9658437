import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer, sandbox, textAt } from '../support/built-server.ts';
import { finished } from '../support/day.ts';
import { openSsh } from '../support/profile-bench.ts';
import { type SshdOptions, startSshd, type TestSshd } from '../support/sshd.ts';

let box: Awaited<ReturnType<typeof sandbox>>;
let server: BuiltServer;
let machines: TestSshd[];
beforeEach(async () => {
  box = await sandbox();
  machines = [];
  server = await BuiltServer.start(box);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  for (const machine of machines) await machine[Symbol.asyncDispose]();
  await box[Symbol.asyncDispose]();
});

async function machine(options?: SshdOptions): Promise<TestSshd> {
  const started = await startSshd(options);
  machines.push(started);
  return started;
}
const save = async ({ endpoint, keyPath }: TestSshd): Promise<void> => {
  const sshCommand = `ssh -p ${endpoint.port} -i ${keyPath} ${endpoint.user}@${endpoint.host}`;
  await server.call('ssh_profile', { action: 'save', profileId: 'lab', sshCommand });
};
const podOf = (answer: Record<string, unknown>) =>
  answer['pod'] as Record<string, unknown> & { dangerClocks: string[] };

describe('a rented machine reached by plain SSH, through the built server [MO-12] [VO-08]', () => {
  it('AutoDL is recognised unasked: the way to it [PR-14], its clocks, its proxy hook, its verb; report repeats the verb', async () => {
    await save(await machine({ env: { AutoDLContainerUUID: 'c-0815' } }));
    const pod = podOf(await server.call('get_pod', { podId: 'ssh:lab' }));
    expect(pod).toMatchObject({
      mode: 'user_managed',
      status: 'ready',
      endpoint: { host: '127.0.0.1', port: machines[0]?.endpoint.port, route: 'direct' },
      advertised: {
        platform: 'AutoDL',
        verified: '2026-06',
        durableFolder: '/root/autodl-fs',
        proxyOn: 'source /etc/network_turbo',
      },
    });
    expect(pod.dangerClocks[0]).toContain('关机');
    expect(pod.dangerClocks.join('\n')).toContain('15 days');
    expect(JSON.stringify(pod)).not.toContain('c-0815');
    const report = await server.call('report', { podId: 'ssh:lab' });
    expect(textAt(report, 'nextStep')).toContain('theirs to stop. On AutoDL "关机');
    const { profiles } = await server.call('ssh_profile', { action: 'show', profileId: 'lab' });
    expect(profiles).toMatchObject([{ platform: 'autodl' }]);
  });

  it('a job whose results lie where a stop wipes them is told so at its start [VO-05]', async () => {
    await save(await machine({ env: { RUNPOD_POD_ID: 'abc' } }));
    const job = { profileId: 'lab', command: 'echo x > out.bin', artifacts: ['out.bin'] };
    const started = await server.tool('job_start', job);
    expect(started.isError).toBe(false);
    expect(`${started.text}${JSON.stringify(started.data)}`).toContain(
      'a stop of the machine wipes',
    );
    await finished(server, textAt(started.data, 'jobId'));
    const silent = await server.tool('job_start', { profileId: 'lab', command: 'true' });
    expect(silent.text).not.toContain('wipes');
    await finished(server, textAt(silent.data, 'jobId'));
  });

  it('any other machine is told that nobody ends its bill', async () => {
    await save(await machine());
    const pod = podOf(await server.call('get_pod', { podId: 'ssh:lab' }));
    expect(pod).toMatchObject({ advertised: { platform: 'Own machine' } });
    expect(pod.dangerClocks[0]).toContain('only its owner');
  });
});

describe('the ssh configuration of the person, through the built server', () => {
  it('a pasted alias behind a jump host: first command, files and a job, with nothing named but the alias', async () => {
    const [jump, inner] = [await machine(), await machine({ env: { WHERE: 'inside' } })];
    const hostOf = (name: string, { endpoint, keyPath }: TestSshd, more = ''): string =>
      `Host ${name}\n HostName 127.0.0.1\n Port ${endpoint.port}\n User ${endpoint.user}\n IdentityFile ${keyPath}\n${more}`;
    await mkdir(path.join(box.home, '.ssh'), { mode: 0o700 });
    await writeFile(
      path.join(box.home, '.ssh/config'),
      `${hostOf('bastion', jump)}${hostOf('trainer', inner, ' ProxyJump bastion\n')}`,
      { mode: 0o600 },
    );
    await server.call('ssh_profile', {
      action: 'save',
      profileId: 'lab',
      sshCommand: 'ssh trainer',
    });
    const sessionId = textAt(await server.call('session_open', { profileId: 'lab' }), 'sessionId');
    const written = await server.call('session_write', {
      sessionId,
      input: 'echo "I am $WHERE"',
      waitSeconds: 20,
    });
    expect(textAt(written, 'output')).toContain('I am inside');
    await mkdir(path.join(box.workspace, 'project'));
    await writeFile(path.join(box.workspace, 'project/data.txt'), 'payload\n');
    const synced = await server.call('sync_files', {
      profileId: 'lab',
      localPath: 'project',
      remotePath: 'project',
    });
    expect(synced).toMatchObject({ verified: true });
    const started = await server.call('job_start', {
      profileId: 'lab',
      command: 'cat data.txt; echo $WHERE',
      cwd: 'project',
    });
    const done = await finished(server, textAt(started, 'jobId'));
    expect(done).toMatchObject({ status: 'completed', exitCode: 0 });
    expect(jump.log()).not.toContain('Starting session');
    expect(server.noise).toEqual([]);
  });

  it.each(['plain', 'hashed'])(
    'a changed host key stops before any login: known_hosts, %s',
    async (kind) => {
      const target = await machine();
      const stranger = await machine();
      const hostKey = path.join(stranger.folder, 'host');
      const stdout = await openSsh('ssh-keygen', ['-y', '-f', hostKey]);
      await mkdir(path.join(box.home, '.ssh'), { mode: 0o700 });
      const known = path.join(box.home, '.ssh/known_hosts');
      await writeFile(known, `[127.0.0.1]:${target.endpoint.port} ${stdout}`);
      if (kind === 'hashed') await openSsh('ssh-keygen', ['-H', '-f', known]);
      expect(await readFile(known, 'utf8')).toMatch(kind === 'hashed' ? /^\|1\|/ : /^\[127/);
      await save(target);
      const refused = await server.tool('session_open', { profileId: 'lab' });
      expect(refused).toMatchObject({ isError: true, data: { code: 'host_key_changed' } });
      await expect.poll(() => target.log()).toMatch(/Connection (?:closed|reset)|Disconnected/);
      expect(target.log()).not.toContain('publickey');
    },
  );

  it('a key with a passphrase in a real agent, which the ssh configuration names; without it the exact way out', async () => {
    const target = await machine();
    const folder = await mkdtemp(path.join(tmpdir(), 'gl-agent-'));
    const key = path.join(folder, 'key');
    const socket = path.join(folder, 'agent.sock');
    const agent = spawn('/usr/bin/ssh-agent', ['-D', '-a', socket], { stdio: 'pipe' });
    try {
      await once(agent.stdout, 'data');
      await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', key]);
      await copyFile(`${key}.pub`, path.join(target.folder, 'authorized_keys'));
      const { host, port, user } = target.endpoint;
      const sshCommand = `ssh -p ${port} -i ${key} ${user}@${host}`;
      await server.call('ssh_profile', { action: 'save', profileId: 'lab', sshCommand });
      const locked = await server.tool('session_open', { profileId: 'lab' });
      expect(locked).toMatchObject({ isError: true, data: { code: 'key_unusable' } });
      expect(textAt(locked.data, 'hint')).toContain(`ssh-add ${key}`);

      const ask = path.join(folder, 'ask');
      await writeFile(ask, "#!/bin/sh\necho 'open sesame'\n", { mode: 0o700 });
      const env = { SSH_AUTH_SOCK: socket, SSH_ASKPASS: ask, SSH_ASKPASS_REQUIRE: 'force' };
      await openSsh('ssh-add', [key], { ...env, DISPLAY: ':0' });
      await mkdir(path.join(box.home, '.ssh'), { mode: 0o700 });
      await writeFile(path.join(box.home, '.ssh/config'), `Host *\n IdentityAgent ${socket}\n`);
      const opened = await server.call('session_open', { profileId: 'lab' });
      expect(textAt(opened, 'sessionId')).toMatch(/^ses_/);
    } finally {
      agent.kill();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
