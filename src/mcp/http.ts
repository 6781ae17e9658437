import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { isIP } from 'node:net';
import { toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  type McpServerFactory,
} from '@modelcontextprotocol/server';
import type { Clock } from '../core/call.ts';
import { ConfigError } from '../core/errors.ts';
import { createGuard, ENDPOINT, likeNode, readBody, refuse } from './http-guards.ts';
import { createHttpSessions } from './http-sessions.ts';

const MAX_SESSIONS = 100;
const EXPIRE_EVERY_SECONDS = 60;
const CLOSE_LIMIT_SECONDS = 2;
const MIN_TOKEN_CHARS = 16;

export interface HttpDeps {
  readonly createServer: McpServerFactory;
  readonly clock: Clock;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly token: string;
  /** Host names accepted besides loopback's. Without any, only a loopback address is bound. */
  readonly allowedHosts: readonly string[];
  readonly onError: (error: Error) => void;
  readonly maxSessions?: number;
}
export interface HttpServing {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Streamable HTTP at one endpoint for both eras: 2025 clients get a session each, 2026-07-28 requests stand alone.
 * Throws `config_missing` for an address beyond loopback without allowed hosts, a token that is too short, and an
 * address that cannot be had.
 */
export async function serveHttp(deps: HttpDeps): Promise<HttpServing> {
  const { createServer, clock, host, port, token, allowedHosts, onError } = deps;
  checkExposure(host, token, allowedHosts);
  const guard = createGuard({ token, allowedHosts });
  const modern = createMcpHandler(createServer, { legacy: 'reject', onerror: onError });
  const modernHandler = toNodeHandler(modern, { onerror: onError });
  const sessions = createHttpSessions({
    createServer,
    clock,
    maxSessions: deps.maxSessions ?? MAX_SESSIONS,
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const principal = guard(request, response);
    if (principal === undefined) return;
    if (request.method !== 'POST') {
      await sessions.handle(request, response, undefined, principal);
      return;
    }
    const body = await readBody(request, response);
    if (body === undefined) return;
    if (await isLegacyRequest(await toWebRequest(likeNode(request), body.json), body.json))
      await sessions.handle(request, response, body.json, principal);
    else await modernHandler(likeNode(request), response, body.json);
  }

  const http = createHttpServer((request, response) => {
    answer(request, response).catch((failure: unknown) => {
      onError(failure instanceof Error ? failure : new Error('The request failed.'));
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'Internal error.');
    });
  });
  await listen(http, host, port);

  const stop = new AbortController();
  const expire = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(EXPIRE_EVERY_SECONDS, { signal: stop.signal });
      await sessions.expire();
    }
  };
  expire().catch((failure: unknown) => {
    if (!stop.signal.aborted)
      onError(failure instanceof Error ? failure : new Error('Expiry broke.'));
  });

  const address = http.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}${ENDPOINT}`,
    async close() {
      stop.abort();
      const closed = once(http, 'close');
      http.close();
      await Promise.allSettled([sessions.closeAll(), modern.close()]);
      http.closeIdleConnections();
      const late = new AbortController();
      clock
        .sleep(CLOSE_LIMIT_SECONDS, { signal: late.signal })
        .then(() => {
          http.closeAllConnections();
        })
        .catch(() => undefined);
      await closed;
      late.abort();
    },
  };
}

async function listen(http: HttpServer, host: string, port: number): Promise<void> {
  try {
    http.listen(port, host);
    await once(http, 'listening');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    throw new ConfigError(
      'config_missing',
      code === 'EADDRINUSE'
        ? `Port ${port} of ${host} is taken, perhaps by another gpu-lease.`
        : `Cannot listen on port ${port} of ${host}.`,
      {
        hint: 'Use the server that runs there, or choose another with GPU_LEASE_HTTP_PORT or --port (0: any free one), GPU_LEASE_HTTP_HOST or --host.',
        cause,
      },
    );
  }
}

function checkExposure(host: string, token: string, allowedHosts: readonly string[]): void {
  const loopback = host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
  if (!loopback && allowedHosts.length === 0)
    throw new ConfigError(
      'config_missing',
      'Listening beyond this machine needs the host names that clients use.',
      { hint: 'Set GPU_LEASE_HTTP_ALLOWED_HOSTS, or listen on 127.0.0.1.' },
    );
  if (token.length < MIN_TOKEN_CHARS)
    throw new ConfigError(
      'config_missing',
      `The bearer token needs ${MIN_TOKEN_CHARS} characters.`,
      {
        hint: 'Set GPU_LEASE_HTTP_TOKEN to a long random word.',
      },
    );
}
