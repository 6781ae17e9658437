import type { IncomingMessage } from 'node:http';
import type { FakeRequest } from './http.ts';

const MAX_BODY_BYTES = 8 << 20;

/** Reads a request whole. `undefined`: its body is longer than anybody should send. */
export async function readRequest(incoming: IncomingMessage): Promise<FakeRequest | undefined> {
  const rawBody = await readBody(incoming);
  if (rawBody === undefined) return undefined;
  const url = URL.canParse(incoming.url ?? '/', 'http://127.0.0.1')
    ? new URL(incoming.url ?? '/', 'http://127.0.0.1')
    : new URL('http://127.0.0.1/');
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
  return {
    method: incoming.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers,
    body: jsonOf(rawBody),
    rawBody,
  };
}

function jsonOf(text: string): unknown {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

async function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of incoming) {
    const chunk: unknown = part;
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    // Read to its end all the same: an answer to a request that is still coming would be lost.
    if (bytes <= MAX_BODY_BYTES) parts.push(chunk);
  }
  return bytes > MAX_BODY_BYTES ? undefined : Buffer.concat(parts).toString('utf8');
}
