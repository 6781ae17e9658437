import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { describe, expect, it } from 'vitest';
import { BuiltServer, listAt, MAIN, sandbox, textAt } from '../support/built-server.ts';
import {
  type Caller,
  finished,
  gone,
  opened,
  readyPod,
  started,
  transcript,
} from '../support/day.ts';

type Box = Awaited<ReturnType<typeof sandbox>>;
type Opened = Caller & AsyncDisposable;
interface SdkClient {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
}

const TOKEN = 'a-token-for-the-tests-only';

/** The same day through every road a host may take. */
const ROADS: readonly { readonly road: string; readonly open: (box: Box) => Promise<Opened> }[] = [
  { road: 'bare JSON-RPC over stdio, 2025-06-18', open: async (box) => BuiltServer.start(box) },
  {
    road: 'v2 client over stdio, 2026-07-28',
    open: async (box) => overSdk(modernClient(), async (client) => client.connect(stdio(box))),
  },
  {
    road: 'v2 client over HTTP, 2026-07-28',
    open: async (box) => {
      const http = await startHttp(box);
      return overSdk(
        modernClient(),
        async (client) => client.connect(new StreamableHTTPClientTransport(http.url, HEADERS)),
        http.stop,
      );
    },
  },
  {
    road: 'v1 client over HTTP, 2025-11-25',
    open: async (box) => {
      const http = await startHttp(box);
      const client = new OldClient({ name: 'old', version: '1' });
      // The old SDK's own types clash with exact optional properties.
      const transport = new OldHttpTransport(http.url, HEADERS) as unknown as Parameters<
        OldClient['connect']
      >[0];
      return overSdk(client, async (it) => it.connect(transport), http.stop);
    },
  },
];
const HEADERS = { requestInit: { headers: { authorization: `Bearer ${TOKEN}` } } };

describe.each(ROADS)('the whole day through $road', ({ open }) => {
  it('rents, works, syncs, runs, fetches with proof, destroys and reports', async () => {
    await using box = await sandbox();
    await using client = await open(box);
    const project = path.join(box.workspace, 'project');
    await mkdir(project);
    await writeFile(
      path.join(project, 'work.sh'),
      'for i in 1 2 3; do echo "step $i/3"; done\necho \'{"loss": 0.5}\' > metrics.json\n',
    );

    const podId = await readyPod(client, { name: 'day' });
    const sessionId = await opened(client, podId);
    await client.call('session_write', { sessionId, input: 'cd / && WORD=kept' });
    const said = await client.call('session_write', {
      sessionId,
      input: 'echo "$WORD $PWD"; false',
    });
    expect(said).toMatchObject({ done: true, exitCode: 1 });
    expect(said['output']).toContain('kept /');
    expect(await transcript(client, sessionId)).toContain('kept /');

    const synced = await client.call('sync_files', {
      podId,
      localPath: 'project',
      remotePath: 'project',
    });
    expect(synced).toMatchObject({ verified: true, sent: { files: 1 } });
    const again = await client.call('sync_files', {
      podId,
      localPath: 'project',
      remotePath: 'project',
    });
    expect(again).toMatchObject({ sent: { files: 0 }, unchanged: { files: 1 } });

    const jobId = await started(client, {
      podId,
      command: 'sh work.sh',
      cwd: 'project',
      artifacts: ['metrics.json'],
    });
    expect(await finished(client, jobId)).toMatchObject({
      status: 'completed',
      exitCode: 0,
      work: { state: 'finished' },
    });

    const refused = await client.call('destroy', { podId });
    expect(refused).toMatchObject({ outcome: 'blocked' });
    expect(listAt(refused, 'missing')).not.toHaveLength(0);

    const fetched = await client.call('fetch_artifacts', { jobId, localPath: 'results' });
    const [file] = listAt(fetched, 'manifest.files');
    expect(file).toMatchObject({ path: 'metrics.json', proof: 'loaded' });
    const bytes = await readFile(path.join(box.workspace, 'results', 'metrics.json'));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(textAt(file, 'sha256'));

    const ended = await gone(client, podId);
    expect(ended['receipt']).toMatchObject({ podId, usdPerHour: 0 });
    expect(await readdir(path.join(box.home, 'pods')).catch(() => [])).toEqual([]);
    const report = await client.call('report', { podId });
    expect(report).toMatchObject({
      mode: 'managed',
      status: 'gone',
      success: { command: 'yes', artifacts: 'yes' },
    });
    expect(report['filesHome']).toHaveLength(1);
    expect(await box.podPids()).toEqual([]);
  });
});

function environment(box: Box): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: box.home,
    GPU_LEASE_HOME: box.home,
    GPU_LEASE_WORKSPACE: box.workspace,
    GPU_LEASE_WATCHER: 'off',
    GPU_LEASE_HTTP_TOKEN: TOKEN,
  };
}

const modernClient = () =>
  new Client(
    { name: 'modern', version: '1' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
const stdio = (box: Box) =>
  new StdioClientTransport({
    command: process.execPath,
    args: [MAIN],
    env: environment(box),
    cwd: box.workspace,
    stderr: 'ignore',
  });

async function overSdk<C extends SdkClient>(
  client: C,
  connect: (client: C) => Promise<void>,
  stop?: () => Promise<void>,
): Promise<Opened> {
  await connect(client);
  const tool: Caller['tool'] = async (name, args = {}) => {
    const result = (await client.callTool({ name, arguments: args })) as {
      isError?: boolean;
      structuredContent?: Record<string, never>;
      content: { text?: string }[];
    };
    return {
      isError: result.isError === true,
      data: result.structuredContent ?? {},
      text: result.content[0]?.text ?? '',
    };
  };
  return {
    tool,
    call: async (name, args) => {
      const answer = await tool(name, args);
      if (answer.isError) throw new Error(`${name}: ${JSON.stringify(answer.data)}`);
      return answer.data;
    },
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await stop?.();
    },
  };
}

async function startHttp(box: Box): Promise<{ url: URL; stop: () => Promise<void> }> {
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, [MAIN, 'http', '--port', '0'], {
    env: environment(box),
    cwd: box.workspace,
  });
  let said = '';
  const url = await new Promise<URL>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(said);
      if (found) resolve(new URL(found[0]));
    });
    child.once('exit', () => {
      reject(new Error(`http ended: ${said}`));
    });
  });
  return {
    url,
    stop: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      await exit;
    },
  };
}
