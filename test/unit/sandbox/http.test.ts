import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as passing } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createSandboxClock } from '../../../src/sandbox/clock.ts';
import {
  type FakeAnswer,
  type FakeRequest,
  type ServedClouds,
  serveClouds,
} from '../../../src/sandbox/http.ts';
import { createRequestLog, type RequestLog } from '../../../src/sandbox/request-log.ts';
import { ManualClock } from '../../support/clock.ts';

const clock = createSandboxClock({ clock: new ManualClock(), speed: 0, startSeconds: 5000 });
let served: ServedClouds | undefined;
afterEach(async () => served?.[Symbol.asyncDispose]());

async function serve(
  handle: (request: FakeRequest) => FakeAnswer,
  log: RequestLog = createRequestLog(clock),
  onFailure: (failure: unknown) => void = () => undefined,
): Promise<string> {
  const cloud = (name: string) => ({
    name,
    handle: async (request: FakeRequest) => Promise.resolve(handle(request)),
  });
  served = await serveClouds([cloud('a'), cloud('b')], { port: 0, log, clock, onFailure });
  return served.urlOf('a');
}
const echo = ({ method, path, query, headers, body, rawBody }: FakeRequest): FakeAnswer => ({
  status: 200,
  body: { method, path, query: [...query], auth: headers['authorization'], body, rawBody },
});

/** A request whose Host and Origin can be anything. */
async function ask(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(url, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.once('error', reject);
    asked.end();
  });
}

describe('an origin of the sandbox', () => {
  it('answers JSON with exactly application/json (vast.md 17.1)', async () => {
    const url = await serve(echo);
    const answer = await fetch(`${url}/api/x/?q=%7B%22a%22%3A+1%7D&owner=me`, {
      method: 'DELETE',
      headers: { authorization: 'Bearer k', 'content-type': 'application/json' },
      body: '{"b":[1]}',
    });
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual({
      method: 'DELETE',
      path: '/api/x/',
      query: [
        ['q', '{"a": 1}'],
        ['owner', 'me'],
      ],
      auth: 'Bearer k',
      body: { b: [1] },
      rawBody: '{"b":[1]}',
    });
  });

  it('hands on what is not JSON as it came, and sends text, other types and streams', async () => {
    async function* parts() {
      yield 'one ';
      await Promise.resolve();
      yield 'two';
    }
    const url = await serve(({ path, body, rawBody }) => {
      if (path === '/html')
        return { status: 502, text: '<html>', contentType: 'text/html; charset=utf-8' };
      if (path === '/stream') return { status: 200, stream: parts() };
      return { status: 200, text: `${typeof body} ${rawBody}` };
    });
    const plain = await fetch(`${url}/`, { method: 'POST', body: '{"half":' });
    expect([await plain.text(), plain.headers.get('content-type')]).toEqual([
      'undefined {"half":',
      'text/plain',
    ]);
    const html = await fetch(`${url}/html`);
    expect([html.status, html.headers.get('content-type')]).toEqual([
      502,
      'text/html; charset=utf-8',
    ]);
    expect(await (await fetch(`${url}/stream`)).text()).toBe('one two');
  });

  it('has a port for each cloud', async () => {
    await serve(echo);
    expect(served?.urlOf('a')).not.toBe(served?.urlOf('b'));
    expect(() => served?.urlOf('c')).toThrow('There is no cloud c.');
  });

  it('drops a connection after the work was done, and stalls without an answer (vast.md 17.20)', async () => {
    let done = 0;
    const url = await serve(({ path }) => {
      done += 1;
      return { status: 200, body: {}, fault: path === '/drop' ? 'drop' : 'stall' };
    });
    await expect(fetch(`${url}/drop`)).rejects.toThrow('fetch failed');
    expect(done).toBe(1);
    await expect(fetch(`${url}/stall`, { signal: AbortSignal.timeout(200) })).rejects.toThrow(
      /timeout/i,
    );
    expect(done).toBe(2);
  });

  it('answers late by its own clock', async () => {
    const log = createRequestLog(clock);
    const url = await serve(() => ({ status: 200, body: {}, delaySeconds: 600 }), log);
    let answered = false;
    const asked = fetch(`${url}/`).then((answer) => {
      answered = true;
      return answer.status;
    });
    while (log.last().length === 0) await passing(5);
    expect(answered).toBe(false);
    await clock.advance(600);
    expect(await asked).toBe(200);
  });

  it('a handler that throws is a plain 500, and the origin lives on', async () => {
    const failures: unknown[] = [];
    const handle = ({ path }: FakeRequest): FakeAnswer => {
      if (path === '/throw') throw new Error('secret detail');
      return { status: 200, body: {} };
    };
    const url = await serve(handle, undefined, (failure) => failures.push(failure));
    const failed = await fetch(`${url}/throw`);
    expect([failed.status, await failed.text()]).toEqual([500, 'Internal Server Error']);
    expect(failures).toMatchObject([{ message: 'secret detail' }]);
    expect((await fetch(`${url}/`)).status).toBe(200);
  });

  it('a client that hangs up in the middle of its request is no failure', async () => {
    const failures: unknown[] = [];
    const url = await serve(echo, undefined, (failure) => failures.push(failure));
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'PUT / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\nhalf',
    );
    // The origin says that it waits for the rest.
    await once(socket, 'data');
    socket.destroy();
    await once(socket, 'close');
    for (let round = 0; round < 5; round += 1) expect((await fetch(url)).status).toBe(200);
    expect(failures).toEqual([]);
  });

  it('is for this machine: other Hosts and pages of other sites are refused', async () => {
    const url = await serve(echo);
    const { port } = new URL(url);
    expect(await ask(url, { host: `localhost:${port}` })).toBe(200);
    expect(await ask(url, { host: 'evil.example' })).toBe(403);
    expect(await ask(url, { host: `127.0.0.1.evil.example:${port}` })).toBe(403);
    expect(await ask(url, { origin: 'https://evil.example' })).toBe(403);
    expect(await ask(url, { origin: 'http://localhost:3000' })).toBe(200);
  });

  it('a body that is too long is refused, and bytes that are no HTTP do no harm', async () => {
    const url = await serve(echo);
    const huge = await fetch(url, { method: 'POST', body: 'x'.repeat(9 << 20) });
    expect(huge.status).toBe(413);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('\x16\x03\x01 nonsense\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await fetch(url)).status).toBe(200);
  });

  it('a port that is taken is said to be', async () => {
    const url = await serve(echo);
    const { port } = new URL(url);
    const cloud = { name: 'c', handle: async () => Promise.resolve({ status: 200 }) };
    await expect(
      serveClouds([cloud], { port: Number(port), log: createRequestLog(clock), clock }),
    ).rejects.toMatchObject({
      code: 'config_missing',
      hint: expect.stringContaining('--port') as string,
    });
  });
});

describe('the log of requests', () => {
  it('keeps the last ones, without keys and what else is secret', async () => {
    const log = createRequestLog(clock);
    const url = await serve(() => ({ status: 201, body: {} }), log);
    await fetch(`${url}/api/v0/x?api_key=hidden1&limit=5`, {
      method: 'PUT',
      headers: { authorization: 'Bearer hidden2' },
      body: JSON.stringify({
        image: 'pytorch',
        image_login: '-u me -p hidden3',
        env: { TOKEN: 'hidden4' },
        onstart: 'export K=hidden5',
        deep: [{ password: 'hidden6', label: 'x'.repeat(1000) }],
      }),
    });
    const [seen] = log.last();
    expect(seen).toMatchObject({
      at: clock.nowSeconds(),
      cloud: 'a',
      method: 'PUT',
      path: '/api/v0/x?api_key=***&limit=5',
      status: 201,
      body: { image: 'pytorch', image_login: '***', env: '***', onstart: '***' },
    });
    expect(JSON.stringify(log.last())).not.toContain('hidden');
    expect(JSON.stringify(log.last()).length).toBeLessThan(1000);
  });

  it('is bounded, and counts on', () => {
    const log = createRequestLog(clock);
    for (let index = 0; index < 1500; index += 1)
      log.begin({ cloud: 'a', method: 'GET', path: `/${index}` })(200, undefined);
    expect(log.total()).toBe(1500);
    expect(log.last()).toHaveLength(1000);
    expect(log.last(2).map(({ path }) => path)).toEqual(['/1498', '/1499']);
  });
});
