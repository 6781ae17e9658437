import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type NodeMcpRequestHandler, toNodeHandler } from '@modelcontextprotocol/node';
import {
  isInitializeRequest,
  type McpServerFactory,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import type { Clock } from '../core/call.ts';
import { likeNode, refuse } from './http-guards.ts';

const IDLE_MINUTES = 30;

interface Session {
  readonly principal: string;
  readonly serve: NodeMcpRequestHandler;
  readonly close: () => Promise<void>;
  /** Requests and streams that are open now: a session in use never expires. */
  open: number;
  lastUsedAt: number;
}

export interface SessionsDeps {
  readonly createServer: McpServerFactory;
  readonly clock: Clock;
  readonly maxSessions: number;
}
export interface HttpSessions {
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
    principal: string,
  ): Promise<void>;
  /** Ends what nobody has used for half an hour. */
  expire(): Promise<void>;
  closeAll(): Promise<void>;
  readonly size: number;
}

/** Connections of the 2025 era: each has its own server, belongs to who opened it, and is one of a bounded number. */
export function createHttpSessions({
  createServer,
  clock,
  maxSessions,
}: SessionsDeps): HttpSessions {
  const sessions = new Map<string, Session>();
  const now = (): number => clock.now().getTime();

  async function expire(): Promise<void> {
    const limit = now() - IDLE_MINUTES * 60_000;
    const idle = [...sessions].filter(
      ([, { open, lastUsedAt }]) => open === 0 && lastUsedAt < limit,
    );
    for (const [id, session] of idle) {
      sessions.delete(id);
      await session.close();
    }
  }

  async function start(principal: string): Promise<Session> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, session);
      },
    });
    const server = await createServer({ era: 'legacy' });
    const session: Session = {
      principal,
      serve: toNodeHandler({
        fetch: async (request, options) => transport.handleRequest(request, options),
      }),
      close: async () => server.close(),
      open: 0,
      lastUsedAt: now(),
    };
    transport.onclose = () => {
      if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
    };
    await server.connect(transport);
    return session;
  }

  async function serve(
    session: Session,
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
  ): Promise<void> {
    session.open += 1;
    response.once('close', () => {
      session.open -= 1;
      session.lastUsedAt = now();
    });
    await session.serve(likeNode(request), response, body);
  }

  return {
    async handle(request, response, body, principal) {
      const id = request.headers['mcp-session-id'];
      if (typeof id === 'string') {
        const session = sessions.get(id);
        // Somebody else's session looks like none at all.
        if (session?.principal !== principal) {
          refuse(response, 404, 'Session not found. Initialize again.');
          return;
        }
        await serve(session, request, response, body);
        return;
      }
      if (request.method !== 'POST' || !isInitializeRequest(body)) {
        refuse(response, 400, 'The Mcp-Session-Id header is missing. Initialize first.');
        return;
      }
      if (sessions.size >= maxSessions) await expire();
      if (sessions.size >= maxSessions) {
        refuse(response, 503, 'Too many sessions. Close one, then try again.', {
          'retry-after': '60',
        });
        return;
      }
      await serve(await start(principal), request, response, body);
    },
    expire,
    async closeAll() {
      const all = [...sessions.values()];
      sessions.clear();
      await Promise.allSettled(all.map(async ({ close }) => close()));
    },
    get size() {
      return sessions.size;
    },
  };
}
