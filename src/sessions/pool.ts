import type { CallOptions } from '../core/call.ts';
import { CancelledError, RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import type { Machines, SshEndpoint } from '../core/machine.ts';
import { MAX_LANES } from '../core/remote.ts';
import { ConnectFailure } from './connect-failure.ts';
import { type Connection, connect, execRefused } from './connection.ts';
import type { HostKeys } from './host-keys.ts';
import type { OpenChannel } from './open-channel.ts';

/** sshd allows ten sessions a connection by default; past that the overflow gets connections of its own. */
const MAX_CONNECTIONS = 8;

export interface Pool extends AsyncDisposable {
  /** Starts `command` on a channel to the pod, connecting where there is no connection. Retries only what never started. */
  open(podId: PodId, command: string, options: OpenOptions): Promise<OpenChannel>;
  disconnect(podId: PodId): Promise<void>;
}

export interface OpenOptions extends CallOptions {
  /** Channels of different lanes go over different connections. Default 0. */
  readonly lane?: number | undefined;
}

export interface PoolDeps {
  readonly machines: Machines;
  readonly hostKeys: HostKeys;
  readonly agentSocket?: string | undefined;
  readonly keepaliveSeconds?: number | undefined;
}

interface Slot {
  /** All of the pod. */
  readonly lanes: ReadonlyMap<number, Slot>;
  connections: Connection[];
  connecting: Promise<Connection> | undefined;
}

export function createPool({ machines, hostKeys, agentSocket, keepaliveSeconds }: PoolDeps): Pool {
  /** One for each lane in use. */
  const slots = new Map<PodId, Map<number, Slot>>();
  const deps = { hostKeys, agentSocket, keepaliveSeconds };
  /** The login that was let in, where there were two to choose from. */
  const users = new Map<PodId, string>();

  const slotOf = (podId: PodId, wanted = 0): Slot => {
    const lane = Math.min(MAX_LANES, Math.max(0, Math.trunc(wanted)));
    const lanes = slots.get(podId) ?? new Map<number, Slot>();
    slots.set(podId, lanes);
    const slot = lanes.get(lane) ?? { lanes, connections: [], connecting: undefined };
    lanes.set(lane, slot);
    return slot;
  };

  /** The address is asked for again where the old one does not answer: ports move when a pod restarts. */
  async function connectFresh(podId: PodId): Promise<Connection> {
    const { signal } = new AbortController();
    const endpoint = await machines.endpoint(podId, { signal });
    try {
      return await connectAs(endpoint);
    } catch (failure) {
      if (!(failure instanceof ConnectFailure)) throw failure;
      if (!failure.maybeMoved) throw failure.failure;
      const now = await machines.endpoint(podId, { signal, moved: true });
      if (sameAddress(endpoint, now)) throw failure.failure;
      return await connectAs(now).catch((second: unknown) => {
        throw second instanceof ConnectFailure ? second.failure : second;
      });
    }
  }

  /** As the login that the endpoint names, and after a clear denial as the one other that it names (KE-09). */
  async function connectAs(endpoint: SshEndpoint): Promise<Connection> {
    const { podId, user, secondUser } = endpoint;
    if (secondUser === undefined) return connect(endpoint, deps);
    const [first, other] =
      users.get(podId) === secondUser ? [secondUser, user] : [user, secondUser];
    try {
      return await connect({ ...endpoint, user: first }, deps);
    } catch (failure) {
      if (!(failure instanceof ConnectFailure) || !failure.denied) throw failure;
      const connection = await connect({ ...endpoint, user: other }, deps).catch(
        (second: unknown) => {
          throw second instanceof ConnectFailure && second.denied ? deniedBoth(endpoint) : second;
        },
      );
      users.set(podId, other);
      return connection;
    }
  }

  /** One handshake at a time for a pod, whoever asks. */
  async function addConnection(podId: PodId, slot: Slot): Promise<Connection> {
    slot.connecting ??= connectFresh(podId)
      .then((connection) => {
        slot.connections.push(connection);
        connection.onClose(() => {
          slot.connections = slot.connections.filter((one) => one !== connection);
        });
        if (slots.get(podId) !== slot.lanes) connection.end();
        return connection;
      })
      .finally(() => {
        slot.connecting = undefined;
      });
    return slot.connecting;
  }

  return {
    async open(podId, command, { signal, lane }) {
      const full = new Set<Connection>();
      for (let attempt = 0; attempt < MAX_CONNECTIONS + 2; attempt += 1) {
        if (signal.aborted) throw new CancelledError('cancelled', 'Cancelled before it started.');
        const slot = slotOf(podId, lane);
        const connection =
          slot.connections.find((one) => one.open && !full.has(one)) ??
          (await untilAborted(addConnection(podId, slot), signal));
        const opened = await connection.exec(command);
        switch (opened.kind) {
          case 'opened':
            return opened;
          case 'refused':
            throw execRefused();
          case 'unknown':
            throw new RemoteError(
              'link_lost',
              'The link broke while a command was being started.',
              {
                cause: opened.cause,
              },
            );
          case 'full':
            full.add(connection);
            if (full.size >= MAX_CONNECTIONS) attempt = MAX_CONNECTIONS + 2;
            break;
          case 'gone':
            slot.connections = slot.connections.filter((one) => one !== connection);
            break;
        }
      }
      throw new RemoteError('ssh_unreachable', 'The machine accepts no more commands at once.', {
        hint: 'Close sessions that are not needed with session_close, then retry.',
      });
    },
    async disconnect(podId) {
      const lanes = slots.get(podId);
      slots.delete(podId);
      for (const slot of lanes?.values() ?? [])
        for (const connection of slot.connections) connection.end();
      return Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      for (const podId of [...slots.keys()]) await this.disconnect(podId);
    },
  };
}

function sameAddress(one: SshEndpoint, other: SshEndpoint): boolean {
  const wayOf = ({ host, port, user, proxyCommand, via = [] }: SshEndpoint): string =>
    JSON.stringify([host, port, user, proxyCommand, via.map((hop) => [hop.host, hop.port])]);
  return wayOf(one) === wayOf(other);
}

function deniedBoth({ user, secondUser = '' }: SshEndpoint): ConnectFailure {
  return new ConnectFailure(
    new RemoteError('ssh_refused', 'The machine did not accept our key.', {
      hint: `Neither "${user}" nor "${secondUser}" is let in with it. Ask the user for the login name and the key of this machine.`,
    }),
  );
}

/** Stops waiting when the caller does; the work goes on for whoever else waits for it. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(new CancelledError('cancelled', 'Cancelled by the caller.'));
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
