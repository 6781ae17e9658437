import { RemoteError } from '../core/errors.ts';
import type { Connection } from './connection.ts';
import { whenIdle } from './idle.ts';

/** A connection and how many channels of it are taken, those that are being opened included. */
export interface Line {
  readonly connection: Connection;
  taken: number;
  /** Counts up with every channel. */
  uses: number;
}

/** What the lanes of one machine share. */
export interface LaneDeps {
  /** Channels that a connection takes as far as is known. */
  readonly limit: () => number;
  readonly dial: () => Promise<Connection>;
  /** Whether one more connection may be made. */
  readonly mayGrow: () => boolean;
  /** Somebody waits: channels that are only kept ready should be given back. Answers how many will be. */
  readonly onCrowded: () => number;
  readonly idleSeconds: number;
}

export interface Lane {
  /** Connections that are there or being made. */
  readonly connections: number;
  /** A place for a channel, in the order of asking; `first`: before all others, since it had its turn. */
  take(signal: AbortSignal, first: boolean): Promise<Line>;
  /** A place that costs nobody anything: on a connection that is there, and never its last one. */
  takeSpare(): Line | undefined;
  giveBack(line: Line): void;
  /** It takes no more channels; those that run may go on. */
  drop(line: Line): void;
  end(): void;
}

interface Waiter {
  readonly give: (line: Line) => void;
  readonly fail: (why: unknown) => void;
}

/** Connections of one kind to one machine: as many as the channels need, each as full as the machine allows. */
export function createLane(deps: LaneDeps): Lane {
  let lines: Line[] = [];
  let making = 0;
  let over = false;
  const queue: Waiter[] = [];

  const free = (): Line | undefined =>
    lines.find(({ connection, taken }) => connection.open && taken < deps.limit());

  /** Hands places to those who wait, and makes connections for the rest. */
  function serve(): void {
    while (queue.length > 0) {
      const line = free();
      if (line === undefined) break;
      occupy(line);
      queue.shift()?.give(line);
    }
    if (queue.length === 0) return;
    const coming = lines.length > 0 ? deps.onCrowded() : 0;
    while (queue.length > coming + making * deps.limit() && deps.mayGrow()) void grow();
  }

  async function grow(): Promise<void> {
    making += 1;
    try {
      const connection = await deps.dial();
      if (over) {
        connection.end();
        return;
      }
      if (!connection.open)
        throw new RemoteError('ssh_unreachable', 'The machine hung up right after the login.');
      const line: Line = { connection, taken: 0, uses: 0 };
      lines.push(line);
      connection.onClose(() => {
        drop(line);
      });
      closeWhenIdle(line);
    } catch (failure) {
      // With a connection at work those who wait may still get a place on it; alone, nothing will ever come.
      if (lines.length === 0 && making === 1)
        for (const waiter of queue.splice(0)) waiter.fail(failure);
    } finally {
      making -= 1;
      if (lines.length > 0) handOut();
      else if (queue.length > 0 && making === 0) serve();
    }
  }

  /** After a connection could not be made: no new one is tried until a place comes free. */
  function handOut(): void {
    for (let line = free(); line !== undefined && queue.length > 0; line = free()) {
      occupy(line);
      queue.shift()?.give(line);
    }
  }

  function occupy(line: Line): void {
    line.taken += 1;
    line.uses += 1;
  }

  function closeWhenIdle(line: Line): void {
    whenIdle(
      deps.idleSeconds,
      () => (line.connection.open ? (line.taken > 0 ? -1 : line.uses) : undefined),
      () => {
        line.connection.end();
        drop(line);
      },
    );
  }

  function drop(line: Line): void {
    lines = lines.filter((one) => one !== line);
    serve();
  }

  return {
    get connections() {
      return lines.length + making;
    },
    async take(signal, first) {
      const line = queue.length === 0 || first ? free() : undefined;
      if (line !== undefined) {
        occupy(line);
        return line;
      }
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          const at = queue.indexOf(waiter);
          if (at >= 0) queue.splice(at, 1);
          reject(abortReason(signal));
        };
        const waiter: Waiter = {
          give: (given) => {
            signal.removeEventListener('abort', leave);
            resolve(given);
          },
          fail: (why) => {
            signal.removeEventListener('abort', leave);
            reject(why instanceof Error ? why : new Error('no connection', { cause: why }));
          },
        };
        if (signal.aborted) {
          leave();
          return;
        }
        signal.addEventListener('abort', leave, { once: true });
        if (first) queue.unshift(waiter);
        else queue.push(waiter);
        serve();
      });
    },
    takeSpare() {
      if (queue.length > 0) return undefined;
      const line = lines.find(
        ({ connection, taken }) => connection.open && taken + 1 < deps.limit(),
      );
      if (line !== undefined) occupy(line);
      return line;
    },
    giveBack(line) {
      line.taken -= 1;
      serve();
    },
    drop,
    end() {
      over = true;
      for (const { connection } of lines) connection.end();
      lines = [];
      for (const waiter of queue.splice(0))
        waiter.fail(
          new RemoteError('ssh_unreachable', 'The connection to the machine was closed.'),
        );
    },
  };
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}
