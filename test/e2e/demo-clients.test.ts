import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRaw } from '../../src/cli/demo/raw-server.ts';
import { openWithSdk } from '../../src/cli/demo/sdk-server.ts';
import type { DemoServer, OpenServer } from '../../src/cli/demo/server.ts';

const CLIENTS: readonly (readonly [string, string, OpenServer])[] = [
  ['SDK client', '2026-07-28', openWithSdk],
  ['raw JSON-RPC', '2025-06-18', openRaw],
];
const { signal } = new AbortController();

let folder = '';
let server: DemoServer;
let log = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-client-'));
  log = '';
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const open = async (openServer: OpenServer): Promise<void> => {
  server = await openServer(
    {
      nodePath: process.execPath,
      mainPath: fileURLToPath(new URL('./fixtures/small-server.mjs', import.meta.url)),
      home: path.join(folder, 'home'),
      workspace: folder,
      version: '1.2.3',
      onLog: (text) => {
        log += text;
      },
    },
    { signal },
  );
};

describe.each(CLIENTS)('%s (%s)', (_name, protocol, openServer) => {
  it('agrees on the revision, lists and calls tools', async () => {
    await open(openServer);
    expect(server.protocol).toBe(protocol);
    expect(server.tools.map(({ name }) => name)).toContain('echo');
    expect(await server.call('echo', { text: 'hé\n"' }, { signal })).toEqual({
      isError: false,
      data: { summary: 'Fine.', value: 'hé\n"' },
    });
    expect(log).toContain('small server is up');
  });

  it('hands the server its own folders and no key of a cloud', async () => {
    process.env['VAST_API_KEY'] = 'secret-secret';
    try {
      await open(openServer);
    } finally {
      delete process.env['VAST_API_KEY'];
    }
    const value = async (name: string): Promise<unknown> =>
      (await server.call('environment', { name }, { signal })).data;
    expect(await value('GPU_LEASE_HOME')).toMatchObject({ value: path.join(folder, 'home') });
    expect(await value('GPU_LEASE_WORKSPACE')).toMatchObject({ value: folder });
    expect(await value('VAST_API_KEY')).toMatchObject({ value: '' });
  });

  it('hands on error results and progress', async () => {
    await open(openServer);
    expect(await server.call('fail', {}, { signal })).toEqual({
      isError: true,
      data: { code: 'not_found', message: 'No.', hint: 'Look.' },
    });
    const said: string[] = [];
    const progress = (message: string): void => {
      said.push(message);
    };
    expect(await server.call('slow', {}, { signal, progress })).toMatchObject({ isError: false });
    expect(said).toEqual(['half way']);
  });

  it('rejects the call in flight when the server is killed, and knows that it is dead', async () => {
    await open(openServer);
    const pending = server.call('hang', {}, { signal });
    const lost = expect(pending).rejects.toThrow();
    await server.kill();
    await lost;
    expect(() => process.kill(server.pid, 0)).toThrow();
    await server.kill();
  });

  it('gives a call up when told to, and the server lives on', async () => {
    await open(openServer);
    const stop = new AbortController();
    const pending = server.call('hang', {}, { signal: stop.signal });
    const lost = expect(pending).rejects.toThrow();
    stop.abort();
    await lost;
    expect(await server.call('echo', { text: 'x' }, { signal })).toMatchObject({ isError: false });
  });
});
