import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { profileIdSchema } from '../../src/core/ids.ts';
import { openProfileBench, openSsh, type ProfileBench } from '../support/profile-bench.ts';
import type { TestSshd } from '../support/sshd.ts';

const { signal } = new AbortController();
const LAB = profileIdSchema.parse('lab');
let bench: ProfileBench;
let sshd: TestSshd;
beforeEach(async () => {
  bench = await openProfileBench();
  sshd = await bench.sshd();
});
afterEach(async () => bench[Symbol.asyncDispose]());

/** What sshd writes at the end of a connection that never logged in. */
const HUNG_UP = /Connection (?:closed|reset)|Disconnected|Received disconnect/;
const address = () => ({ host: '127.0.0.1', port: sshd.endpoint.port, user: sshd.endpoint.user });
/** A new key pair of OpenSSH's own making, let in by the server. */
async function newKey(name: string, passphrase = '', type = 'ed25519'): Promise<string> {
  const file = path.join(bench.folder, name);
  await openSsh('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', name, '-f', file]);
  const line = await readFile(`${file}.pub`, 'utf8');
  const allowed = path.join(sshd.folder, 'authorized_keys');
  await writeFile(allowed, `${await readFile(allowed, 'utf8')}${line}`, { mode: 0o600 });
  return file;
}
/** ssh-add asks for a passphrase through a program. */
async function addToAgent(agent: string, file: string, passphrase: string): Promise<void> {
  const ask = path.join(bench.folder, 'ask');
  await writeFile(ask, `#!/bin/sh\necho '${passphrase}'\n`, { mode: 0o700 });
  await openSsh('ssh-add', [file], {
    SSH_AUTH_SOCK: agent,
    SSH_ASKPASS: ask,
    SSH_ASKPASS_REQUIRE: 'force',
    DISPLAY: ':0',
  });
}
const offers = (): number => sshd.log().match(/Failed publickey/g)?.length ?? 0;
const accepted = (): string => /Accepted publickey.*/.exec(sshd.log())?.[0] ?? '';
const printOf = async (file: string): Promise<string> =>
  (await openSsh('ssh-keygen', ['-lf', `${file}.pub`])).split(' ')[1] ?? '';

describe('the room that work needs', () => {
  it('is looked at where work goes: a full work folder is no ready machine', async () => {
    const work = path.join(bench.folder, "it's work");
    await mkdir(work);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', work]);
    try {
      await bench.save({ ...address(), keyPath: await newKey('plain') });
      expect(await bench.test()).toMatchObject({ status: 'ready' });
      await bench.save({ workFolder: work });
      expect(await bench.test()).toMatchObject({
        status: 'warnings',
        details: [
          expect.stringContaining('Logged in as') as string,
          expect.stringMatching(/^The disk of the work folder has \d MiB free/) as string,
        ],
      });
    } finally {
      execFileSync('umount', [work]);
    }
  });
});

describe('keys of the SSH agent', () => {
  it('a profile without a key logs in with what the real agent holds', async () => {
    const socket = await bench.agent();
    const key = await newKey('held');
    await addToAgent(socket, key, '');
    await rm(key);
    await bench.save(address());
    expect(await bench.test()).toMatchObject({ status: 'ready' });
    expect(await bench.run('echo in')).toBe('in\n');
    expect(accepted()).toContain(await printOf(key));
  });

  it.each(['ed25519', 'rsa', 'ecdsa'])(
    'a %s key with a passphrase is signed for by the agent, and only that key is offered [KE-07] [D-036]',
    async (type) => {
      const socket = await bench.agent();
      const other = await newKey('other');
      await addToAgent(socket, other, '');
      const key = await newKey('locked', 'open sesame', type);
      await addToAgent(socket, key, 'open sesame');
      await bench.save({ ...address(), keyPath: key });
      expect(await bench.run('echo in')).toBe('in\n');
      expect(accepted()).toContain(await printOf(key));
    },
  );

  it('the public half is found inside the key file, too', async () => {
    const socket = await bench.agent();
    const key = await newKey('locked', 'open sesame');
    await addToAgent(socket, key, 'open sesame');
    await rm(`${key}.pub`);
    await bench.save({ ...address(), keyPath: key });
    expect(await bench.run('echo in')).toBe('in\n');
  });

  it('a passphrase without an agent names the very command that helps', async () => {
    const key = await newKey('locked', 'open sesame');
    await bench.save({ ...address(), keyPath: key });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'key_unusable',
      message: expect.stringContaining('agent does not answer') as string,
      hint: expect.stringContaining(`ssh-add ${key}`) as string,
    });
    const socket = await bench.agent();
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'key_unusable',
      hint: `Ask the user to run: ssh-add ${key}`,
    });
    const tested = await bench.test();
    expect(tested.status).toBe('failed');
    expect(tested.details.join()).toContain(`ssh-add ${key}`);
    await addToAgent(socket, key, 'open sesame');
    expect(await bench.run('echo in')).toBe('in\n');
    expect(offers()).toBe(0);
  });

  it('an agent full of other keys does not use up what the server allows [D-036]', async () => {
    const socket = await bench.agent();
    for (let at = 0; at < 9; at += 1) {
      const stranger = path.join(bench.folder, `stranger${at}`);
      await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
      await addToAgent(socket, stranger, '');
    }
    const key = await newKey('mine');
    await bench.configure([`Host 127.0.0.1`, ` IdentityFile ${key}`]);
    await bench.save(address());
    expect(await bench.run('echo in')).toBe('in\n');
    expect(accepted()).toContain(await printOf(key));
    await bench.configure([`Host 127.0.0.1`, ` IdentityFile ${key}-not`]);
    await bench.drop();
    // Refused in the end, not hung up on.
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      message: 'The machine did not accept our key.',
    });
  });

  it('a server that allows fewer tries is told to need the one right key [D-036]', async () => {
    const strict = await bench.sshd({ config: ['MaxAuthTries 2'] });
    const agent = await bench.agent();
    for (let at = 0; at < 4; at += 1) {
      const stranger = path.join(bench.folder, `stranger${at}`);
      await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
      await addToAgent(agent, stranger, '');
    }
    await bench.configure(['Host 127.0.0.1', ` IdentityFile ${bench.folder}/none`]);
    await bench.save({ ...address(), port: strict.endpoint.port });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining('IdentitiesOnly') as string,
    });
    await expect.poll(() => strict.log()).toContain('Too many authentication failures');
  });

  it('IdentitiesOnly keeps the other keys of the agent at home', async () => {
    const socket = await bench.agent();
    await addToAgent(socket, await newKey('welcome'), '');
    await bench.configure([
      'Host 127.0.0.1',
      ' IdentitiesOnly yes',
      ` IdentityFile ${bench.folder}/none`,
    ]);
    await bench.save(address());
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'config_missing' });
    await bench.configure([
      'Host 127.0.0.1',
      ' IdentityAgent none',
      ` IdentityFile ${bench.folder}/none`,
    ]);
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'config_missing' });
    await bench.configure(['Host 127.0.0.1', ` IdentityFile ${bench.folder}/none`]);
    expect(await bench.run('echo in')).toBe('in\n');
  });

  it('no agent at all is said, too', async () => {
    await using without = await openProfileBench({ noAgent: true });
    const key = path.join(without.folder, 'locked');
    await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', key]);
    await without.save({ ...address(), keyPath: key });
    await expect(without.run('true')).rejects.toMatchObject({
      code: 'key_unusable',
      message: expect.stringContaining('there is no SSH agent') as string,
    });
  });

  it('an agent that is gone is said to be silent', async () => {
    await bench.configure([
      'Host 127.0.0.1',
      ` IdentityFile ${bench.folder}/a`,
      ` IdentityFile ${bench.folder}/b`,
    ]);
    await bench.save(address());
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      message: expect.stringContaining('does not answer') as string,
    });
  });
});

describe('key files', () => {
  it('several IdentityFile lines are tried in order', async () => {
    const stranger = path.join(bench.folder, 'stranger');
    await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    const key = await newKey('second');
    await bench.configure([
      'Host box',
      ' HostName 127.0.0.1',
      ` Port ${sshd.endpoint.port}`,
      ` User ${sshd.endpoint.user}`,
      ` IdentityFile ${bench.folder}/absent`,
      ` IdentityFile ${stranger}`,
      ` IdentityFile ${key}`,
    ]);
    await bench.save({ sshCommand: 'ssh box' });
    expect(await bench.run('echo in')).toBe('in\n');
    expect(accepted()).toContain(await printOf(key));
  });

  it('a key that others can read is refused at save and at use, with the command that mends it [KE-08] [D-039]', async () => {
    const key = await newKey('open');
    await chmod(key, 0o644);
    await expect(bench.save({ ...address(), keyPath: key })).rejects.toMatchObject({
      code: 'key_unusable',
      hint: `Ask the user to run: chmod 600 ${key}`,
    });
    await chmod(key, 0o600);
    await bench.save({ ...address(), keyPath: key });
    await chmod(key, 0o640);
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'key_unusable',
      hint: `Ask the user to run: chmod 600 ${key}`,
    });
    expect((await bench.test()).details.join()).toContain(`chmod 600 ${key}`);
    await chmod(key, 0o600);
    expect(await bench.run('echo in')).toBe('in\n');
  });

  it('a configured key that could not be offered is named when the others were refused', async () => {
    const locked = await newKey('locked', 'open sesame');
    const stranger = path.join(bench.folder, 'stranger');
    await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    await bench.configure([
      'Host 127.0.0.1',
      ` IdentityFile ${stranger}`,
      ` IdentityFile ${locked}`,
    ]);
    await bench.save(address());
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining(`ssh-add ${locked}`) as string,
    });
  });

  it('a file that is no key is key_unusable', async () => {
    const key = path.join(bench.folder, 'text');
    await writeFile(key, 'hello\n', { mode: 0o600 });
    await bench.save({ ...address(), keyPath: key });
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'key_unusable' });
  });
});

describe('the login', () => {
  const stranger = 'nobody-of-that-name';
  it('a user that does not exist is refused, and nobody else is tried [PR-15] [KE-09] [D-030]', async () => {
    await bench.save({ ...address(), user: stranger, keyPath: sshd.keyPath });
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'ssh_refused' });
    await expect.poll(() => sshd.log()).toMatch(HUNG_UP);
    const users = new Set([...sshd.log().matchAll(/Invalid user (\S+)/g)].map(([, user]) => user));
    expect([...users]).toEqual([stranger]);
    expect(sshd.log()).not.toContain('Accepted');
  });

  it('where nobody named one: root, then one other, and no third; what works is kept [KE-09] [PR-08]', async () => {
    const { host, port } = address();
    await writeFile(path.join(sshd.folder, 'authorized_keys'), '', { mode: 0o600 });
    await bench.save({ host, port, keyPath: sshd.keyPath });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining('Neither "root" nor "ubuntu"') as string,
    });
    await expect.poll(() => sshd.log()).toContain('ubuntu');
    const tried = [
      ...sshd.log().matchAll(/publickey for (?:invalid user )?(\S+)|Invalid user (\S+)/g),
    ];
    expect(new Set(tried.map(([, one, other]) => one ?? other))).toEqual(
      new Set(['root', 'ubuntu']),
    );
  });
});

describe('known_hosts of the person', () => {
  const hostKey = async (): Promise<string> =>
    (await openSsh('ssh-keygen', ['-y', '-f', path.join(sshd.folder, 'host')])).trim();
  const otherKey = async (): Promise<string> =>
    (await readFile(`${await newKey('elsewhere')}.pub`, 'utf8')).trim();
  const name = (): string => `[127.0.0.1]:${sshd.endpoint.port}`;
  /** As ssh itself would hash the file. */
  async function hashed(line: string): Promise<string> {
    const file = path.join(bench.folder, 'to-hash');
    await writeFile(file, `${line}\n`);
    await openSsh('ssh-keygen', ['-q', '-H', '-f', file]);
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(/^\|1\|/);
    return text;
  }
  const trial = async (knownHosts: string): Promise<string> => {
    await bench.configure([], knownHosts);
    await bench.drop();
    return bench.run('echo in');
  };
  beforeEach(async () => bench.save({ ...address(), keyPath: sshd.keyPath }));

  it('a hashed entry with the right key lets in, and the machine was known before [SA-01]', async () => {
    expect(await trial(await hashed(`${name()} ${await hostKey()}`))).toBe('in\n');
    expect(await bench.store.log.list(bench.podId)).toEqual([
      expect.objectContaining({ kind: 'host_key_known' }),
    ]);
  });

  it('a hashed entry with another key stops before any login, and nothing is filed or written [D-034]', async () => {
    const text = await hashed(`${name()} ${await otherKey()}`);
    await expect(trial(text)).rejects.toMatchObject({
      code: 'host_key_changed',
      hint: expect.stringContaining(`ssh-keygen -R '${name()}'`) as string,
    });
    await expect.poll(() => sshd.log()).toMatch(HUNG_UP);
    expect(sshd.log()).not.toContain('publickey');
    expect(await bench.store.hostKeys.list()).toEqual([]);
    expect(await readFile(path.join(bench.folder, 'known_hosts'), 'utf8')).toBe(text);
  });

  it('a plain entry counts, of several keys any, a revoked one never', async () => {
    const [right, wrong] = [await hostKey(), await otherKey()];
    await expect(trial(`${name()} ${wrong}\n`)).rejects.toMatchObject({ code: 'host_key_changed' });
    expect(await trial(`${name()} ${wrong}\nother,${name()} ${right} comment\n`)).toBe('in\n');
    await expect(trial(`@revoked ${name()} ${right}\n`)).rejects.toMatchObject({
      code: 'host_key_changed',
    });
    // An entry for another port says nothing about this one.
    expect(await trial(`[127.0.0.1]:1 ${wrong}\n`)).toBe('in\n');
    expect(await trial(`@cert-authority ${name()} ${wrong}\n`)).toBe('in\n');
  });

  it('an open session does not stand in the way of a machine that was made anew, which is trusted only after the profile was removed [D-034] [SA-01]', async () => {
    expect(await trial('')).toBe('in\n');
    const { sessions } = bench.ssh;
    const { sessionId } = await sessions.open(bench.podId, { reuse: false }, { signal });
    const before = await bench.store.hostKeys.list();
    await sshd.changeHostKey();
    await bench.drop();
    await expect(bench.profiles.remove(LAB)).rejects.toMatchObject({
      hint: expect.stringContaining('force') as string,
    });
    await expect(sessions.close(sessionId, { force: false }, { signal })).rejects.toMatchObject({
      code: 'host_key_changed',
    });
    expect(await sessions.close(sessionId, { force: true }, { signal })).toEqual({
      sessionId,
      state: 'lost',
      processesGone: 'unknown',
    });
    expect(await sessions.list()).toMatchObject([
      { state: 'lost', closedAt: expect.anything() as string },
    ]);
    // That was no way to trust the new key.
    expect(await bench.store.hostKeys.list()).toEqual(before);
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'host_key_changed' });
    await bench.profiles.remove(LAB);
    await bench.save({ ...address(), keyPath: sshd.keyPath });
    expect(await bench.run('echo new')).toBe('new\n');
  });

  it('a session on a machine of the user that answers no more is given up by force, and by force alone', async () => {
    expect(await trial('')).toBe('in\n');
    const { sessions } = bench.ssh;
    const { sessionId } = await sessions.open(bench.podId, { reuse: false }, { signal });
    await sshd.stop();
    await bench.drop();
    await expect(sessions.close(sessionId, { force: false }, { signal })).rejects.toMatchObject({
      code: 'ssh_unreachable',
    });
    expect(await sessions.list()).not.toMatchObject([{ state: 'lost' }]);
    expect(await sessions.close(sessionId, { force: true }, { signal })).toMatchObject({
      state: 'lost',
      processesGone: 'unknown',
    });
  });

  it('a machine that changed after it was saved is refused until the person accepts it anew [D-034]', async () => {
    expect(await trial('')).toBe('in\n');
    await sshd.changeHostKey();
    await expect(trial('')).rejects.toMatchObject({
      code: 'host_key_changed',
      hint: expect.stringContaining('remove the profile') as string,
    });
    expect(await bench.test()).toMatchObject({ status: 'failed' });
    expect(await trial(`${name()} ${await hostKey()}\n`)).toBe('in\n');
    // What the person accepted is our record from now on.
    expect(await trial('')).toBe('in\n');
  });

  it('nothing of ours is ever written to it', async () => {
    await bench.configure([], '# mine\n');
    const file = path.join(bench.folder, 'known_hosts');
    const before = await stat(file);
    expect(await bench.run('echo in')).toBe('in\n');
    expect(await readFile(file, 'utf8')).toBe('# mine\n');
    expect((await stat(file)).mtimeMs).toBe(before.mtimeMs);
  });
});

it('real ssh and the profile agree about the way in', async () => {
  const key = await newKey('agreed');
  await copyFile(key, `${key}-copy`);
  await bench.configure([
    'Match host agreed',
    ' HostName 127.0.0.1',
    ` Port ${sshd.endpoint.port}`,
    ` User ${os.userInfo().username}`,
    ` IdentityFile ${key}-copy`,
  ]);
  const config = path.join(bench.folder, 'config');
  const flags = ['-F', config, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no'];
  expect(await openSsh('ssh', [...flags, 'agreed', 'echo same'])).toBe('same\n');
  await bench.save({ sshCommand: 'ssh agreed' });
  expect(await bench.run('echo same')).toBe('same\n');
});
