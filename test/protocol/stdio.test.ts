import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { bundled } from '../support/bundle.ts';
import { SESSION } from '../support/fake-services.ts';

const program = await bundled('test/support/stdio-program.ts');
const children: ChildProcessWithoutNullStreams[] = [];
afterEach(async () => {
  for (const child of children.splice(0))
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
});

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly result: {
    readonly instructions: string;
    readonly protocolVersion: string;
    readonly supportedVersions: readonly string[];
    readonly tools: readonly unknown[];
    readonly structuredContent: { readonly summary: string };
  };
}

/** A bare JSON-RPC peer: no SDK between the test and the bytes. */
function start() {
  const child = spawn(process.execPath, [program], {
    cwd: path.resolve(import.meta.dirname, '../..'),
  });
  children.push(child);
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  const lines: string[] = [];
  let stderr = '';
  let wake: (() => void) | undefined;
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    wake?.();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    wake?.();
  });
  child.on('exit', () => wake?.());
  const until = async <T>(look: () => T | undefined): Promise<T> => {
    for (;;) {
      const seen = look();
      if (seen !== undefined) return seen;
      if (child.exitCode !== null) throw new Error(`It ended first: ${stderr}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    child,
    exit,
    lines,
    stderr: () => stderr,
    until,
    write: (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`),
    answer: async (id: number) =>
      until(() =>
        lines
          .map((line) => JSON.parse(line) as Message)
          .find((message) => message.id === id && message.method === undefined),
      ),
  };
}
const initialize = (protocolVersion = '2025-06-18'): object => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

describe('a process over stdio', () => {
  it('speaks 2025-06-18 to a bare client, and nothing but JSON-RPC', async () => {
    const peer = start();
    peer.write(initialize());
    const hello = await peer.answer(1);
    expect(hello.result).toMatchObject({
      protocolVersion: '2025-06-18',
      serverInfo: { name: 'gpu-lease' },
      capabilities: {
        tools: { listChanged: false },
        prompts: { listChanged: false },
        resources: { listChanged: false },
      },
    });
    expect(hello.result.instructions.length).toBeLessThanOrEqual(500);
    peer.write({ jsonrpc: '2.0', method: 'notifications/initialized' });
    peer.write({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
    expect((await peer.answer(2)).result.tools.length).toBe(20);
    peer.write({ jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'doctor' } });
    expect((await peer.answer(3)).result.structuredContent.summary).toMatch(/Usable/);
    peer.child.stdin.write('this is no JSON\n');
    peer.write({ jsonrpc: '2.0', id: 4, method: 'ping' });
    await peer.answer(4);
    for (const line of peer.lines) expect(JSON.parse(line)).toHaveProperty('jsonrpc', '2.0');
  });

  it('speaks 2026-07-28 to a client that discovers', async () => {
    const peer = start();
    peer.write({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta: META } });
    const found = await peer.answer(1);
    expect(found.result.supportedVersions).toContain('2026-07-28');
    peer.write({ jsonrpc: '2.0', id: 2, method: 'tools/list', params: { _meta: META } });
    const list = await peer.answer(2);
    expect(list.result).toMatchObject({ ttlMs: 300_000, cacheScope: 'public' });
  });

  it.each(['2025-11-25', '2024-11-05'])('takes the handshake of %s', async (version) => {
    const peer = start();
    peer.write(initialize(version));
    expect((await peer.answer(1)).result.protocolVersion).toBe(version);
  });

  it('ends by itself when the host hangs up, and aborts what still runs', async () => {
    const peer = start();
    peer.write(initialize());
    await peer.answer(1);
    peer.write({
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: {
        name: 'session_read',
        arguments: { sessionId: SESSION },
        _meta: { progressToken: 'p' },
      },
    });
    await peer.until(() => peer.lines.find((line) => line.includes('begun')));
    peer.child.stdin.end();
    expect(await peer.exit).toEqual([0, null]);
    expect(peer.stderr()).toMatch(/aborted\n[\s\S]*ended\n/);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('ends in order on %s', async (signal) => {
    const peer = start();
    peer.write(initialize());
    await peer.answer(1);
    peer.child.kill(signal);
    expect(await peer.exit).toEqual([0, null]);
    expect(peer.stderr()).toContain('ended\n');
  });
});
