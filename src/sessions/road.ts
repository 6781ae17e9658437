import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { RemoteError } from '../core/errors.ts';
import type { SshEndpoint, SshTarget } from '../core/machine.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { ConnectFailure, SilenceError, unreachable } from './connect-failure.ts';
import { CONNECT_SECONDS } from './handshake.ts';

const MAX_SAID = 2000;
const LAST_WORDS_SECONDS = 0.5;

/** A byte stream to the machine's SSH port, and what carries it. */
export interface Road {
  readonly stream: Duplex;
  /** Ends the way; what runs over it is cut. */
  close(): void;
  /** What the program that carries it complained of: foreign text. */
  complaint(): Promise<string>;
}

/**
 * Opens the way to `endpoint`: straight, through a program of the person's ssh configuration, and through the machines on
 * the way, logging in to each by `login`. Throws `ConnectFailure`; then nothing is left open.
 */
export async function openRoad(
  endpoint: SshEndpoint,
  login: (target: SshTarget, stream: Duplex, jump: number) => Promise<Client>,
): Promise<Road> {
  const { via = [], proxyCommand } = endpoint;
  const [first = endpoint] = via;
  const start = proxyCommand === undefined ? await dial(first) : runProxy(proxyCommand);
  const hops: Client[] = [];
  const close = (): void => {
    for (const hop of hops.toReversed()) hop.end();
    start.close();
  };
  try {
    let { stream } = start;
    for (const [index, hop] of via.entries()) {
      const client = await login(hop, stream, index + 1).catch(async (failure: unknown) => {
        throw await explained(failure, start);
      });
      hops.push(client);
      stream = await forward(client, via[index + 1] ?? endpoint);
    }
    return { stream, close, complaint: async () => start.complaint() };
  } catch (failure) {
    close();
    throw failure;
  }
}

/** A handshake that never came about is explained by what the program on the way said. */
export async function explained(failure: unknown, road: Road): Promise<unknown> {
  if (!(failure instanceof ConnectFailure) || failure.failure.code !== 'ssh_unreachable')
    return failure;
  const complaint = await road.complaint();
  if (complaint === '') return failure;
  return new ConnectFailure(
    new RemoteError('ssh_unreachable', 'The ProxyCommand did not lead to the machine.', {
      hint: 'It comes from the ssh configuration of the user: let them try it with ssh, then call again.',
      foreignText: quoteForeign(complaint, 500),
      cause: failure.failure,
    }),
  );
}

async function dial({ host, port }: SshTarget): Promise<Road> {
  const socket = new Socket();
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(unreachable('The machine does not answer on its SSH port.', cause));
    };
    socket.once('error', fail);
    socket.setTimeout(CONNECT_SECONDS * 1000, () => {
      fail(new SilenceError('connect timed out'));
    });
    socket.connect({ host, port }, () => {
      socket.removeListener('error', fail);
      socket.setTimeout(0);
      resolve();
    });
  });
  socket.setNoDelay(true);
  socket.on('error', () => {
    // It may be reset before anybody speaks over it; 'close' follows, and is what counts.
  });
  return {
    stream: socket,
    complaint: async () => Promise.resolve(''),
    close() {
      socket.destroySoon();
    },
  };
}

/** As ssh does it: the person's own program speaks to the machine, we speak to the program. */
function runProxy(command: string): Road {
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that all of a pipeline ends with the connection.
    detached: true,
  });
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.reduce((sum, { length }) => sum + length, 0) < MAX_SAID) said.push(chunk);
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.once('error', (failure) => {
    stream.destroy(failure);
  });
  stream.on('error', () => {
    // It may end before anybody speaks over it; 'close' follows, and is what counts.
  });
  const close = (): void => {
    stream.destroy();
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It ended by itself.
    }
  };
  // Whatever ends the stream must not leave the program behind.
  stream.once('close', close);
  return {
    stream,
    close,
    async complaint() {
      await Promise.race([
        once(child.stderr, 'close'),
        once(AbortSignal.timeout(LAST_WORDS_SECONDS * 1000), 'abort'),
      ]).catch(() => undefined);
      return Buffer.concat(said).toString('utf8');
    },
  };
}

async function forward(client: Client, { host, port }: SshTarget): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const cut = (): void => {
      reject(unreachable('The link to a jump host on the way broke.'));
    };
    client.once('close', cut);
    client.forwardOut('127.0.0.1', 0, host, port, (failure, channel) => {
      client.removeListener('close', cut);
      if (failure === undefined) {
        // The machine behind cannot live longer than the way to it.
        client.once('close', () => {
          channel.destroy();
        });
        resolve(channel);
      } else reject(unreachable('A jump host on the way cannot reach the next machine.', failure));
    });
  });
}
