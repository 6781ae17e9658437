import { InMemoryTransport, Client as ModernClient } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport as OldTransport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import type { McpServerFactory, Transport } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { Redactor } from '../../src/core/redact.ts';
import { createMcpServer, type McpDeps } from '../../src/mcp/server.ts';
import { TOOLS } from '../../src/tools/index.ts';
import type { Answer } from './answer.ts';
import { fakeServices, type Overrides } from './fake-services.ts';

/** The three kinds of peers that exist: the old SDK, the new SDK in its old era, the new SDK on 2026-07-28. */
export const PEERS = ['v1', 'v2-2025', 'v2-2026'] as const;
export type Peer = (typeof PEERS)[number];

export interface CallAnswer {
  readonly isError: boolean;
  readonly data: Answer;
  readonly text: string;
}
export interface Form {
  readonly message: string;
  readonly requestedSchema: Record<string, unknown>;
}
export interface FormAnswer {
  readonly action: 'accept' | 'decline' | 'cancel';
  readonly content?: Record<string, string | number | boolean | string[]>;
}
export interface PeerOptions {
  /** Present: the peer declares the elicitation capability and answers with this. */
  readonly elicit?: (form: Form) => FormAnswer;
}
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { progress: number; message?: string | undefined }) => void;
}
export interface TestPeer extends AsyncDisposable {
  readonly client: OldClient | ModernClient;
  tools(): Promise<Record<string, unknown>[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<CallAnswer>;
}

/** A client of the given kind on any transport. Its SDK checks every result against the announced schema. */
export async function connectPeer(
  peer: Peer,
  transport: unknown,
  { elicit }: PeerOptions = {},
): Promise<TestPeer> {
  const capabilities = elicit === undefined ? {} : { elicitation: {} };
  const info = { name: `test-${peer}`, version: '1' };
  if (peer === 'v1') {
    const client = new OldClient(info, { capabilities });
    if (elicit !== undefined)
      client.setRequestHandler(ElicitRequestSchema, (request) => ({
        ...elicit(request.params as Form),
      }));
    await client.connect(transport as OldTransport);
    return {
      client,
      tools: async () => (await client.listTools()).tools,
      call: async (name, args = {}, options = {}) =>
        answerOf(
          await client.callTool({ name, arguments: args }, undefined, {
            ...(options.signal === undefined ? {} : { signal: options.signal }),
            ...(options.onProgress === undefined ? {} : { onprogress: options.onProgress }),
          }),
        ),
      [Symbol.asyncDispose]: async () => client.close(),
    };
  }
  const client = new ModernClient(info, {
    capabilities,
    versionNegotiation: { mode: peer === 'v2-2026' ? { pin: '2026-07-28' } : 'legacy' },
  });
  if (elicit !== undefined)
    client.setRequestHandler('elicitation/create', (request) => ({
      ...elicit(request.params as unknown as Form),
    }));
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    client,
    tools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, options = {}) =>
      answerOf(
        await client.callTool(
          { name, arguments: args },
          {
            ...(options.signal === undefined ? {} : { signal: options.signal }),
            ...(options.onProgress === undefined ? {} : { onprogress: options.onProgress }),
          },
        ),
      ),
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

function answerOf(result: unknown): CallAnswer {
  const { isError, structuredContent, content } = result as {
    isError?: boolean;
    structuredContent?: unknown;
    content?: { text?: string }[];
  };
  return {
    isError: isError === true,
    data: structuredContent as Answer,
    text: content?.[0]?.text ?? '',
  };
}

export interface TestServerOptions extends Partial<McpDeps> {
  readonly overrides?: Overrides;
}
/** Everything a server needs, with fakes behind it. */
export function serverFactory({
  overrides = {},
  ...deps
}: TestServerOptions = {}): McpServerFactory {
  return createMcpServer({
    version: '0.0.0-test',
    tools: async () => Promise.resolve(TOOLS),
    services: async () => Promise.resolve(fakeServices(overrides)),
    clock: fakeServices(overrides).clock,
    redactor: new Redactor(),
    skillsFolder: '/nonexistent',
    onFailure: () => undefined,
    ...deps,
  });
}

/** A server and a client of the given kind in this process, joined by a pair of in-memory streams. */
export async function inProcess(
  peer: Peer,
  server: TestServerOptions = {},
  options: PeerOptions = {},
): Promise<TestPeer> {
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const handle = serveStdio(serverFactory(server), { transport: ours as unknown as Transport });
  const connected = await connectPeer(peer, theirs, options);
  return {
    ...connected,
    [Symbol.asyncDispose]: async () => {
      await connected[Symbol.asyncDispose]();
      await handle.close();
    },
  };
}
