import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  hostHeaderValidation,
  type NodeIncomingMessageLike,
  originValidation,
} from '@modelcontextprotocol/node';

export const ENDPOINT = '/mcp';
export const MAX_BODY_BYTES = 4 * 1024 * 1024;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];
const METHODS = ['POST', 'GET', 'DELETE'];

/** Answers with an error and closes the connection, so that a body nobody reads is not waited for. */
export function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    connection: 'close',
    ...headers,
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32_000, message } }));
}

export interface GuardOptions {
  readonly token: string;
  readonly allowedHosts: readonly string[];
}

/**
 * Who may talk to us at all, decided before a byte of the body is read. Answers and returns `undefined` for those who
 * may not, else the name of the principal that the token stands for.
 */
export function createGuard({
  token,
  allowedHosts,
}: GuardOptions): (request: IncomingMessage, response: ServerResponse) => string | undefined {
  const names = [...LOOPBACK_NAMES, ...allowedHosts];
  const hostOk = hostHeaderValidation(names);
  const originOk = originValidation(names);
  const expected = digest(`Bearer ${token}`);
  const principal = expected.toString('hex').slice(0, 16);

  return (request, response) => {
    // Both answer 403 by themselves.
    if (!hostOk(request, response) || !originOk(request, response)) return undefined;
    const path = (request.url ?? '').split('?')[0];
    if (path !== ENDPOINT) {
      refuse(response, 404, `The endpoint is ${ENDPOINT}.`);
      return undefined;
    }
    if (!timingSafeEqual(digest(bearerOf(request)), expected)) {
      refuse(response, 401, 'A bearer token is required.', {
        'www-authenticate': 'Bearer realm="gpu-lease"',
      });
      return undefined;
    }
    if (!METHODS.includes(request.method ?? '')) {
      refuse(response, 405, 'Use POST, GET or DELETE.', { allow: METHODS.join(', ') });
      return undefined;
    }
    if (request.method === 'POST' && !isJson(request.headers['content-type'])) {
      refuse(response, 415, 'The content type must be application/json.');
      return undefined;
    }
    return principal;
  };
}

/** The scheme's name has no case; what follows is compared as it is. */
const bearerOf = ({ headers }: IncomingMessage): string =>
  (headers.authorization ?? '').replace(/^bearer +/i, 'Bearer ');
const isJson = (type: string | undefined): boolean =>
  /^application\/json\s*(?:;|$)/i.test(type ?? '');
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The parsed body. Answers 413 or 400 itself and returns `undefined` when there is none to use. */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
): Promise<{ readonly json: unknown } | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    refuse(response, 413, `A body has at most ${MAX_BODY_BYTES} bytes.`);
    return undefined;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > MAX_BODY_BYTES) {
      refuse(response, 413, `A body has at most ${MAX_BODY_BYTES} bytes.`);
      return undefined;
    }
    chunks.push(bytes);
  }
  try {
    const json: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return { json };
  } catch {
    refuse(response, 400, 'The body is not JSON.');
    return undefined;
  }
}

/** The same request as the SDK types it: absent instead of `undefined`. */
export function likeNode(request: IncomingMessage): NodeIncomingMessageLike {
  const { method = 'GET', url = '/', headers } = request;
  return { method, url, headers, [Symbol.asyncIterator]: () => request[Symbol.asyncIterator]() };
}
