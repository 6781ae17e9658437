import type { Clock } from '../core/call.ts';
import { type AppError, InputError, isAppError } from '../core/errors.ts';
import type { SshEndpoint } from '../core/machine.ts';
import { ConnectFailure } from './connect-failure.ts';
import { type Credentials, credentialsOf } from './credentials.ts';
import { shakeHands } from './handshake.ts';
import type { HostKeys } from './host-keys.ts';
import { type OpenChannel, openChannel } from './open-channel.ts';
import { explained, openRoad } from './road.ts';

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
  /** Since the machine last said anything. */
  quietSeconds(): number;
  onClose(listener: () => void): void;
  end(): void;
}

export interface ConnectDeps {
  readonly clock: Clock;
  readonly hostKeys: HostKeys;
  /** Socket of the person's SSH agent, used where the endpoint names no key. */
  readonly agentSocket?: string | undefined;
  readonly keepaliveSeconds?: number | undefined;
}

/** The last: the link broke before the channel was there, and only then is a command named. */
const NEVER_ASKED: readonly string[] = [
  'Channel is not open',
  'Not connected',
  'No response from server',
];

/**
 * One SSH connection, with the machines on the way where there are any. Each host key is checked before anything is
 * offered. Throws `ConnectFailure`.
 */
export async function connect(endpoint: SshEndpoint, deps: ConnectDeps): Promise<Connection> {
  const { hostKeys, agentSocket, keepaliveSeconds, clock } = deps;
  const { podId } = endpoint;
  const common = { podId, hostKeys, keepaliveSeconds };
  const loading = load(async () => credentialsOf(endpoint, agentSocket));
  // Loaded while the way is opened; whichever fails first is what is told.
  const opening = openRoad(endpoint, async (target, stream, jump) => {
    const credentials = await load(async () => credentialsOf(target, agentSocket));
    return shakeHands({ ...common, target, stream, jump, credentials });
  });
  const [credentials, road] = await Promise.all([loading, opening]).catch(
    async (failure: unknown) => {
      opening.then(
        (opened) => {
          opened.close();
        },
        () => undefined,
      );
      throw await loading.then(
        () => failure,
        (own: unknown) => own,
      );
    },
  );
  const { stream } = road;
  const client = await shakeHands({ ...common, target: endpoint, stream, credentials }).catch(
    async (failure: unknown) => {
      const why = await explained(failure, road);
      road.close();
      throw why;
    },
  );
  let open = !stream.destroyed;
  let heardAt = clock.now().getTime();
  stream.on('data', () => {
    heardAt = clock.now().getTime();
  });
  client.once('close', () => {
    open = false;
    road.close();
  });

  const channels = { open: 0, lent: 0 };
  const count = (opened: number, lent: number): void => {
    channels.open += opened;
    channels.lent += lent;
    // One that keeps what it got would find it overwritten.
    road.reuseMemory(channels.lent > 0 && channels.open === channels.lent);
  };

  return {
    get open() {
      return open;
    },
    quietSeconds: () => (clock.now().getTime() - heardAt) / 1000,
    async exec(command) {
      return new Promise((resolve) => {
        count(1, 0);
        try {
          client.exec(command, (failure, channel) => {
            if (failure !== undefined) {
              count(-1, 0);
              // A dying connection also answers "Unable to exec"; a moment later it is known to be dead.
              setImmediate(() => {
                const dead = !open || stream.destroyed || stream.readableEnded;
                resolve(openFailureOf(failure, dead));
              });
              return;
            }
            let lent = 0;
            channel.once('close', () => {
              count(-1, -lent);
            });
            const opened = openChannel(channel, () => {
              if (lent === 0 && open) count(0, 1);
              lent = 1;
            });
            resolve({ kind: 'opened', ...opened });
          });
        } catch {
          // ssh2 throws when the connection is known to be over: nothing was sent.
          open = false;
          count(-1, 0);
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
      road.close();
    },
  };
}

async function load(work: () => Promise<Credentials>): Promise<Credentials> {
  return work().catch((failure: unknown) => {
    throw isAppError(failure) ? new ConnectFailure(failure) : failure;
  });
}

function openFailureOf(failure: Error, dead: boolean): Opened {
  if (failure.message.includes('Channel open failure')) return { kind: 'full' };
  if (NEVER_ASKED.includes(failure.message)) return { kind: 'gone' };
  if (failure.message === 'Unable to exec' && !dead) return { kind: 'refused' };
  return { kind: 'unknown', cause: failure };
}

/** A host that carries only a shell, such as a provider's proxy. */
export function execRefused(): AppError {
  return new InputError('unsupported', 'This road to the machine carries no commands.', {
    hint: 'Use the direct SSH address of the pod.',
  });
}
