import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { ConnectConfig, ServerHostKeyAlgorithm } from 'ssh2';
import { type AppError, ConfigError, InputError, RemoteError } from '../core/errors.ts';
import type { SshEndpoint } from '../core/machine.ts';
import type { HostKeys } from './host-keys.ts';
import { type OpenChannel, openChannel } from './open-channel.ts';

const CONNECT_SECONDS = 20;
const KEEPALIVE_SECONDS = 10;
const KEEPALIVE_MISSES = 3;

/** What asking for a channel came to. Only after `full` and `gone` is it certain that nothing ran. */
export type Opened =
  | ({ readonly kind: 'opened' } & OpenChannel)
  | { readonly kind: 'full' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown'; readonly cause: unknown };

export interface Connection {
  /** Starts `command` on a channel of its own. */
  exec(command: string): Promise<Opened>;
  readonly open: boolean;
  readonly channels: number;
  onClose(listener: () => void): void;
  end(): void;
}

export interface ConnectDeps {
  readonly hostKeys: HostKeys;
  /** Socket of the person's SSH agent, used where the endpoint names no key. */
  readonly agentSocket?: string | undefined;
  readonly keepaliveSeconds?: number | undefined;
}

/** Why the socket never opened, so that a caller can tell a moved port from a machine that says no. */
export class ConnectFailure extends Error {
  readonly failure: AppError;
  readonly maybeMoved: boolean;
  constructor(failure: AppError, maybeMoved: boolean) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.maybeMoved = maybeMoved;
  }
}

/** One SSH connection with exactly one identity offered and the host key always checked. Throws `ConnectFailure`. */
export async function connect(endpoint: SshEndpoint, deps: ConnectDeps): Promise<Connection> {
  const auth = await authOf(endpoint, deps);
  const expected = await deps.hostKeys.expected(endpoint);
  const [{ default: ssh2 }, socket] = await Promise.all([import('ssh2'), dial(endpoint)]);
  const client = new ssh2.Client();
  let hostKeyRefused = false;
  let verifyFailure: unknown;
  let channels = 0;
  let open = false;

  await new Promise<void>((resolve, reject) => {
    const fail = (cause?: Error): void => {
      socket.destroy();
      reject(new ConnectFailure(failureOf(cause, hostKeyRefused, verifyFailure), false));
    };
    client.once('ready', () => {
      open = true;
      client.removeListener('error', fail);
      client.removeListener('close', fail);
      resolve();
    });
    client.on('error', fail);
    client.on('close', fail);
    client.connect({
      sock: socket,
      username: endpoint.user,
      ...auth,
      readyTimeout: CONNECT_SECONDS * 1000,
      keepaliveInterval: (deps.keepaliveSeconds ?? KEEPALIVE_SECONDS) * 1000,
      keepaliveCountMax: KEEPALIVE_MISSES,
      algorithms: {
        cipher: {
          prepend: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
          append: [],
          remove: [],
        },
        // A host with several keys must show the one we know.
        ...(expected === undefined
          ? {}
          : { serverHostKey: { prepend: algorithmsFor(expected), append: [], remove: [] } }),
      },
      hostVerifier: (key: Buffer, verify: (valid: boolean) => void): void => {
        deps.hostKeys.accept(endpoint, key).then(
          (known) => {
            hostKeyRefused = !known;
            verify(known);
          },
          (failure: unknown) => {
            verifyFailure = failure;
            verify(false);
          },
        );
      },
    });
  });
  client.on('error', () => {
    // 'close' follows, and says all there is to know.
  });
  client.once('close', () => {
    open = false;
  });
  socket.setNoDelay(true);

  return {
    get open() {
      return open;
    },
    get channels() {
      return channels;
    },
    async exec(command) {
      return new Promise((resolve) => {
        try {
          client.exec(command, (failure, channel) => {
            if (failure !== undefined) {
              // A dying connection also answers "Unable to exec"; a moment later it is known to be dead.
              setImmediate(() => {
                const dead = !open || socket.destroyed || socket.readableEnded;
                resolve(openFailureOf(failure, dead));
              });
              return;
            }
            channels += 1;
            channel.once('close', () => {
              channels -= 1;
            });
            resolve({ kind: 'opened', ...openChannel(channel) });
          });
        } catch {
          // ssh2 throws when the connection is known to be over: nothing was sent.
          open = false;
          resolve({ kind: 'gone' });
        }
      });
    },
    onClose(listener) {
      if (open) client.once('close', listener);
      else listener();
    },
    end() {
      open = false;
      client.end();
      socket.destroySoon();
    },
  };
}

async function authOf(
  { keyPath }: SshEndpoint,
  { agentSocket }: ConnectDeps,
): Promise<Pick<ConnectConfig, 'privateKey' | 'agent' | 'authHandler'>> {
  if (keyPath !== undefined) {
    const privateKey = await readFile(keyPath).catch((cause: unknown) => {
      throw new ConnectFailure(
        new ConfigError('config_missing', 'The SSH private key cannot be read.', {
          cause,
          hint: 'Check keyPath of the profile, or GPU_LEASE_SSH_KEY.',
        }),
        false,
      );
    });
    return { privateKey, authHandler: ['publickey'] };
  }
  if (agentSocket !== undefined) return { agent: agentSocket, authHandler: ['agent'] };
  throw new ConnectFailure(
    new RemoteError('ssh_refused', 'There is no key for this machine and no SSH agent.', {
      hint: 'Name a private key with keyPath in ssh_profile, or start an SSH agent.',
    }),
    false,
  );
}

async function dial({ host, port }: SshEndpoint): Promise<Socket> {
  const socket = new Socket();
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      socket.destroy();
      reject(
        new ConnectFailure(
          new RemoteError('ssh_unreachable', 'The machine does not answer on its SSH port.', {
            cause,
          }),
          true,
        ),
      );
    };
    socket.once('error', fail);
    socket.setTimeout(CONNECT_SECONDS * 1000, () => {
      fail(new Error('connect timed out'));
    });
    socket.connect({ host, port }, () => {
      socket.removeListener('error', fail);
      socket.setTimeout(0);
      resolve(socket);
    });
  });
}

function failureOf(
  cause: Error | undefined,
  hostKeyRefused: boolean,
  verifyFailure: unknown,
): AppError {
  if (hostKeyRefused)
    return new RemoteError('host_key_changed', 'The machine showed another host key than before.');
  const level = cause !== undefined && 'level' in cause ? cause.level : undefined;
  if (level === 'client-authentication' || level === 'agent')
    return new RemoteError('ssh_refused', 'The machine did not accept our key.', { cause });
  if (cause?.message.startsWith('Cannot parse privateKey') === true)
    return new ConfigError('config_missing', 'The SSH private key cannot be used.', { cause });
  return new RemoteError('ssh_unreachable', 'The machine did not complete the SSH handshake.', {
    cause: verifyFailure ?? cause,
  });
}

function openFailureOf(failure: Error, dead: boolean): Opened {
  if (failure.message.includes('Channel open failure')) return { kind: 'full' };
  if (failure.message === 'Channel is not open' || failure.message === 'Not connected')
    return { kind: 'gone' };
  if (failure.message === 'Unable to exec' && !dead) return { kind: 'refused' };
  return { kind: 'unknown', cause: failure };
}

/** A host that carries only a shell, such as a provider's proxy. */
export function execRefused(): AppError {
  return new InputError('unsupported', 'This road to the machine carries no commands.', {
    hint: 'Use the direct SSH address of the pod.',
  });
}

function algorithmsFor(key: string): ServerHostKeyAlgorithm[] {
  const type = Buffer.from(key, 'base64').subarray(4, 40).toString('latin1');
  if (type.startsWith('ssh-rsa')) return ['rsa-sha2-512', 'rsa-sha2-256'];
  for (const algorithm of [
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
  ] as const)
    if (type.startsWith(algorithm)) return [algorithm];
  return ['ssh-ed25519'];
}
