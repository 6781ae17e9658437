import { connect, createServer, type Socket } from 'node:net';

export interface MeteredProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes that clients sent, and that came back, over all connections so far. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

const TICK_MS = 10;

/** A link to `port` on loopback that carries so many bytes a second each way, and counts them. */
export async function startMeteredProxy(
  port: number,
  bytesPerSecond: number,
): Promise<MeteredProxy> {
  const counts = { sent: 0, received: 0 };
  const sockets = new Set<Socket>();
  const flows = { sent: meter(bytesPerSecond), received: meter(bytesPerSecond) };
  const carry = (from: Socket, to: Socket, way: 'sent' | 'received'): void => {
    from.on('data', (chunk: Buffer) => {
      counts[way] += chunk.length;
      from.pause();
      flows[way].pass(chunk.length, () => {
        if (to.destroyed) return;
        if (to.write(chunk)) from.resume();
        else to.once('drain', () => from.resume());
      });
    });
    from.on('end', () => to.end());
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroySoon();
    });
    sockets.add(from);
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const pod = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    carry(client, pod, 'sent');
    carry(pod, client, 'received');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get sentBytes() {
      return counts.sent;
    },
    get receivedBytes() {
      return counts.received;
    },
    async [Symbol.asyncDispose]() {
      flows.sent.stop();
      flows.received.stop();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Lets pieces through in the order in which they come, as fast as the rate allows. */
function meter(bytesPerSecond: number): {
  pass(bytes: number, go: () => void): void;
  stop(): void;
} {
  const queue: { readonly bytes: number; readonly go: () => void }[] = [];
  let credit = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    credit = Math.min(bytesPerSecond / 20, credit + (bytesPerSecond * (now - last)) / 1000);
    last = now;
    for (let next = queue[0]; next !== undefined && credit > 0; next = queue[0]) {
      queue.shift();
      credit -= next.bytes;
      next.go();
    }
  }, TICK_MS);
  return {
    pass(bytes, go) {
      // Small ones are typing and answers: only bulk is held back.
      if (queue.length === 0 && (credit > 0 || bytes < 1000)) {
        credit -= bytes;
        go();
      } else queue.push({ bytes, go });
    },
    stop() {
      clearInterval(timer);
    },
  };
}
