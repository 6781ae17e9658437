import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One call as it went over the wire. Bodies are the raw text. */
export interface Exchange {
  readonly method: string;
  /** Path with its query, as the client wrote it. */
  readonly url: string;
  readonly requestHeaders: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly requestBody: string;
  readonly status: number;
  readonly responseHeaders: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly responseBody: string;
}

/** Stands between a client and a server on loopback and writes down every call. Changes nothing. */
export async function startRecordingProxy(
  target: string,
): Promise<{ readonly url: string; readonly exchanges: readonly Exchange[] } & AsyncDisposable> {
  const exchanges: Exchange[] = [];
  const server = createServer((incoming, outgoing) => {
    const sent: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => sent.push(chunk));
    incoming.on('end', () => {
      const upstream = httpRequest(
        new URL(incoming.url ?? '/', target),
        { method: incoming.method, headers: { ...incoming.headers, host: new URL(target).host } },
        (answer) => {
          const got: Buffer[] = [];
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.on('data', (chunk: Buffer) => {
            got.push(chunk);
            outgoing.write(chunk);
          });
          answer.on('end', () => {
            exchanges.push({
              method: incoming.method ?? 'GET',
              url: incoming.url ?? '/',
              requestHeaders: { ...incoming.headers },
              requestBody: Buffer.concat(sent).toString('utf8'),
              status: answer.statusCode ?? 0,
              responseHeaders: { ...answer.headers },
              responseBody: Buffer.concat(got).toString('utf8'),
            });
            outgoing.end();
          });
          answer.on('error', () => outgoing.destroy());
        },
      );
      upstream.on('error', () => outgoing.destroy());
      upstream.end(Buffer.concat(sent));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    exchanges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
