import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { type LinkShape, startDelayProxy } from '../support/delay-proxy.ts';

/** A server that echoes, behind a link of that shape. */
async function behind(shape: LinkShape): Promise<{ dial(): Promise<Socket> } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await startDelayProxy((server.address() as AddressInfo).port, shape);
  return {
    async dial() {
      const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true });
      sockets.add(socket);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await proxy[Symbol.asyncDispose]();
      server.close();
    },
  };
}

/** Sends all of it, ends, and answers what came back and after how long. */
async function echoed(socket: Socket, bytes: Buffer): Promise<{ hash: string; seconds: number }> {
  const hash = createHash('sha256');
  const start = performance.now();
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  socket.end(bytes);
  await once(socket, 'end');
  return { hash: hash.digest('hex'), seconds: (performance.now() - start) / 1000 };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

it('a byte and its echo take the round trip that was asked for', async () => {
  await using link = await behind({ rttMs: 60 });
  const socket = await link.dial();
  const took: number[] = [];
  for (let turn = 0; turn < 10; turn += 1) {
    const start = performance.now();
    const answer = once(socket, 'data');
    socket.write('x');
    await answer;
    took.push(performance.now() - start);
  }
  expect(Math.min(...took)).toBeGreaterThanOrEqual(58);
  // What a busy machine adds is not the link's: its fastest is near what was asked for.
  expect(Math.min(...took)).toBeLessThan(80);
});

it.each<[string, LinkShape]>([
  ['a long link', { rttMs: 40 }],
  ['a thin link', { rttMs: 10, bytesPerSecond: 20e6 }],
  [
    'a bad link',
    { rttMs: 10, bytesPerSecond: 20e6, jitterMs: 15, stallsPerSecond: 5, stallMs: 30 },
  ],
])('%s carries every byte, in order, and the end of each direction', async (_name, shape) => {
  await using link = await behind(shape);
  const bytes = randomBytes(3_000_000);
  const { hash } = await echoed(await link.dial(), bytes);
  expect(hash).toBe(sha256(bytes));
});

it('a thin link is shared by its connections, and none waits for another to end', async () => {
  const bytesPerSecond = 10e6;
  await using link = await behind({ rttMs: 10, bytesPerSecond });
  const bytes = randomBytes(2_000_000);
  const sockets = await Promise.all([link.dial(), link.dial(), link.dial()]);
  const results = await Promise.all(sockets.map(async (socket) => echoed(socket, bytes)));
  const least = (3 * bytes.length) / bytesPerSecond;
  expect(Math.max(...results.map(({ seconds }) => seconds))).toBeGreaterThan(least * 0.9);
  // One after the other would let the first end after a third of the time.
  expect(Math.min(...results.map(({ seconds }) => seconds))).toBeGreaterThan(least * 0.6);
  for (const { hash } of results) expect(hash).toBe(sha256(bytes));
});
