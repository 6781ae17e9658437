import { request as httpRequest } from 'node:http';
import { StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { type HttpDeps, type HttpServing, serveHttp } from '../../src/mcp/http.ts';
import { createRateLimiter } from '../../src/mcp/rate-limit.ts';
import { POD, SESSION } from '../support/fake-services.ts';
import {
  connectPeer,
  PEERS,
  type Peer,
  type PeerOptions,
  serverFactory,
  type TestPeer,
  type TestServerOptions,
} from '../support/mcp-clients.ts';

const TOKEN = 'a-long-random-token-for-tests';
const serving: HttpServing[] = [];
afterEach(async () => {
  await Promise.all(serving.splice(0).map(async (each) => each.close()));
});

async function open(
  options: Partial<HttpDeps> = {},
  server: TestServerOptions = {},
): Promise<HttpServing> {
  const opened = await serveHttp({
    createServer: serverFactory(server),
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
    token: TOKEN,
    allowedHosts: [],
    onError: () => undefined,
    ...options,
  });
  serving.push(opened);
  return opened;
}
async function peerOn(url: string, peer: Peer, options: PeerOptions = {}): Promise<TestPeer> {
  const requestInit = { headers: { authorization: `Bearer ${TOKEN}` } };
  const transport =
    peer === 'v1'
      ? new OldTransport(new URL(url), { requestInit })
      : new ModernTransport(new URL(url), { requestInit });
  return connectPeer(peer, transport, options);
}

interface Raw {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}
/** Bare HTTP, since fetch sets Host and Origin itself. */
async function raw(
  url: string,
  {
    method = 'POST',
    headers = {},
    body = '',
  }: { method?: string; headers?: Record<string, string>; body?: string },
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        });
      });
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}
const GOOD = {
  authorization: `Bearer ${TOKEN}`,
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
};
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'raw', version: '1' },
  },
});

describe('both eras in one process', () => {
  it('serves every kind of client at the same time', async () => {
    const { url } = await open();
    const peers = await Promise.all(PEERS.map(async (peer) => peerOn(url, peer)));
    for (const peer of peers) {
      expect((await peer.tools()).length).toBe(20);
      const answer = await peer.call('get_pod', { podId: POD });
      expect(answer.data['pod']).toMatchObject({ podId: POD });
    }
    for (const peer of peers) await peer[Symbol.asyncDispose]();
  });

  it.each(PEERS)('asks a person through a %s client', async (peer) => {
    const forms: string[] = [];
    const { url } = await open(
      {},
      {
        overrides: {
          pods: {
            destroy: async (_podId, _request, { ask }) => {
              const said = await ask({ message: 'Give up 2 files?', field: 'discardUnfetched' });
              return said === 'accepted'
                ? { outcome: 'gone' }
                : {
                    outcome: 'blocked',
                    pod: (await import('../support/fake-services.ts')).aPod(),
                    missing: [],
                  };
            },
          },
        },
      },
    );
    await using client = await peerOn(url, peer, {
      elicit: ({ message }) => {
        forms.push(message);
        return { action: 'accept', content: { discardUnfetched: true } };
      },
    });
    const answer = await client.call('destroy', {
      podId: POD,
      discardUnfetched: true,
      reason: 'the user said so',
    });
    expect(answer.data['outcome']).toBe('gone');
    expect(forms).toEqual(['Give up 2 files?']);
  });

  it.each(PEERS)('a call that a %s client cancels is aborted inside', async (peer) => {
    let aborted: (() => void) | undefined;
    const seen = new Promise<void>((resolve) => {
      aborted = resolve;
    });
    let begun: (() => void) | undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const { url } = await open(
      {},
      {
        overrides: {
          sessions: {
            read: async (_sessionId, _request, { signal }) =>
              new Promise((_resolve, reject) => {
                begun?.();
                signal.addEventListener('abort', () => {
                  aborted?.();
                  reject(new Error('aborted'));
                });
              }),
          },
        },
      },
    );
    await using client = await peerOn(url, peer);
    const cancel = new AbortController();
    const call = client.call('session_read', { sessionId: SESSION }, { signal: cancel.signal });
    const failed = expect(call).rejects.toThrow();
    await started;
    cancel.abort();
    await failed;
    await seen;
  });
});

describe('the door', () => {
  it.each([
    ['no token', { authorization: '' }],
    ['a wrong token', { authorization: `Bearer ${TOKEN}x` }],
    ['another scheme', { authorization: `Basic ${TOKEN}` }],
  ])('%s: 401, and says what is wanted', async (_name, headers) => {
    const { url } = await open();
    const answer = await raw(url, { headers: { ...GOOD, ...headers }, body: INITIALIZE });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    expect(answer.body).not.toContain(TOKEN);
  });

  it.each([
    ['a foreign Host', { host: 'evil.example' }],
    ['a foreign Origin', { origin: 'http://evil.example' }],
    ['the null Origin', { origin: 'null' }],
  ])('%s: 403, even with the token', async (_name, headers) => {
    const { url } = await open();
    const answer = await raw(url, { headers: { ...GOOD, ...headers }, body: INITIALIZE });
    expect(answer.status).toBe(403);
  });

  it('serves a local page and an allowed host', async () => {
    const { url } = await open({ allowedHosts: ['gpu.example'] });
    const local = await raw(url, {
      headers: { ...GOOD, origin: 'http://localhost:3000' },
      body: INITIALIZE,
    });
    const named = await raw(url, { headers: { ...GOOD, host: 'gpu.example' }, body: INITIALIZE });
    expect([local.status, named.status]).toEqual([200, 200]);
  });

  it('refuses other paths, methods, types, sizes and bodies', async () => {
    const { url } = await open();
    const status = async (
      target: string,
      changes: { method?: string; headers?: Record<string, string>; body?: string },
    ): Promise<number> =>
      (
        await raw(target, {
          body: INITIALIZE,
          ...changes,
          headers: { ...GOOD, ...changes.headers },
        })
      ).status;
    expect(await status(url.replace('/mcp', '/'), {})).toBe(404);
    expect(await status(url, { method: 'PUT' })).toBe(405);
    expect(await status(url, { headers: { 'content-type': 'text/plain' } })).toBe(415);
    expect(await status(url, { body: '{' })).toBe(400);
    expect(await status(url, { headers: { 'content-length': '99999999' }, body: '' })).toBe(413);
    expect(
      await status(url, {
        headers: { 'transfer-encoding': 'chunked' },
        body: `"${'x'.repeat(5_000_000)}"`,
      }),
    ).toBe(413);
  });

  it('listens beyond loopback only for named hosts, and never with a short token', async () => {
    await expect(open({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'config_missing' });
    await expect(open({ token: 'short' })).rejects.toMatchObject({ code: 'config_missing' });
  });
});

describe('sessions of the 2025 era', () => {
  it('an unknown session is 404, a missing one 400', async () => {
    const { url } = await open();
    const list = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    const unknown = await raw(url, {
      headers: { ...GOOD, 'mcp-session-id': 'not-mine' },
      body: list,
    });
    expect(unknown.status).toBe(404);
    expect((await raw(url, { headers: GOOD, body: list })).status).toBe(400);
  });

  it('are bounded: idle ones make room, busy ones do not', async () => {
    let now = Date.now();
    const clock = { ...systemClock, now: () => new Date(now) };
    const { url } = await open({ maxSessions: 2, clock });
    const start = async (): Promise<Raw> => raw(url, { headers: GOOD, body: INITIALIZE });
    expect((await start()).status).toBe(200);
    expect((await start()).status).toBe(200);
    const full = await start();
    expect(full.status).toBe(503);
    expect(full.headers['retry-after']).toBe('60');
    now += 31 * 60_000;
    expect((await start()).status).toBe(200);
  });

  it('end when their client says so', async () => {
    const { url } = await open();
    const started = await raw(url, { headers: GOOD, body: INITIALIZE });
    const id = String(started.headers['mcp-session-id']);
    const headers = { ...GOOD, 'mcp-session-id': id };
    expect((await raw(url, { method: 'DELETE', headers })).status).toBe(200);
    expect((await raw(url, { headers, body: INITIALIZE })).status).toBe(404);
  });
});

it('closes at once although a client holds a stream open', async () => {
  const opened = await open();
  const client = await peerOn(opened.url, 'v1');
  const before = Date.now();
  await opened.close();
  serving.length = 0;
  expect(Date.now() - before).toBeLessThan(5_000);
  await client[Symbol.asyncDispose]();
});

it('a taken port is an error that names the way out', async () => {
  const { url } = await open();
  const refused = open({ port: Number(new URL(url).port) });
  await expect(refused).rejects.toThrow(/is taken/);
  await expect(refused).rejects.toMatchObject({ code: 'config_missing' });
});

it.each(PEERS)('a %s client that calls too fast is told how long to wait', async (peer) => {
  let now = Date.now();
  const clock = { ...systemClock, now: () => new Date(now) };
  const admit = createRateLimiter({ burst: 2, perSecond: 0.1 }, clock);
  const { url } = await open({}, { admit });
  await using client = await peerOn(url, peer);
  const call = async () => client.call('get_pod', { podId: POD });
  expect([(await call()).isError, (await call()).isError]).toEqual([false, false]);
  const refused = await call();
  expect(refused.isError).toBe(true);
  expect(refused.data).toMatchObject({
    code: 'rate_limited',
    retryable: true,
    retryAfterSeconds: 10,
  });
  now += 10_000;
  expect((await call()).isError).toBe(false);
});

it.each(PEERS)('progress of a call reaches a %s client before its result', async (peer) => {
  const { url } = await open(
    {},
    {
      overrides: {
        sessions: {
          close: async (sessionId, _request, { progress }) => {
            progress?.('halfway');
            return Promise.resolve({ sessionId, state: 'closed', processesGone: 'yes' });
          },
        },
      },
    },
  );
  await using client = await peerOn(url, peer);
  const heard: string[] = [];
  await client.call(
    'session_close',
    { sessionId: SESSION },
    { onProgress: ({ message = '' }) => heard.push(message) },
  );
  expect(heard).toContain('halfway');
});
