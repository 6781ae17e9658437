import { Socket } from 'node:net';
import type { Probe, Reach } from '../core/machine.ts';

/** What a server may say before it names itself (RFC 4253, 4.2). More than this is not SSH. */
const GREETING_LIMIT_BYTES = 8192;

/** Plain TCP: connects, reads until the other side says that it speaks SSH, and hangs up without a word. */
export function createProbe(): Probe {
  return {
    async reach({ host, port }, { signal, connectSeconds, bannerSeconds }) {
      signal.throwIfAborted();
      const socket = new Socket();
      let isOpen = false;
      let greeting = '';
      const ended = new Promise<Reach>((resolve) => {
        const end = (): void => {
          resolve(isOpen ? 'open' : 'closed');
        };
        socket.on('error', end);
        socket.on('close', end);
        socket.on('data', (bytes: Buffer) => {
          greeting += bytes.toString('latin1');
          if (isIdentified(greeting)) resolve('ssh');
          else if (greeting.length > GREETING_LIMIT_BYTES) end();
        });
        // Counts silence: a machine that dribbles is cut off by the limit of its greeting.
        socket.setTimeout(connectSeconds * 1000, end);
        socket.connect({ host, port }, () => {
          isOpen = true;
          socket.setTimeout(bannerSeconds * 1000);
        });
      });
      const hangUp = (): void => {
        socket.destroy();
      };
      signal.addEventListener('abort', hangUp, { once: true });
      try {
        const reached = await ended;
        signal.throwIfAborted();
        return reached;
      } finally {
        signal.removeEventListener('abort', hangUp);
        socket.destroy();
      }
    },
  };
}

function isIdentified(greeting: string): boolean {
  return /(?:^|\n)SSH-[0-9.]+-[^\n]*\n/.test(greeting);
}
