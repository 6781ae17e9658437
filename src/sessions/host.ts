import { after, type CallOptions } from '../core/call.ts';
import { RemoteError } from '../core/errors.ts';
import { MAX_LANES } from '../core/remote.ts';
import { SilenceError } from './connect-failure.ts';
import { type Connection, execRefused, type Opened } from './connection.ts';
import { createGate } from './gate.ts';
import { createLane, type Lane, type Line } from './lane.ts';
import type { OpenChannel } from './open-channel.ts';
import { moment } from './wait.ts';

/** For one machine, all lanes together. */
const MAX_CONNECTIONS = 40;
/** sshd allows ten sessions a connection unless it is told otherwise. */
const USUAL_LIMIT = 10;
/** A limit that was learnt from a refusal is tried again after so many channels went well. */
const CALM_CHANNELS = 30;
/** sshd starts to refuse at ten logins at once, from everybody together. */
const HANDSHAKES_AT_ONCE = 4;
/** Connections that break before they carry anything. */
const MAX_BROKEN = 3;
const QUEUE_SECONDS = 60;
const LEAST_QUEUE_SECONDS = 5;
/** How long a caller who went away waits to hear whether the command has started. */
const STARTED_SECONDS = 3;

export type Holder = 'commands' | 'transfers' | 'sessions' | 'kept ready';

export interface OpenOptions extends CallOptions {
  /** Channels of different lanes go over different connections. Default 0. */
  readonly lane?: number | undefined;
  /** Longest wait for a free channel. Default 60. */
  readonly withinSeconds?: number | undefined;
  /** Who has the channel, for the one who gets none. */
  readonly holder?: Holder | undefined;
  /** The caller was answered that nobody knows, and then the command turned out to have started. */
  readonly onLate?: (() => void) | undefined;
}

export interface HeldChannel extends OpenChannel {
  /** Whether the connection is up as far as anybody knows. */
  isUp(): boolean;
  /** Since the machine last said anything over it. */
  quietSeconds(): number;
  /** From now on somebody else has it. */
  holdAs(holder: Holder): void;
}

/** All connections to one machine. */
export interface Host {
  open(command: string, options: OpenOptions): Promise<HeldChannel>;
  /** Only where it takes nothing from anybody: no new connection, no last place. Undefined: not now. */
  openSpare(command: string): Promise<HeldChannel | undefined>;
  end(): void;
}

export function createHost({
  dial,
  onCrowded,
  idleSeconds,
}: {
  readonly dial: () => Promise<Connection>;
  readonly onCrowded: () => number;
  readonly idleSeconds: number;
}): Host {
  const lanes = new Map<number, Lane>();
  const gate = createGate(HANDSHAKES_AT_ONCE);
  const held = new Map<Holder, number>();
  let limit = USUAL_LIMIT;
  let calm = 0;

  const laneOf = (wanted = 0): Lane => {
    const number = Math.min(MAX_LANES, Math.max(0, Math.trunc(wanted)));
    const lane =
      lanes.get(number) ??
      createLane({
        limit: () => limit,
        dial: async () => gate(dial),
        mayGrow: () =>
          [...lanes.values()].reduce((sum, one) => sum + one.connections, 0) < MAX_CONNECTIONS,
        onCrowded: number === 0 ? onCrowded : () => 0,
        idleSeconds,
      });
    lanes.set(number, lane);
    return lane;
  };

  const count = (holder: Holder, by: number): void => {
    held.set(holder, (held.get(holder) ?? 0) + by);
  };

  /** `opened`, counted until it closes; else what the refusal teaches. */
  function settle(lane: Lane, line: Line, opened: Opened, holder: Holder): HeldChannel | undefined {
    if (opened.kind === 'opened') {
      let now = holder;
      count(now, 1);
      opened.channel.once('close', () => {
        count(now, -1);
        calm += 1;
        if (calm >= CALM_CHANNELS && limit < USUAL_LIMIT) {
          calm = 0;
          limit += 1;
        }
        lane.giveBack(line);
      });
      const { channel, ended, lendMemory } = opened;
      return {
        channel,
        ended,
        lendMemory,
        isUp: () => line.connection.open,
        quietSeconds: () => line.connection.quietSeconds(),
        holdAs(next) {
          count(now, -1);
          now = next;
          count(now, 1);
        },
      };
    }
    if (opened.kind === 'full') {
      calm = 0;
      const others = line.taken - 1;
      // What we let go of may still be winding up over there; another connection knows nothing of it.
      if (others === 0) lane.drop(line);
      else limit = Math.min(limit, others);
    } else if (opened.kind !== 'refused') lane.drop(line);
    lane.giveBack(line);
    return undefined;
  }

  return {
    async open(command, options) {
      const { signal, withinSeconds = QUEUE_SECONDS, holder = 'commands', onLate } = options;
      const lane = laneOf(options.lane);
      const late = new AbortController();
      const cancel = after(Math.max(LEAST_QUEUE_SECONDS, withinSeconds), () => {
        late.abort();
      });
      const either = AbortSignal.any([signal, late.signal]);
      let broken = 0;
      try {
        for (let first = false; ; first = true) {
          const line = await lane.take(either, first).catch((failure: unknown) => {
            throw late.signal.aborted && !signal.aborted ? noPlace(lane, held) : failure;
          });
          const isFirst = line.uses === 1;
          const asked = line.connection.exec(command);
          const opened = await settledOr(asked, either);
          if (opened === undefined) {
            void asked.then((known) => {
              settle(lane, line, known, holder)?.channel.destroy();
              if (known.kind === 'opened') onLate?.();
            });
            throw new RemoteError(
              'link_lost',
              'The machine did not say whether the command began.',
            );
          }
          const channel = settle(lane, line, opened, holder);
          if (channel !== undefined) return channel;
          if (opened.kind === 'refused' || (opened.kind === 'full' && isFirst)) throw execRefused();
          if (opened.kind === 'unknown')
            throw new RemoteError(
              'link_lost',
              'The link broke while a command was being started.',
              {
                cause: opened.cause,
              },
            );
          if (opened.kind === 'gone') broken += 1;
          if (broken >= MAX_BROKEN)
            throw new RemoteError(
              'ssh_unreachable',
              'The link to the machine breaks again and again.',
            );
        }
      } finally {
        cancel();
      }
    },
    async openSpare(command) {
      const lane = laneOf();
      const line = lane.takeSpare();
      if (line === undefined) return undefined;
      return settle(lane, line, await line.connection.exec(command), 'kept ready');
    },
    end() {
      for (const lane of lanes.values()) lane.end();
    },
  };
}

/** Undefined: the caller left, and a moment later it was still not known. */
async function settledOr(asked: Promise<Opened>, signal: AbortSignal): Promise<Opened | undefined> {
  const left = new Promise<undefined>((resolve) => {
    const leave = (): void => {
      void moment(STARTED_SECONDS).then(() => {
        resolve(undefined);
      });
    };
    if (signal.aborted) leave();
    else {
      signal.addEventListener('abort', leave, { once: true });
      void asked.finally(() => {
        signal.removeEventListener('abort', leave);
      });
    }
  });
  return Promise.race([asked, left]);
}

function noPlace(lane: Lane, held: ReadonlyMap<Holder, number>): RemoteError {
  if (lane.connections === 0 || [...held.values()].every((one) => one === 0))
    return new RemoteError('ssh_unreachable', 'The machine did not let us in within the time.', {
      cause: new SilenceError('not let in'),
    });
  const list = [...held].filter(([, number]) => number > 0);
  return new RemoteError('ssh_unreachable', 'All channels to the machine stayed in use.', {
    hint: `In use: ${list.map(([holder, number]) => `${holder} ${number}`).join(', ')}. Wait for their end, or close sessions with session_close, then retry.`,
  });
}
