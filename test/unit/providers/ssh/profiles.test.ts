import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podIdSchema, profileIdSchema } from '../../../../src/core/ids.ts';
import { createProfiles } from '../../../../src/providers/ssh/profiles.ts';
import { createMemoryStore } from '../../../../src/store/memory.ts';
import { ManualClock } from '../../../support/clock.ts';
import { createShellRemote } from '../../../support/shell-remote.ts';

const { signal } = new AbortController();
const id = profileIdSchema.parse('lab');
const other = profileIdSchema.parse('other');
const podId = podIdSchema.parse('ssh:lab');

describe('profiles', () => {
  let folder: string;
  let key: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-profiles-'));
    key = path.join(folder, 'key');
    await writeFile(key, 'x', { mode: 0o600 });
  });
  afterEach(async () => rm(folder, { recursive: true, force: true }));

  function open(extra: Partial<Parameters<typeof createProfiles>[0]> = {}) {
    const store = createMemoryStore();
    const remote = createShellRemote(path.join(folder, 'home'));
    const clock = new ManualClock();
    // Nothing of the person who runs the tests.
    const sshConfigFile = '/dev/null';
    const deps = { store, remote: () => remote, clock, home: folder, sshConfigFile, ...extra };
    return { store, remote, profiles: createProfiles(deps) };
  }

  it('saves, lists, shows and reaches a machine [PR-01, PR-07]', async () => {
    const { profiles } = open();
    const saved = await profiles.save(id, { host: 'h', port: 22, keyPath: key }, { signal });
    expect(saved).toEqual({
      profileId: 'lab',
      host: 'h',
      port: 22,
      keyPath: key,
      isDefault: false,
    });
    expect(await profiles.list()).toEqual([saved]);
    expect(await profiles.get(id)).toEqual(saved);
    expect(await profiles.endpoint(podId, { signal })).toEqual({
      podId,
      host: 'h',
      port: 22,
      user: 'root',
      secondUser: 'ubuntu',
      route: 'direct',
      keyPath: key,
    });
  });

  it.each([
    [{}, 'lacks: host and port'],
    [{ host: 'h' }, 'lacks: port'],
    [{ sshCommand: 'ssh root@h' }, 'lacks: port'],
    [{ host: '-oProxyCommand=x', port: 1 }, 'host is not'],
    [{ host: 'h', port: 1, user: '-x y' }, 'user is not'],
    [{ host: 'h', port: 1, workFolder: 'rel' }, 'absolute'],
    [{ podId: 'ssh:me' }, 'cloud pod'],
    [{ sshCommand: 'ssh -- -x' }, 'usable alias'],
  ])('refuses %j and names what is wrong [PR-02, MO-04]', async (fields, why) => {
    const { profiles } = open();
    await expect(profiles.save(id, fields, { signal })).rejects.toThrow(why);
    expect(await profiles.list()).toEqual([]);
  });

  it('refuses a key in place of its path, and a key that is not there [KE-08]', async () => {
    const { profiles } = open();
    const address = { host: 'h', port: 1 };
    const pasted = { ...address, keyPath: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc' };
    await expect(profiles.save(id, pasted, { signal })).rejects.toMatchObject({
      code: 'secret_refused',
    });
    const missing = { ...address, keyPath: path.join(folder, 'none') };
    await expect(profiles.save(id, missing, { signal })).rejects.toMatchObject({
      code: 'path_missing',
    });
  });

  it('explicit fields beat the pasted command [PR-05]', async () => {
    const { profiles } = open();
    const fields = { sshCommand: 'ssh -p 1 a@h1', host: 'h2', port: 2, user: 'b' };
    expect(await profiles.save(id, fields, { signal })).toMatchObject({
      host: 'h2',
      port: 2,
      user: 'b',
    });
    const overAlias = await profiles.save(
      other,
      { sshCommand: 'ssh box', host: 'h', port: 3 },
      { signal },
    );
    expect(overAlias.alias).toBeUndefined();
  });

  it('a new destination leaves nothing of the old route: alias, port, user, host key, validation [PR-06]', async () => {
    const sshConfigFile = path.join(folder, 'config');
    await writeFile(sshConfigFile, 'Host box\n HostName 203.0.113.5\n');
    const { profiles, store } = open({ sshConfigFile });
    await profiles.save(id, { sshCommand: `ssh -i ${key} box`, workFolder: '/w' }, { signal });
    await profiles.save(id, { host: 'h1', port: 1, user: 'a' }, { signal });
    await profiles.test(id, { signal });
    await store.hostKeys.put(podId, { podId, key: 'AAAA', firstSeenAt: 'then' });
    expect((await profiles.get(id)).validatedAt).toBeDefined();
    const same = await profiles.save(id, { workFolder: '/w2' }, { signal });
    expect(same.validatedAt).toBeDefined();
    expect(await store.hostKeys.get(podId)).toBeDefined();
    const moved = await profiles.save(id, { host: 'h2', port: 2 }, { signal });
    expect(moved).toEqual({
      profileId: 'lab',
      host: 'h2',
      port: 2,
      keyPath: key,
      workFolder: '/w2',
      isDefault: false,
    });
    expect(await store.hostKeys.get(podId)).toBeUndefined();
    await expect(profiles.save(id, { host: 'h3' }, { signal })).rejects.toThrow('lacks: port');
  });

  it('there is one default; it goes with its profile [PR-07]', async () => {
    const { profiles } = open();
    await profiles.save(id, { host: 'h', port: 1, setDefault: true }, { signal });
    await profiles.save(other, { host: 'h', port: 1, setDefault: true }, { signal });
    const defaults = async () => (await profiles.list()).filter((profile) => profile.isDefault);
    expect((await defaults()).map(({ profileId }) => profileId)).toEqual(['other']);
    await profiles.setDefault(id);
    expect((await defaults()).map(({ profileId }) => profileId)).toEqual(['lab']);
    await profiles.remove(id);
    expect(await defaults()).toEqual([]);
    await expect(profiles.test(undefined, { signal })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    for (const call of [profiles.get(id), profiles.remove(id), profiles.setDefault(id)])
      await expect(call).rejects.toMatchObject({ code: 'not_found' });
  });

  it('each project has a default of its own, and another one is left alone [PR-12]', async () => {
    const { profiles, store } = open({ project: '/work/a' });
    const remote = createShellRemote(path.join(folder, 'home'));
    const deps = { store, remote: () => remote, clock: new ManualClock(), home: folder };
    const elsewhere = createProfiles({ ...deps, project: '/work/b' });
    const defaultsOf = async (some: typeof elsewhere) =>
      (await some.list()).filter(({ isDefault }) => isDefault).map(({ profileId }) => profileId);
    await profiles.save(id, { host: 'h', port: 1, setDefault: true }, { signal });
    await elsewhere.save(other, { host: 'h', port: 1, setDefault: true }, { signal });
    expect([await defaultsOf(profiles), await defaultsOf(elsewhere)]).toEqual([['lab'], ['other']]);
    await elsewhere.setDefault(id);
    expect([await defaultsOf(profiles), await defaultsOf(elsewhere)]).toEqual([['lab'], ['lab']]);
    await profiles.save(id, { setDefault: false }, { signal });
    expect([await defaultsOf(profiles), await defaultsOf(elsewhere)]).toEqual([[], ['lab']]);
    expect(await profiles.get(id)).not.toHaveProperty('defaultFor');
    // One that was saved before projects were told apart is everybody's, until somebody chooses.
    const old = profileIdSchema.parse('old');
    await store.profiles.put('old', { profileId: old, host: 'h', port: 1, isDefault: true });
    expect(await defaultsOf(profiles)).toEqual(['old']);
    await profiles.setDefault(id);
    expect(await defaultsOf(profiles)).toEqual(['lab']);
  });

  it('the way that was proven is a line in the log, once for each way [PR-16, PR-14]', async () => {
    const { profiles, store } = open();
    await profiles.save(id, { host: 'h', port: 1, user: 'u', keyPath: key }, { signal });
    await profiles.test(id, { signal });
    await profiles.test(id, { signal });
    await profiles.save(id, { port: 2 }, { signal });
    await profiles.test(id, { signal });
    expect((await store.log.list(podId)).map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      'endpoint: Logged in as u at h, port 1 (u@h:1, route direct).',
      'endpoint: Logged in as u at h, port 2 (u@h:2, route direct).',
    ]);
  });

  it('an old or a failed address is asked for again, one call each; a fresh one is not [PR-10]', async () => {
    let calls = 0;
    const cloud = podIdSchema.parse('runpod:abc');
    const { profiles, store } = open({
      cloudEndpoint: async () => {
        calls += 1;
        const host = '203.0.113.9';
        return Promise.resolve({ podId: cloud, host, port: calls, user: 'root', route: 'direct' });
      },
    });
    await profiles.save(id, { podId: cloud, host: 'old', port: 9, keyPath: key }, { signal });
    const portOf = async (moved?: true) =>
      (await profiles.endpoint(podId, { signal, ...(moved === undefined ? {} : { moved }) })).port;
    expect([await portOf(), calls]).toEqual([1, 1]);
    await profiles.test(id, { signal });
    calls = 10;
    expect([await portOf(), calls]).toEqual([2, 10]);
    expect([await portOf(true), calls]).toEqual([11, 11]);
    expect(await store.profiles.get('lab')).toMatchObject({ host: '203.0.113.9', port: 11 });
  });

  it('new terms mean a new connection: login, key and work folder; nothing else does', async () => {
    const { profiles, remote } = open();
    let dropped = 0;
    remote.disconnect = async () => {
      dropped += 1;
      return Promise.resolve();
    };
    await profiles.save(id, { host: 'h', port: 1, keyPath: key }, { signal });
    dropped = 0;
    await profiles.save(id, { interactiveAccess: 'enabled', setDefault: true }, { signal });
    expect(dropped).toBe(0);
    for (const fields of [{ user: 'u' }, { workFolder: '/w' }, { host: 'h2', port: 2 }]) {
      dropped = 0;
      await profiles.save(id, fields, { signal });
      expect(dropped, JSON.stringify(fields)).toBe(1);
    }
  });

  it('a test says ready or fails with the reason, an open key among them [PR-08, KE-08]', async () => {
    const { profiles, remote } = open();
    await profiles.save(id, { host: 'h', port: 1, keyPath: key }, { signal });
    expect(await profiles.test(id, { signal })).toMatchObject({
      status: 'ready',
      refreshed: false,
    });
    await chmod(key, 0o644);
    const open644 = await profiles.test(id, { signal });
    expect(open644.status).toBe('failed');
    expect(open644.details.join()).toContain(`chmod 600 ${key}`);
    await chmod(key, 0o600);
    const { validatedAt } = await profiles.get(id);
    remote.down = true;
    const failed = await profiles.test(id, { signal });
    expect(failed.status).toBe('failed');
    expect(failed.details.join()).toContain('ssh_unreachable');
    expect((await profiles.get(id)).validatedAt).toBe(validatedAt);
  });

  it('asks the cloud where its pod is now, and says when it could not [PR-09]', async () => {
    const cloud = podIdSchema.parse('runpod:abc');
    const address = {
      podId: cloud,
      host: '203.0.113.9',
      port: 9,
      user: 'root',
      route: 'direct',
    } as const;
    const { profiles } = open({ cloudEndpoint: async () => Promise.resolve(address) });
    await profiles.save(id, { podId: cloud, host: 'old', port: 1 }, { signal });
    const tested = await profiles.test(id, { signal });
    expect(tested).toMatchObject({ refreshed: true, profile: { host: '203.0.113.9', port: 9 } });
    const without = open();
    await without.profiles.save(id, { podId: cloud, host: 'old', port: 1 }, { signal });
    expect(await without.profiles.test(id, { signal })).toMatchObject({
      refreshed: false,
      status: 'warnings',
    });
  });

  it('an alias is what the ssh of this machine says it is', async () => {
    const sshConfigFile = path.join(folder, 'config');
    await writeFile(
      sshConfigFile,
      `Host box\n HostName 203.0.113.5\n Port 4022\n User train\n IdentityFile ${key}\nHost far\n ProxyJump box\n`,
    );
    const { profiles } = open({ sshConfigFile });
    await profiles.save(id, { sshCommand: 'ssh box' }, { signal });
    expect(await profiles.endpoint(podId, { signal })).toMatchObject({
      host: '203.0.113.5',
      port: 4022,
      user: 'train',
      keyPaths: [key],
    });
    await profiles.save(id, { sshCommand: 'ssh far' }, { signal });
    expect(await profiles.endpoint(podId, { signal })).toMatchObject({
      host: 'far',
      via: [{ host: '203.0.113.5', port: 4022, user: 'train', keyPaths: [key] }],
    });
  });

  it('an alias that nobody knows is not saved; one that only the configuration knows is [PR-04]', async () => {
    const sshConfigFile = path.join(folder, 'config');
    const through = 'Host behind.invalid\n ProxyCommand nc %h %p\n';
    await writeFile(sshConfigFile, `Host known.invalid\n HostName 127.0.0.1\n${through}`);
    const { profiles, store } = open({ sshConfigFile });
    await expect(
      profiles.save(id, { sshCommand: 'ssh typo.invalid' }, { signal }),
    ).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await store.profiles.list()).toEqual([]);
    for (const name of ['known.invalid', 'behind.invalid', '127.0.0.1', 'localhost'])
      expect(await profiles.save(id, { sshCommand: `ssh ${name}` }, { signal })).toMatchObject({
        alias: name,
      });
  });

  it('a shell-only gateway is known as one [PR-13]', async () => {
    const { profiles } = open();
    await profiles.save(id, { sshCommand: 'ssh abc-1@ssh.runpod.io -p 22' }, { signal });
    expect((await profiles.endpoint(podId, { signal })).route).toBe('proxy');
  });
});
