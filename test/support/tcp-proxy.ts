import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Resets every connection now. New ones are accepted. */
  cutLinks(): void;
  /** Passes nothing on, in both directions, and closes nothing: a link that died silently. */
  freeze(): void;
  thaw(): void;
  /** Refuses new connections while false. */
  accepting: boolean;
}

/** A proxy on loopback between a client and `target`, whose links can be cut or frozen. */
export async function startTcpProxy(target: () => number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    if (frozen) socket.pause();
  };
  const server = createServer((client) => {
    if (!proxy.accepting) {
      client.resetAndDestroy();
      return;
    }
    const pod = connect(target(), '127.0.0.1');
    track(client);
    track(pod);
    const carry = (from: Socket, to: Socket): void => {
      from.on('data', (chunk) => {
        if (!to.write(chunk)) {
          from.pause();
          to.once('drain', () => {
            if (!frozen) from.resume();
          });
        }
      });
      from.once('end', () => to.end());
      from.once('close', () => to.destroy());
    };
    carry(client, pod);
    carry(pod, client);
    if (frozen) for (const socket of [client, pod]) socket.pause();
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('no port'));
      else resolve(address.port);
    });
  });
  const proxy: TcpProxy = {
    port,
    accepting: true,
    cutLinks() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return proxy;
}
