import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');

export type Json = Record<string, unknown>;
export interface ToolAnswer {
  readonly isError: boolean;
  readonly data: Record<string, unknown>;
  readonly text: string;
}

/** The built server as a child, driven by bare JSON-RPC lines as a client of 2025-06-18 sends them. */
export class BuiltServer implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  /** Every line of stdout that is not JSON-RPC. Must stay empty. */
  readonly noise: string[] = [];
  readonly notifications: Json[] = [];
  stderr = '';
  #next = 1;
  readonly #waiting = new Map<
    number,
    { resolve: (value: Json) => void; reject: (why: Error) => void }
  >();

  constructor(options: {
    home: string;
    workspace: string;
    env?: Record<string, string>;
    args?: string[];
  }) {
    if (!existsSync(MAIN)) throw new Error('dist/main.js is missing: run "npm run build" first.');
    this.child = spawn(process.execPath, [MAIN, ...(options.args ?? [])], {
      env: {
        PATH: process.env['PATH'],
        HOME: options.home,
        GPU_LEASE_HOME: options.home,
        GPU_LEASE_WORKSPACE: options.workspace,
        // A watcher outlives its server: only tests of it start one, and end it.
        GPU_LEASE_WATCHER: 'off',
        ...options.env,
      },
      cwd: options.workspace,
    });
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.child.stdin.on('error', () => undefined);
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.#take(line);
    });
    this.child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the server ended'));
      this.#waiting.clear();
    });
  }

  static async start(options: ConstructorParameters<typeof BuiltServer>[0]): Promise<BuiltServer> {
    const server = new BuiltServer(options);
    await server.request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    });
    server.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return server;
  }

  send(message: Json): void {
    this.child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  async request(method: string, params: Json = {}): Promise<Json> {
    const id = this.#next++;
    const answer = new Promise<Json>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject }),
    );
    this.send({ jsonrpc: '2.0', id, method, params });
    const message = await answer;
    if (message['error'] !== undefined) throw new Error(JSON.stringify(message['error']));
    return message['result'] as Json;
  }

  /** Any answer, errors too. */
  async tool(name: string, args: Json = {}): Promise<ToolAnswer> {
    const result = await this.request('tools/call', { name, arguments: args });
    const [first] = (result['content'] ?? []) as { text?: string }[];
    return {
      isError: result['isError'] === true,
      data: (result['structuredContent'] ?? {}) as Json,
      text: first?.text ?? '',
    };
  }

  /** An answer that must be a success. */
  async call(name: string, args: Json = {}): Promise<ToolAnswer['data']> {
    const answer = await this.tool(name, args);
    if (answer.isError) throw new Error(`${name}: ${JSON.stringify(answer.data)} ${answer.text}`);
    return answer.data;
  }

  /** kill -9, and wait until it is dead. */
  async kill9(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.stdin.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await exit;
    clearTimeout(timer);
  }

  #take(line: string): void {
    let message: Json;
    try {
      message = JSON.parse(line) as Json;
    } catch {
      this.noise.push(line);
      return;
    }
    const id = message['id'];
    if (typeof id !== 'number' || message['method'] !== undefined) {
      this.notifications.push(message);
      return;
    }
    this.#waiting.get(id)?.resolve(message);
    this.#waiting.delete(id);
  }
}

function at(data: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], data);
}
/** The string at a dotted path of a result, like `offers.0.offerId`. Throws when there is none. */
export function textAt(data: unknown, path: string): string {
  const value = at(data, path);
  if (typeof value !== 'string') throw new Error(`no text at ${path} of ${JSON.stringify(data)}`);
  return value;
}
export function numberAt(data: unknown, path: string): number {
  const value = at(data, path);
  if (typeof value !== 'number') throw new Error(`no number at ${path} of ${JSON.stringify(data)}`);
  return value;
}
export function listAt(data: unknown, path: string): readonly unknown[] {
  const value = at(data, path);
  if (!Array.isArray(value)) throw new Error(`no list at ${path} of ${JSON.stringify(data)}`);
  return value;
}

/** State folder and workspace of their own; ends every pod process below them before the folders go. */
export async function sandbox(): Promise<{
  home: string;
  workspace: string;
  podPids: () => Promise<number[]>;
  [Symbol.asyncDispose]: () => Promise<void>;
}> {
  const root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-e2e-'));
  const home = path.join(root, 'home');
  const workspace = path.join(root, 'workspace');
  const { mkdir } = await import('node:fs/promises');
  await mkdir(home, { mode: 0o700 });
  await mkdir(workspace);
  const podPids = async () => processesBelow(path.join(home, 'pods'));
  return {
    home,
    workspace,
    podPids,
    [Symbol.asyncDispose]: async () => {
      for (const pid of await podPids())
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // it ended meanwhile
        }
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Pids whose command line, folder or environment names `folder`: everything a pod of this test started. */
export async function processesBelow(folder: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const parts = await Promise.all(
      ['cmdline', 'environ'].map(async (part) =>
        readFile(`/proc/${name}/${part}`, 'latin1').catch(() => ''),
      ),
    );
    if (parts.some((part) => part.includes(folder))) pids.push(Number(name));
  }
  return pids;
}
