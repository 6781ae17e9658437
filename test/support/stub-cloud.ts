import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it came over the wire. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
}
export interface StubAnswer {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `drop`: the socket dies; `stall`: nothing ever comes; `cut`: half of the body comes. */
  readonly fault?: 'drop' | 'stall' | 'cut';
}
export interface StubCloud extends AsyncDisposable {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** "PUT /api/v0/asks/1/", in order. */
  readonly lines: () => readonly string[];
}

/** A loopback server whose every answer is written by the test. */
export async function startStubCloud(
  answer: (request: SeenRequest, nth: number) => StubAnswer | Promise<StubAnswer>,
): Promise<StubCloud> {
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const raw = Buffer.concat(chunks).toString('utf8');
      const url = new URL(incoming.url ?? '/', 'http://stub');
      const request: SeenRequest = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers as Record<string, string | undefined>,
        body: raw === '' ? undefined : (JSON.parse(raw) as unknown),
      };
      seen.push(request);
      const { status = 200, json, text, headers, fault } = await answer(request, seen.length);
      if (fault === 'stall') return;
      if (fault === 'drop') {
        incoming.socket.destroy();
        return;
      }
      const body = text ?? JSON.stringify(json ?? {});
      const type = text === undefined ? 'application/json' : 'text/plain';
      outgoing.writeHead(status, {
        'content-type': type,
        'content-length': Buffer.byteLength(body),
        ...headers,
      });
      if (fault === 'cut') {
        outgoing.write(body.slice(0, Math.floor(body.length / 2)), () => {
          incoming.socket.destroy();
        });
        return;
      }
      outgoing.end(body);
    })().catch(() => {
      incoming.socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    lines: () => seen.map(({ method, path }) => `${method} ${path}`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
