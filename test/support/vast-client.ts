import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { StdioClientTransport as OldStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { expect } from 'vitest';
import { MAIN, type sandbox, textAt } from './built-server.ts';
import type { Caller } from './day.ts';
import { connectPeer, type FormAnswer, type Peer, type PeerOptions } from './mcp-clients.ts';

export interface VastClientOptions extends PeerOptions {
  readonly peer?: Peer;
  readonly env?: Readonly<Record<string, string>>;
}

/** A real MCP client over stdio, and the built server with this key at this address of a Vast.ai. */
export async function vastClient(
  box: Awaited<ReturnType<typeof sandbox>>,
  cloud: { readonly url: string; readonly apiKey: string },
  { peer = 'v2-2026', env = {}, ...options }: VastClientOptions = {},
): Promise<Caller & AsyncDisposable> {
  const server = {
    command: process.execPath,
    args: [MAIN],
    cwd: box.workspace,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: box.home,
      GPU_LEASE_HOME: box.home,
      GPU_LEASE_WORKSPACE: box.workspace,
      GPU_LEASE_WATCHER: 'off',
      VAST_API_KEY: cloud.apiKey,
      VAST_URL: cloud.url,
      ...env,
    },
  };
  const transport =
    peer === 'v1' ? new OldStdioTransport(server) : new StdioClientTransport(server);
  const connected = await connectPeer(peer, transport, options);
  await connected.tools();
  return {
    tool: async (name, args) => connected.call(name, args),
    async call(name, args) {
      const answer = await connected.call(name, args);
      if (answer.isError) throw new Error(`${name}: ${answer.text}`);
      return answer.data;
    },
    [Symbol.asyncDispose]: async () => connected[Symbol.asyncDispose](),
  };
}

/** Fills in the one box of a form. */
export function accept({
  requestedSchema,
}: {
  readonly requestedSchema: Record<string, unknown>;
}): FormAnswer {
  const [field = ''] = Object.keys(requestedSchema['properties'] ?? {});
  return { action: 'accept', content: { [field]: true } };
}

/** Shows the price, is told yes, and orders. */
export async function ordered(
  client: Caller,
  terms: Record<string, unknown>,
  waitSeconds = 45,
): Promise<{
  readonly quoted: Record<string, unknown>;
  readonly created: Record<string, unknown>;
}> {
  const quoted = await client.call('create_pod', terms);
  expect(quoted).toMatchObject({ status: 'needs_confirmation' });
  const created = await client.call('create_pod', {
    quoteId: textAt(quoted, 'quote.quoteId'),
    waitSeconds,
  });
  expect(['ready', 'provisioning'], JSON.stringify(created)).toContain(created['status']);
  return { quoted, created };
}

/** Waits, call by call, until the pod or the one in its place is ready. */
export async function becomesReady(
  client: Caller,
  podId: string,
): Promise<Record<string, unknown>> {
  for (let calls = 0; calls < 6; calls += 1) {
    const seen = await client.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
    if (seen['reached'] === true) return seen['pod'] as Record<string, unknown>;
    expect(['provisioning', 'stopped', 'unreachable'], JSON.stringify(seen)).toContain(
      textAt(seen, 'pod.status'),
    );
  }
  throw new Error(`${podId} did not become ready.`);
}
