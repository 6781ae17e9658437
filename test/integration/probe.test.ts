import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createProbe } from '../../src/sessions/probe.ts';
import { startSshd } from '../support/sshd.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();

async function listen(greet: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    greet(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(
    servers.splice(0).map(
      async (server) =>
        new Promise((resolve) => {
          server.close(resolve);
        }),
    ),
  );
});

const limits = { connectSeconds: 2, bannerSeconds: 0.5 };
const knock = async (port: number, signal = new AbortController().signal) =>
  createProbe().reach({ host: '127.0.0.1', port }, { ...limits, signal });

describe('a knock at a pod [RE-05] [RE-08]', () => {
  it('hears a real sshd', async () => {
    await using sshd = await startSshd();
    expect(await knock(sshd.endpoint.port)).toBe('ssh');
  });

  it('finds nobody at a closed port, and at a name that is none', async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await knock(port)).toBe('closed');
    const nowhere = { host: 'no-such-host.invalid', port: 22 };
    const { signal } = new AbortController();
    expect(await createProbe().reach(nowhere, { ...limits, signal })).toBe('closed');
  });

  it.each([
    ['says nothing', () => undefined],
    ['hangs up', (socket: Socket) => socket.end()],
    ['speaks HTTP', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['never ends its line', (socket: Socket) => socket.write('SSH-2.0-OpenSSH')],
    ['floods', (socket: Socket) => socket.write('x'.repeat(100_000))],
  ])('finds an open port that is no SSH where one %s', async (_what, greet) => {
    expect(await knock(await listen(greet))).toBe('open');
  });

  it('reads over what a server says before it names itself, in pieces (RFC 4253)', async () => {
    const port = await listen((socket) => {
      socket.write('Welcome to vast.ai. If authentication fails, try again\r\nSSH-');
      setImmediate(() => socket.write('2.0-OpenSSH_9.2\r\n'));
    });
    expect(await knock(port)).toBe('ssh');
  });

  it('leaves no connection behind', async () => {
    const closed = new Promise<void>((resolve) => {
      void listen((socket) => {
        socket.once('close', () => {
          resolve();
        });
        socket.resume();
        socket.write('SSH-2.0-x\r\n');
      }).then(knock);
    });
    await closed;
  });

  it('ends at once when the caller gives up', async () => {
    const abort = new AbortController();
    const port = await listen(() => {
      abort.abort(new Error('given up'));
    });
    await expect(knock(port, abort.signal)).rejects.toThrow('given up');
    await expect(knock(port, abort.signal)).rejects.toThrow('given up');
  });
});
