import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseJump, wayTo } from '../../../../src/providers/ssh/jumps.ts';
import {
  defaultSshConfig,
  parseSshConfig,
  readSshConfig,
} from '../../../../src/providers/ssh/ssh-config.ts';
import { firstUserOf } from '../../../../src/providers/ssh/users.ts';

const { signal } = new AbortController();

describe('what ssh makes of a destination', () => {
  let folder: string;
  let configFile: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'gl-config-'));
    configFile = path.join(folder, 'config');
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));
  const read = async (config: string, name: string, user?: string, port?: number) => {
    await writeFile(configFile, config, { mode: 0o600 });
    const found = await readSshConfig({ name, user, port }, { signal, configFile });
    return found ?? expect.fail('there is no ssh program');
  };

  it('asks the real ssh: Include, Match, patterns and the first value that counts', async () => {
    await writeFile(path.join(folder, 'more'), 'Host gpu-*\n HostName %h.example\n User train\n');
    const config = [
      `Include ${folder}/more`,
      'Match host *.example',
      ' Port 4022',
      ' IdentityFile ~/.ssh/special_%r',
      ' IdentityFile "/keys/with space"',
      ' IdentitiesOnly yes',
      'Host *',
      ' User other',
      '',
    ].join('\n');
    expect(await read(config, 'gpu-7')).toMatchObject({
      name: 'gpu-7',
      host: 'gpu-7.example',
      port: 4022,
      user: 'train',
      identitiesOnly: true,
      keyPaths: [path.join(homedir(), '.ssh/special_train'), '/keys/with space'],
    });
  });

  it('user and port of the caller beat the file [PR-05]', async () => {
    const config = 'Host box\n HostName 10.0.0.1\n Port 1\n User a\n';
    expect(await read(config, 'box', 'b', 2)).toMatchObject({ user: 'b', port: 2 });
  });

  it('without IdentityFile the usual keys are looked for, ed25519 first [KE-03]', async () => {
    const { keyPaths, identitiesOnly } = await read('', 'box');
    expect(keyPaths).toEqual(
      ['id_ed25519', 'id_rsa', 'id_ecdsa'].map((key) => path.join(homedir(), '.ssh', key)),
    );
    expect(identitiesOnly).toBe(false);
    expect(defaultSshConfig({ name: 'box', port: 7 })).toMatchObject({
      host: 'box',
      port: 7,
      user: 'root',
      keyPaths,
    });
  });

  it('fills in the tokens of a ProxyCommand, and nothing else of it', async () => {
    const config =
      'Host box\n HostName 10.0.0.1\n User u\n ProxyCommand run %n %h %p %r 100%% "%h"\n';
    expect((await read(config, 'box')).proxyCommand).toBe('run box 10.0.0.1 22 u 100% "10.0.0.1"');
    expect((await read('Host box\n ProxyCommand none\n', 'box')).proxyCommand).toBeUndefined();
  });

  it('knows agents and names of host keys that the file gives', async () => {
    const config =
      'Host a\n IdentityAgent none\nHost b\n IdentityAgent /run/agent\n HostKeyAlias pod-1\n';
    expect((await read(config, 'a')).agentSocket).toBe('');
    expect(await read(config, 'b')).toMatchObject({
      agentSocket: '/run/agent',
      hostKeyAlias: 'pod-1',
    });
    expect((await read(config, 'c')).agentSocket).toBeUndefined();
  });

  it('a file that ssh cannot read is unsupported, its complaint foreign text', async () => {
    await expect(read('Nonsense yes\n', 'box')).rejects.toMatchObject({
      code: 'unsupported',
      foreignText: expect.stringContaining('onsense') as string,
    });
    await expect(read('Host x\n ProxyUseFdpass yes\n', 'x')).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('ProxyUseFdpass') as string,
    });
  });

  it('the first of a list of jumps is reached its own way, the others through it', async () => {
    const config = [
      'Host far',
      ' ProxyJump one,u@two:2022',
      'Host one',
      ' HostName 10.0.0.1',
      ' ProxyJump zero',
      'Host two',
      ' HostName 10.0.0.2',
      ' ProxyJump ignored',
      'Host zero',
      ' HostName 10.0.0.9',
      ' ProxyCommand tunnel %h',
      '',
    ].join('\n');
    const way = await wayTo(await read(config, 'far'), { signal, configFile });
    expect(way.via?.map(({ host, port, user }) => [host, port, user])).toEqual([
      ['10.0.0.9', 22, expect.any(String)],
      ['10.0.0.1', 22, expect.any(String)],
      ['10.0.0.2', 2022, 'u'],
    ]);
    expect(way.proxyCommand).toBe('tunnel 10.0.0.9');
  });
});

it('an answer without host or user is refused, not guessed [MO-04]', () => {
  expect(() => parseSshConfig('x', 'port 22\nuser a\n')).toThrow('cannot be resolved');
  expect(() => parseSshConfig('x', 'hostname h\nport 22\n')).toThrow('cannot be resolved');
});

it.each([
  ['bastion', { name: 'bastion', user: undefined }],
  ['me@bastion', { name: 'bastion', user: 'me' }],
  ['me@bastion:2022', { name: 'bastion', user: 'me', port: 2022 }],
  ['[fe80::1]:22', { name: 'fe80::1', user: undefined, port: 22 }],
  ['ssh://me@bastion:22/', { name: 'bastion', user: 'me', port: 22 }],
])('the jump %s is read', (text, jump) => {
  expect(parseJump(text)).toEqual(jump);
});

it.each(['', '-oProxyCommand=x', 'a@b@c', 'host:port', 'a:1:2', '@host'])(
  'the jump %j is refused',
  (text) => {
    expect(() => parseJump(text)).toThrow('cannot be read');
  },
);

it('a login that the configuration names is not second-guessed; else the platform, else root and one other [KE-09]', () => {
  const own = userInfo().username;
  expect(firstUserOf('chosen-by-config', 'h')).toEqual({ user: 'chosen-by-config' });
  expect(firstUserOf(own, '10.0.0.1')).toEqual({ user: 'root', secondUser: 'ubuntu' });
  expect(firstUserOf(own, 'connect.bjb1.seetacloud.com')).toEqual({ user: 'root' });
  expect(firstUserOf(own, 'm.paperspace.com')).toEqual({ user: 'paperspace', secondUser: 'root' });
});
