import { connect, createServer, type Socket } from 'node:net';

/** Where a connection goes: to a machine, to nobody at once (`shut`), or to nobody for ever (`mute`). */
export type Aim = { readonly host: string; readonly port: number } | 'shut' | 'mute';

/** A port of the host that leads to a container, as docker's own proxy does: it listens before anybody answers behind it. */
export interface Door {
  readonly port: number;
  /** Stops listening and ends what is connected: from now on connections are refused. */
  wallUp(): void;
}

/** Told when a connection has ended: bytes that came out of the container, and bytes that went in. */
export type Count = (outBytes: number, inBytes: number) => void;

/** Opens a port on loopback; `aim` is asked for each connection. */
export async function openDoor(
  aim: () => Promise<Aim>,
  count: Count = () => undefined,
): Promise<Door> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const letIn = async (visitor: Socket): Promise<void> => {
    const target = await aim().catch((): Aim => 'shut');
    if (visitor.destroyed || target === 'mute') return;
    if (target === 'shut') {
      visitor.resetAndDestroy();
      return;
    }
    const inner = connect(target.port, target.host);
    keep(inner);
    inner.setNoDelay(true);
    visitor.setNoDelay(true);
    visitor.pipe(inner).pipe(visitor);
    inner.once('close', () => visitor.destroy());
    visitor.once('close', () => {
      inner.destroy();
      count(visitor.bytesWritten, visitor.bytesRead);
    });
  };
  const server = createServer((visitor) => {
    keep(visitor);
    void letIn(visitor);
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('No port.'));
      else resolve(address.port);
    });
  });
  // A door keeps no program alive.
  server.unref();
  return {
    port,
    wallUp() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
