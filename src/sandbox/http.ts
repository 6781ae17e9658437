import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Disposer } from '../core/disposer.ts';
import { ConfigError } from '../core/errors.ts';
import type { SandboxClock } from './clock.ts';
import { readRequest } from './http-request.ts';
import { maskedPath, type RequestLog } from './request-log.ts';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON of the body; `undefined` when it is empty or not JSON. */
  readonly body: unknown;
  readonly rawBody: string;
}
export interface FakeAnswer {
  readonly status: number;
  /** Sent as JSON, with exactly `application/json`. */
  readonly body?: unknown;
  readonly text?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly stream?: AsyncIterable<string>;
  /** `drop`: the connection dies after the work was done. `stall`: the answer never comes. */
  readonly fault?: 'drop' | 'stall';
  /** By the sandbox's clock. */
  readonly delaySeconds?: number;
}
export interface FakeCloud {
  readonly name: string;
  handle(request: FakeRequest): Promise<FakeAnswer>;
}
export interface ServedClouds extends AsyncDisposable {
  /** The origin of a cloud, like "http://127.0.0.1:40123". */
  urlOf(cloudName: string): string;
}
export interface ServeOptions {
  /** Of the first cloud; the next ones follow. 0: any free ones. */
  readonly port: number;
  readonly log: RequestLog;
  readonly clock: Pick<SandboxClock, 'after'>;
  /** Answers below `/_sandbox/`, the same on every origin. */
  readonly control?: (request: FakeRequest, cloudName: string) => Promise<FakeAnswer>;
  /** Told of a handler that threw; the client gets a plain 500. */
  readonly onFailure?: (failure: unknown) => void;
}

export const CONTROL_PREFIX = '/_sandbox/';
/** A page of another site must not drive the sandbox through a browser on this machine. */
const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d{1,5})?$/i;

/** Serves every cloud on an origin of its own, on loopback only. Throws `config_missing` for a port that is taken. */
export async function serveClouds(
  clouds: readonly FakeCloud[],
  options: ServeOptions,
): Promise<ServedClouds> {
  const disposer = new Disposer();
  const urls = new Map<string, string>();
  try {
    for (const [index, cloud] of clouds.entries()) {
      const server = createServer((request, response) => {
        void answer(cloud, options, request, response).catch((failure: unknown) => {
          // A client that hangs up in the middle of its request is no failure of ours.
          if (request.complete) options.onFailure?.(failure);
          if (response.headersSent) response.destroy();
          else send(response, { status: 500, text: 'Internal Server Error' });
        });
      });
      server.keepAliveTimeout = 60_000;
      const port = await listen(server, options.port === 0 ? 0 : options.port + index);
      disposer.add(async () => close(server));
      urls.set(cloud.name, `http://127.0.0.1:${port}`);
    }
  } catch (failure) {
    await disposer[Symbol.asyncDispose]();
    throw failure;
  }
  return {
    urlOf(cloudName) {
      const url = urls.get(cloudName);
      if (url === undefined) throw new Error(`There is no cloud ${cloudName}.`);
      return url;
    },
    [Symbol.asyncDispose]: async () => disposer[Symbol.asyncDispose](),
  };
}

async function answer(
  cloud: FakeCloud,
  options: ServeOptions,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => undefined);
  const { host = '', origin } = incoming.headers;
  if (!LOOPBACK.test(host) || (origin !== undefined && !isLoopbackOrigin(origin))) {
    incoming.resume();
    send(response, { status: 403, text: 'Only for this machine.' });
    return;
  }
  const request = await readRequest(incoming);
  if (request === undefined) {
    send(response, { status: 413, text: 'Request Entity Too Large' });
    return;
  }
  if (request.path.startsWith(CONTROL_PREFIX) && options.control !== undefined) {
    send(response, await options.control(request, cloud.name));
    return;
  }
  const seen = options.log.begin({
    cloud: cloud.name,
    method: request.method,
    path: maskedPath(request),
    body: request.body,
  });
  const made = await cloud.handle(request);
  seen(made.fault === undefined ? made.status : undefined, made.fault);
  if (made.delaySeconds !== undefined && made.delaySeconds > 0)
    await wait(options.clock, made.delaySeconds, response);
  if (made.fault === 'drop') incoming.socket.destroy();
  else if (made.fault !== 'stall') await deliver(response, made);
}

async function wait(
  clock: ServeOptions['clock'],
  seconds: number,
  response: ServerResponse,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const forget = clock.after(seconds, resolve);
    response.once('close', () => {
      forget();
      resolve();
    });
  });
}

async function deliver(response: ServerResponse, made: FakeAnswer): Promise<void> {
  if (made.stream === undefined) {
    send(response, made);
    return;
  }
  response.writeHead(made.status, {
    'content-type': made.contentType ?? 'text/plain',
    ...made.headers,
  });
  for await (const part of made.stream) {
    if (response.destroyed) return;
    response.write(part);
  }
  response.end();
}

function send(response: ServerResponse, made: FakeAnswer): void {
  if (response.destroyed || response.headersSent) return;
  const isJson = made.body !== undefined;
  const payload = Buffer.from(isJson ? JSON.stringify(made.body) : (made.text ?? ''));
  response.writeHead(made.status, {
    'content-type': made.contentType ?? (isJson ? 'application/json' : 'text/plain'),
    'content-length': payload.length,
    ...made.headers,
  });
  response.end(payload);
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && LOOPBACK.test(new URL(origin).host);
}

async function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new ConfigError('config_missing', `The sandbox cannot listen on port ${port}.`, {
          hint: 'Choose another with --port (0: any free one).',
          cause,
        }),
      );
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('No port.'));
      else resolve(address.port);
    });
  });
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}
