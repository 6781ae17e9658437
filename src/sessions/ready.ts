import { type PodId, randomToken } from '../core/ids.ts';
import { KEEPALIVE_SECONDS } from './handshake.ts';
import { IDLE_SECONDS, whenIdle } from './idle.ts';
import { execCommand, READY_SCRIPT } from './pod-script/exec.ts';
import type { Pool } from './pool.ts';
import { type Run, runOn } from './run.ts';
import { soon } from './wait.ts';

/** As many as a caller that asks without a pause can use up while one more is made. */
const WARM_CHANNELS = 4;
const START_SECONDS = 20;
const REFILL_SECONDS = 0.03;
/** Where another one still waits there is no haste. */
const SPARE_REFILL_SECONDS = 2;
/** A transfer asks, and then sends. */
const TRANSFER_CHANNELS = 2;
const MAX_FAILURES = 2;

/** Channels on which a shell waits for its script, so that a command costs one round trip and no login shell. */
export interface Ready {
  /** One that is alive as far as anybody knows: now the caller's own. */
  take(podId: PodId): Run | undefined;
  /** Makes new ones in the background, where that takes nothing from anybody. */
  refill(podId: PodId): void;
}

interface Shelf {
  waiting: Run[];
  starting: number;
  /** Grows when callers come faster than channels. */
  wanted: number;
  uses: number;
  failures: number;
}

export function createReady({
  pool,
  keepaliveSeconds = KEEPALIVE_SECONDS,
  idleSeconds = IDLE_SECONDS,
  warmChannels = WARM_CHANNELS,
  givesWay,
}: {
  readonly pool: Pool;
  readonly givesWay?: boolean | undefined;
  readonly warmChannels?: number | undefined;
  readonly keepaliveSeconds?: number | undefined;
  readonly idleSeconds?: number | undefined;
}): Ready {
  const shelves = new Map<PodId, Shelf>();
  /**
   * A link that answers is heard at least this often. Over one that is silent for longer, what is sent may be lost without
   * anybody knowing whether it ran: there a plain channel is asked for, which says first that it is there.
   */
  const freshSeconds = keepaliveSeconds * 1.5 + 1;

  pool.whenCrowded((podId) => {
    const shelf = shelves.get(podId);
    return shelf === undefined ? 0 : giveBack(shelf);
  });

  function giveBack(shelf: Shelf): number {
    const given = shelf.waiting.splice(0);
    for (const { channel } of given) channel.end();
    shelf.wanted = Math.min(1, warmChannels);
    return given.length;
  }

  async function start(podId: PodId, shelf: Shelf): Promise<void> {
    const token = randomToken(20);
    const { command } = execCommand(READY_SCRIPT, token, givesWay);
    const held = await pool.openSpare(podId, command);
    if (held === undefined) return;
    const run = runOn(held, token);
    const pid = await soon(run.pid, START_SECONDS);
    if (pid === undefined || pid === 0) {
      // A cut link says nothing about the login.
      const end = await soon(run.ended, 0.5);
      if (end?.kind !== 'lost') shelf.failures += 1;
      run.channel.destroy();
      return;
    }
    shelf.failures = 0;
    shelf.waiting.push(run);
    run.channel.once('close', () => {
      shelf.waiting = shelf.waiting.filter((one) => one !== run);
    });
  }

  const ready: Ready = {
    take(podId) {
      const shelf = shelves.get(podId);
      if (shelf === undefined) return undefined;
      shelf.uses += 1;
      for (let run = shelf.waiting.shift(); run !== undefined; run = shelf.waiting.shift()) {
        if (run.isUp() && run.channel.writable && run.quietSeconds() < freshSeconds) {
          // The command that was asked for first: making a channel costs the machine more than most commands.
          const within = shelf.waiting.length > 0 ? SPARE_REFILL_SECONDS : REFILL_SECONDS;
          void soon(run.ended, within).then(() => {
            // After whoever waits for its end: that comes first too.
            setImmediate(() => {
              ready.refill(podId);
            });
          });
          return run;
        }
        run.channel.end();
      }
      if (shelf.starting > 0) shelf.wanted = Math.min(warmChannels, shelf.wanted + 1);
      return undefined;
    },
    refill(podId) {
      const shelf = shelves.get(podId) ?? newShelf(podId);
      while (
        shelf.failures < MAX_FAILURES &&
        shelf.waiting.length + shelf.starting < shelf.wanted
      ) {
        shelf.starting += 1;
        start(podId, shelf)
          .catch(() => undefined)
          .finally(() => {
            shelf.starting -= 1;
          });
      }
    },
  };

  function newShelf(podId: PodId): Shelf {
    const shelf: Shelf = {
      waiting: [],
      starting: 0,
      wanted: Math.min(givesWay === true ? TRANSFER_CHANNELS : 1, warmChannels),
      uses: 0,
      failures: 0,
    };
    shelves.set(podId, shelf);
    whenIdle(
      idleSeconds,
      () => shelf.uses,
      () => {
        shelves.delete(podId);
        giveBack(shelf);
      },
    );
    return shelf;
  }
  return ready;
}
