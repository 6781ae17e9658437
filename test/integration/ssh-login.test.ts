import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { openProfileBench, type ProfileBench } from '../support/profile-bench.ts';

/** A server that lets one login in, whatever accounts this machine has. */
async function serverFor(bench: ProfileBench, welcome: string) {
  const identity = createSshIdentity({ home: path.join(bench.folder, 'host') });
  await identity.publicKey({ signal: new AbortController().signal });
  const tried: string[] = [];
  let connections = 0;
  const open = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [await readFile(identity.keyPath)] }, (client) => {
    connections += 1;
    open.add(client);
    client.on('error', () => undefined);
    client.on('close', () => open.delete(client));
    client.on('authentication', (context) => {
      if (context.method !== 'publickey') {
        context.reject(['publickey']);
        return;
      }
      if (tried.at(-1) !== context.username) tried.push(context.username);
      if (context.username === welcome) context.accept();
      else context.reject(['publickey']);
    });
    client.on('session', (accept) => {
      accept().on('exec', (take, _refuse, { command }) => {
        const channel = take();
        const child = spawn('sh', ['-c', command], {
          env: { PATH: process.env['PATH'], LOGNAME: welcome, HOME: bench.folder },
        });
        channel.pipe(child.stdin);
        child.stdout.pipe(channel, { end: false });
        child.stderr.pipe(channel.stderr, { end: false });
        child.on('close', (code) => {
          channel.exit(code ?? 1);
          channel.end();
        });
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  bench.onClose(async () => {
    for (const client of open) client.end();
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
  });
  const { port } = server.address() as { port: number };
  return { port, tried, connections: () => connections };
}

let bench: ProfileBench;
let keyPath: string;
beforeEach(async () => {
  bench = await openProfileBench();
  const identity = createSshIdentity({ home: path.join(bench.folder, 'client') });
  await identity.publicKey({ signal: new AbortController().signal });
  ({ keyPath } = identity);
});
afterEach(async () => bench[Symbol.asyncDispose]());

describe('the login of a machine where nobody named one [KE-09]', () => {
  it('is root, then the one other; what worked is remembered and kept by a test', async () => {
    const server = await serverFor(bench, 'ubuntu');
    await bench.save({ host: '127.0.0.1', port: server.port, keyPath });
    expect(await bench.run('printf in')).toBe('in');
    expect(server.tried).toEqual(['root', 'ubuntu']);
    await bench.drop();
    expect(await bench.run('printf again')).toBe('again');
    expect(server.tried).toEqual(['root', 'ubuntu']);
    expect(server.connections()).toBe(3);
    expect(await bench.test()).toMatchObject({
      status: 'ready',
      profile: { user: 'ubuntu' },
      details: [expect.stringContaining('Logged in as ubuntu') as string],
    });
    expect(await bench.store.profiles.get('lab')).toMatchObject({ user: 'ubuntu' });
  });

  it('is never a second guess at a login that somebody chose [PR-15]', async () => {
    const server = await serverFor(bench, 'ubuntu');
    await bench.save({ host: '127.0.0.1', port: server.port, keyPath, user: 'root' });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining('ask the user for the login name') as string,
    });
    expect(server.tried).toEqual(['root']);
    expect(server.connections()).toBe(1);
  });

  it('is not a third one', async () => {
    const server = await serverFor(bench, 'somebody');
    await bench.save({ host: '127.0.0.1', port: server.port, keyPath });
    await expect(bench.run('true')).rejects.toMatchObject({
      code: 'ssh_refused',
      hint: expect.stringContaining('Neither "root" nor "ubuntu"') as string,
    });
    expect(server.tried).toEqual(['root', 'ubuntu']);
  });

  it('a machine that is down is no reason to try another login', async () => {
    const server = await serverFor(bench, 'ubuntu');
    await bench.save({ host: '127.0.0.1', port: 1, keyPath });
    await expect(bench.run('true')).rejects.toMatchObject({ code: 'ssh_unreachable' });
    expect(server.tried).toEqual([]);
  });
});
