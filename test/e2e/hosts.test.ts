import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer, type Json, sandbox } from '../support/built-server.ts';

/* The built server as the hosts that exist drive it, well and badly. */

let box: Awaited<ReturnType<typeof sandbox>>;
let server: BuiltServer;
beforeEach(async () => {
  box = await sandbox();
  server = new BuiltServer(box);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  expect(server.noise).toEqual([]);
  await box[Symbol.asyncDispose]();
});

const initialize = async (protocolVersion: string) =>
  server.request('initialize', {
    protocolVersion,
    capabilities: { elicitation: {} },
    clientInfo: { name: 'host', version: '1' },
  });
const ready = (): void => {
  server.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
};
const listed = async (params: Json = {}): Promise<number> =>
  ((await server.request('tools/list', params))['tools'] as unknown[]).length;
const modern = (capabilities: Json = {}): Json => ({
  _meta: {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'host', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'claudecode/toolUseId': 'toolu_1',
    progressToken: 7,
  },
});
const ended = async (): Promise<number | null> => {
  if (server.child.exitCode === null && server.child.signalCode === null)
    await once(server.child, 'exit', { signal: AbortSignal.timeout(8_000) });
  return server.child.exitCode;
};

describe('how hosts begin', () => {
  it('Claude Code: server/discover, then 2026-07-28 without initialize', async () => {
    const found = await server.request('server/discover', modern());
    expect(found['supportedVersions']).toContain('2026-07-28');
    expect(await listed(modern())).toBe(20);
    const answer = await server.request('tools/call', {
      name: 'list_pods',
      arguments: {},
      ...modern({ elicitation: { form: {}, url: {} } }),
    });
    expect(answer).toMatchObject({ resultType: 'complete', structuredContent: { pods: [] } });
  });

  it('Claude Code, when the answer came late: server/discover and initialize at once', async () => {
    const both = await Promise.all([
      server.request('server/discover', modern()),
      initialize('2025-11-25'),
    ]);
    expect(both[1]['protocolVersion']).toBe('2025-11-25');
    ready();
    expect(await listed()).toBe(20);
  });

  it.each([
    ['Codex', '2025-06-18', '2025-06-18'],
    ['an older host', '2024-11-05', '2024-11-05'],
    ['Cursor, which names 2026-07-28 in initialize', '2026-07-28', '2025-11-25'],
    ['a host from the future', '2031-01-01', '2025-11-25'],
  ])('%s: initialize with %s is answered with %s', async (_host, asked, given) => {
    expect((await initialize(asked))['protocolVersion']).toBe(given);
    ready();
    expect(await listed()).toBe(20);
    expect((await server.tool('list_pods')).isError).toBe(false);
  });
});

describe('what comes over the wire', () => {
  it('a byte order mark, CRLF, blank lines, words and foreign JSON do not stop it', async () => {
    server.child.stdin.write('\uFEFF');
    await initialize('2025-06-18');
    for (const line of ['', '   ', 'hello', '{nope', 'null', '42', '"x"', '{}', '\uFFFF\0'])
      server.child.stdin.write(`${line}\r\n`);
    expect(await listed()).toBe(20);
  });

  it('every request of a batch is answered', async () => {
    await initialize('2025-03-26');
    const answered = new Promise<string>((resolve) => {
      let all = '';
      server.child.stdout.on('data', (chunk: Buffer) => {
        all += chunk.toString();
        if (all.includes('"id":901') && all.includes('"id":902')) resolve(all);
      });
    });
    server.child.stdin.write(
      `[${[901, 902].map((id) => JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' })).join(',')}]\n`,
    );
    expect(await answered).not.toContain('error');
  });

  it('notifications that make no sense are ignored', async () => {
    await initialize('2025-06-18');
    for (const [method, params] of [
      ['notifications/cancelled', { requestId: { a: 1 } }],
      ['notifications/cancelled', 7],
      ['notifications/cancelled', { requestId: 999 }],
      ['notifications/unknown', []],
      ['notifications/progress', undefined],
    ])
      server.send({ jsonrpc: '2.0', method, params });
    expect(await listed()).toBe(20);
  });

  it('requests that make no sense get an error each', async () => {
    await initialize('2025-06-18');
    await expect(server.request('no/such/method')).rejects.toThrow(/-32601/);
    await expect(server.request('tools/call', { name: 5 })).rejects.toThrow(/-32602/);
    await expect(server.request('tools/call', { name: 'rm_rf' })).rejects.toThrow(/-32602/);
    await expect(server.request('prompts/get', { name: '../../etc' })).rejects.toThrow(/-32602/);
    expect((await server.tool('get_pod', { podId: 1 })).data['code']).toBe('invalid_input');
  });
});

describe('load and ends', () => {
  it('200 calls at once are all answered, also to a host that reads late', async () => {
    await initialize('2025-06-18');
    ready();
    server.child.stdout.pause();
    const calls = Array.from({ length: 200 }, async (_, at) =>
      server.tool(at % 3 === 0 ? 'find_offer' : 'list_pods'),
    );
    // The server is asked for more than a pipe holds before anybody reads.
    await new Promise((resolve) => server.child.stdin.write('\n', resolve));
    server.child.stdout.resume();
    const answers = await Promise.all(calls);
    expect(answers.filter(({ isError }) => isError)).toEqual([]);
    expect(server.stderr).toBe('');
  });

  it('a host that vanishes in the middle of a call leaves nothing running', async () => {
    await initialize('2025-06-18');
    server.send({
      jsonrpc: '2.0',
      id: 77,
      method: 'tools/call',
      params: { name: 'find_offer', arguments: { providers: ['local'] } },
    });
    server.child.stdin.end();
    expect(await ended()).toBe(0);
  });

  it('a host that closes our stdout ends us, quietly', async () => {
    await initialize('2025-06-18');
    server.child.stdout.destroy();
    for (let id = 500; id < 550; id += 1) server.send({ jsonrpc: '2.0', id, method: 'tools/list' });
    expect(await ended()).toBe(0);
    expect(server.stderr).toBe('');
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s, then the end of stdin', async (signal) => {
    await initialize('2025-06-18');
    server.child.kill(signal);
    server.child.stdin.end();
    expect(await ended()).toBe(0);
  });
});

describe('the progress file of a person who watches [PG-01, PG-06, PG-08]', () => {
  const started = async (file: string): Promise<void> => {
    await server[Symbol.asyncDispose]();
    server = await BuiltServer.start({ ...box, env: { GPU_LEASE_PROGRESS_FILE: file } });
  };

  it('tells of starts, ends and warnings, one JSON object a line', async () => {
    const file = path.join(box.workspace, 'progress.jsonl');
    await started(file);
    await server.call('list_pods');
    await server.tool('get_pod', { podId: 'local:nobody' });
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line) as Json);
    expect(events.map(({ kind, stage, slot }) => [kind, stage, slot])).toEqual([
      ['started', 'list_pods', 'list_pods'],
      ['completed', 'list_pods', 'list_pods'],
      ['started', 'get_pod', 'get_pod'],
      ['warning', 'get_pod', undefined],
    ]);
    expect(events[1]?.['message']).toMatch(/^0 pods/);
    expect(events[3]?.['message']).toMatch(/^not_found: /);
  });

  it('a file that cannot be written changes nothing', async () => {
    const folder = path.join(box.workspace, 'a-folder');
    await mkdir(folder);
    await started(folder);
    expect((await server.tool('list_pods')).isError).toBe(false);
  });
});

describe('gpu-lease http', () => {
  const PORT = { GPU_LEASE_HTTP_PORT: '0' };
  const open = async (env: Record<string, string> = {}): Promise<string> => {
    await server[Symbol.asyncDispose]();
    server = new BuiltServer({ ...box, env: { ...PORT, ...env }, args: ['http'] });
    return spoken(server);
  };
  const spoken = async (of: BuiltServer): Promise<string> => {
    await expect
      .poll(() => of.child.exitCode ?? /http:\S+/.exec(of.stderr)?.[0], { timeout: 8_000 })
      .toBeTruthy();
    return /http:\S+/.exec(of.stderr)?.[0] ?? '';
  };
  const status = async (url: string, token: string): Promise<number> =>
    (
      await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: {
            protocolVersion: '2025-06-18',
            capabilities: {},
            clientInfo: { name: 'x', version: '1' },
          },
        }),
      })
    ).status;
  const kept = async (): Promise<string> => readFile(path.join(box.home, 'http-token'), 'utf8');

  it('says where it is and where its token is; two of one home have the same', async () => {
    const url = await open();
    expect(server.stderr).toContain(path.join(box.home, 'http-token'));
    const token = await kept();
    expect(server.stderr).not.toContain(token);
    expect([await status(url, token), await status(url, ''), await status(url, 'wrong')]).toEqual([
      200, 401, 401,
    ]);
    await using second = new BuiltServer({ ...box, env: PORT, args: ['http'] });
    expect(await status(await spoken(second), token)).toBe(200);
    second.child.kill('SIGTERM');
    server.child.kill('SIGTERM');
    expect(await ended()).toBe(0);
  });

  it('many first starts at once agree on one token', async () => {
    await server[Symbol.asyncDispose]();
    const all = Array.from(
      { length: 4 },
      () => new BuiltServer({ ...box, env: PORT, args: ['http'] }),
    );
    try {
      const urls = await Promise.all(all.map(spoken));
      const token = await kept();
      expect(await Promise.all(urls.map(async (url) => status(url, token)))).toEqual([
        200, 200, 200, 200,
      ]);
    } finally {
      await Promise.all(all.map(async (each) => each.kill9()));
    }
  });

  it('a taken port and a token that cannot be read are explained, with exit code 1', async () => {
    const { port } = new URL(await open());
    await using second = new BuiltServer({
      ...box,
      env: { GPU_LEASE_HTTP_PORT: port },
      args: ['http'],
    });
    await once(second.child, 'close');
    expect(second.child.exitCode).toBe(1);
    expect(second.stderr).toMatch(/^gpu-lease: Port \d+ of 127\.0\.0\.1 is taken.*\n.*--port/);
    expect(second.stderr).not.toMatch(/ at .*:\d+:\d+/);
    server.child.kill('SIGTERM');
    await ended();

    const home = path.join(box.workspace, 'other-home');
    await mkdir(path.join(home, 'http-token'), { recursive: true });
    await using broken = new BuiltServer({ ...box, home, env: PORT, args: ['http'] });
    await once(broken.child, 'close');
    expect(broken.child.exitCode).toBe(1);
    expect(broken.stderr).toMatch(/^gpu-lease: Cannot keep the HTTP token in /);

    const short = path.join(box.workspace, 'short-home');
    await mkdir(short);
    await writeFile(path.join(short, 'http-token'), 'abc');
    await using weak = new BuiltServer({ ...box, home: short, env: PORT, args: ['http'] });
    await once(weak.child, 'close');
    expect(weak.child.exitCode).toBe(1);
    expect(weak.stderr).toMatch(/GPU_LEASE_HTTP_TOKEN/);
  });
});
