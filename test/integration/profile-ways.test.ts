import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openProfileBench, type ProfileBench } from '../support/profile-bench.ts';
import type { TestSshd } from '../support/sshd.ts';

let bench: ProfileBench;
beforeEach(async () => {
  bench = await openProfileBench();
});
afterEach(async () => bench[Symbol.asyncDispose]());

const hostLines = (name: string, { endpoint, keyPath }: TestSshd, more: readonly string[] = []) => [
  `Host ${name}`,
  ' HostName 127.0.0.1',
  ` Port ${endpoint.port}`,
  ` User ${endpoint.user}`,
  ` IdentityFile ${keyPath}`,
  ...more.map((line) => ` ${line}`),
];
/** Who the peer of this login is: "address port ..." as sshd tells it. */
const peerPort = async (): Promise<number> =>
  Number((await bench.run('echo $SSH_CONNECTION')).split(' ')[1]);

describe('a machine behind other machines [PR-01] [D-040]', () => {
  it('goes through a jump host, which carries the connection and sees no command', async () => {
    const [jump, target] = [await bench.sshd(), await bench.sshd({ env: { WHERE: 'inside' } })];
    await bench.configure([
      ...hostLines('bastion', jump),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    expect(await bench.test()).toMatchObject({
      status: 'ready',
      details: [expect.stringContaining(`through 127.0.0.1:${jump.endpoint.port}`) as string],
    });
    expect(await bench.run('echo $WHERE')).toBe('inside\n');
    expect(target.log()).toContain('Starting session');
    expect(jump.log()).toContain('Accepted publickey');
    expect(jump.log()).not.toContain('Starting session');
    // Each machine is pinned under a name of its own, and all are forgotten with the profile.
    const filed = await bench.store.hostKeys.list();
    expect(filed.map(({ fileUnder }) => fileUnder)).toEqual([
      `ssh:lab via 127.0.0.1:${jump.endpoint.port}`,
      undefined,
    ]);
    await bench.profiles.remove((await bench.profiles.list())[0]?.profileId as never);
    expect(await bench.store.hostKeys.list()).toEqual([]);
  });

  it('follows a chain of two, the first by its own configuration', async () => {
    const [first, second, target] = [
      await bench.sshd(),
      await bench.sshd(),
      await bench.sshd({ env: { WHERE: 'deep' } }),
    ];
    await bench.configure([
      ...hostLines('first', first),
      ...hostLines('second', second, ['ProxyJump first']),
      ...hostLines('deep', target, ['ProxyJump second']),
      ...hostLines('listed', target, ['ProxyJump first,second']),
    ]);
    await bench.save({ sshCommand: 'ssh deep' });
    expect(await bench.run('echo $WHERE')).toBe('deep\n');
    await bench.save({ sshCommand: 'ssh listed' });
    expect(await bench.run('echo $WHERE')).toBe('deep\n');
    const endpoint = await bench.profiles.get((await bench.profiles.list())[0]?.profileId as never);
    expect(endpoint.alias).toBe('listed');
  });

  it('a jump host that became another machine is refused before anything is offered to it [SA-01]', async () => {
    const [jump, target] = [await bench.sshd(), await bench.sshd()];
    await bench.configure([
      ...hostLines('bastion', jump),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    await bench.run('true');
    await jump.changeHostKey();
    await bench.drop();
    const before = jump.log().match(/publickey/g)?.length ?? 0;
    expect(before).toBeGreaterThan(0);
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'host_key_changed',
      message: expect.stringContaining('Jump host 1') as string,
    });
    await expect
      .poll(() => jump.log().split('\n').at(-1))
      .toMatch(/Connection (?:closed|reset)|Disconnected|Received disconnect/);
    expect(jump.log().match(/publickey/g)?.length).toBe(before);
  });

  it('the link ends with the jump host and comes back with it; the machine behind is never blamed', async () => {
    const [jump, target] = [await bench.sshd(), await bench.sshd()];
    await bench.configure([
      ...hostLines('bastion', jump),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    const before = await peerPort();
    expect(await jump.cut()).toBeGreaterThan(0);
    await expect
      .poll(async () => bench.run('echo up').catch(() => ''), { timeout: 15_000 })
      .toBe('up\n');
    expect(await peerPort()).not.toBe(before);
    await jump.stop();
    await bench.drop();
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'ssh_unreachable' });
  });

  it('a jump host that lets nobody in, and one that reaches nothing, are told apart', async () => {
    const [jump, target] = [await bench.sshd(), await bench.sshd()];
    await writeFile(path.join(jump.folder, 'authorized_keys'), '', { mode: 0o600 });
    await bench.configure([
      ...hostLines('bastion', jump),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      message: expect.stringContaining('Jump host 1') as string,
    });
    const open = await bench.sshd();
    await target.stop();
    await bench.configure([
      ...hostLines('bastion', open),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_unreachable',
      message: expect.stringContaining('jump host on the way cannot reach') as string,
    });
  });

  it('a circle of jump hosts is refused', async () => {
    await bench.configure(['Host a', ' ProxyJump b', 'Host b', ' ProxyJump a']);
    await bench.save({ sshCommand: 'ssh a' });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('circle') as string,
    });
  });
});

describe('a ProxyCommand of the ssh configuration', () => {
  it('carries the connection, gets host and port, and ends with it', async () => {
    const target = await bench.sshd({ env: { WHERE: 'proxied' } });
    const program = path.join(bench.folder, 'proxy.mjs');
    await writeFile(
      program,
      `import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
const [host, port, user] = process.argv.slice(2);
writeFileSync(${JSON.stringify(path.join(bench.folder, 'proxy.pid'))}, [process.pid, host, user].join(' '));
const socket = connect(Number(port), '127.0.0.1');
process.stdin.pipe(socket).pipe(process.stdout);
`,
    );
    const proxy = `ProxyCommand ${process.execPath} ${program} %h %p %r`;
    await bench.configure([
      'Host inner',
      ' HostName inner.example',
      ...hostLines('inner', target, [proxy]).slice(1),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    expect(await bench.test()).toMatchObject({
      status: 'ready',
      details: [expect.stringContaining('ProxyCommand') as string],
    });
    expect(await bench.run('echo $WHERE')).toBe('proxied\n');
    const [pid, host, user] = (await readFile(path.join(bench.folder, 'proxy.pid'), 'utf8')).split(
      ' ',
    );
    expect([host, user]).toEqual(['inner.example', target.endpoint.user]);
    await bench.drop();
    await expect.poll(() => isAlive(Number(pid)), { timeout: 10_000 }).toBe(false);
  });

  it('a jump host may be reached by one, too', async () => {
    const [jump, target] = [await bench.sshd(), await bench.sshd({ env: { WHERE: 'both' } })];
    const direct = `${process.execPath} -e "const s=require('net').connect(+process.argv[2],process.argv[1]);process.stdin.pipe(s).pipe(process.stdout)" %h %p`;
    await bench.configure([
      ...hostLines('bastion', jump, [`ProxyCommand ${direct}`]),
      ...hostLines('inner', target, ['ProxyJump bastion']),
    ]);
    await bench.save({ sshCommand: 'ssh inner' });
    expect(await bench.run('echo $WHERE')).toBe('both\n');
  });

  it('one that fails is told as such, its complaint as foreign text', async () => {
    await bench.configure(['Host inner', ' ProxyCommand sh -c "echo no tunnel to %h >&2; exit 3"']);
    const target = await bench.sshd();
    await bench.save({ sshCommand: `ssh -i ${target.keyPath} inner` });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_unreachable',
      foreignText: 'no tunnel to inner',
      hint: expect.not.stringContaining('no tunnel') as string,
    });
  });

  it('never comes from a pasted command', async () => {
    const target = await bench.sshd();
    const { host, port, user } = target.endpoint;
    const mark = path.join(bench.folder, 'ran');
    // Dropped in silence, another machine than the user's own ssh reaches would be the answer.
    for (const setting of [`ProxyCommand=touch ${mark}`, `LocalCommand=touch ${mark}`])
      await expect(
        bench.save({
          sshCommand: `ssh -o "${setting}" -i ${target.keyPath} -p ${port} ${user}@${host}`,
        }),
      ).rejects.toMatchObject({
        code: 'invalid_input',
        message: expect.stringContaining(`-o ${setting.split('=')[0] ?? ''} is not`) as string,
      });
    await bench.save({
      sshCommand: `ssh -o ConnectTimeout=5 -i ${target.keyPath} -p ${port} ${user}@${host}`,
    });
    expect(await bench.run('echo plain')).toBe('plain\n');
    await expect(readFile(mark)).rejects.toThrow();
    await expect(bench.save({ sshCommand: 'ssh -J bastion root@inner' })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('-J') as string,
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('a test of a machine that accepts and says nothing ends in time, and says so [PR-08]', async () => {
  await using impatient = await openProfileBench({ testLimitSeconds: 0.5 });
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const { keyPath } = await bench.sshd();
  await impatient.save({ host: '127.0.0.1', port, user: 'root', keyPath });
  const tested = await impatient.test();
  expect(tested).toMatchObject({
    status: 'failed',
    details: [expect.stringContaining('within 0.5 seconds') as string],
  });
  silent.close();
});

describe('a login that runs something else', () => {
  const saved = async (sshd: TestSshd): Promise<void> => {
    const { host, port, user } = sshd.endpoint;
    await bench.save({ host, port, user, keyPath: sshd.keyPath });
  };

  it('an image that turns root away names the login it wants [KE-09]', async () => {
    const said = 'Please login as the user "ubuntu" rather than the user "root".';
    await saved(await bench.sshd({ config: [`ForceCommand echo '${said}'; exit 142`] }));
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining('"ubuntu"') as string,
      foreignText: said,
    });
    expect((await bench.test()).status).toBe('failed');
  });

  it('a gateway that carries a terminal only is told as such, and never called ready [PR-13] [D-041]', async () => {
    const said = "Error: Your SSH client doesn't support PTY";
    await saved(await bench.sshd({ config: [`ForceCommand echo "${said}"; exit 1`] }));
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('exposed TCP') as string,
    });
    const tested = await bench.test();
    expect(tested.status).toBe('failed');
    expect(tested.profile.validatedAt).toBeUndefined();
  });

  it('words of a machine never become ours', async () => {
    const said = 'Please login as the user "x; rm -rf /" rather than root';
    await saved(await bench.sshd({ config: [`ForceCommand echo '${said}'`] }));
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'remote_failed',
      hint: expect.not.stringContaining('rm -rf') as string,
      foreignText: said,
    });
  });
});

it('a profile that forbids shells still takes commands and files, and says who may change that [PR-11]', async () => {
  const sshd = await bench.sshd();
  const { host, port, user } = sshd.endpoint;
  const fields = { host, port, user, keyPath: sshd.keyPath };
  await bench.save({ ...fields, interactiveAccess: 'disabled' });
  const open = async () =>
    bench.ssh.sessions.open(bench.podId, { reuse: true }, { signal: new AbortController().signal });
  await expect(open()).rejects.toMatchObject({
    code: 'not_owned',
    hint: expect.stringContaining('ask the user') as string,
  });
  expect(await bench.run('echo allowed')).toBe('allowed\n');
  await bench.save({ interactiveAccess: 'enabled' });
  expect((await open()).state).toBe('idle');
});
