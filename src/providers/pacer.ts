import type { CallOptions, Clock } from '../core/call.ts';
import { untilAborted } from './abort.ts';

/** How often one endpoint of a cloud may be called. */
export interface Pace {
  readonly everySeconds?: number;
  readonly most?: { readonly calls: number; readonly perSeconds: number };
}

interface Lane {
  /** Settles when everybody who asked before had a turn or gave up. */
  tail: Promise<void>;
  /** When the last calls began, in milliseconds. */
  readonly begun: number[];
  notBefore: number;
}

/** Keeps a cloud's minimum intervals on our side: first come, first served, one lane an endpoint. */
export class Pacer {
  readonly #clock: Clock;
  readonly #paces: Readonly<Record<string, Pace>>;
  readonly #lanes = new Map<string, Lane>();

  constructor(clock: Clock, paces: Readonly<Record<string, Pace>>) {
    this.#clock = clock;
    this.#paces = paces;
  }

  /** Answers when the lane is free. Whoever gives up takes no turn. */
  async turn(name: string, options: CallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const lane = this.#lane(name);
    const mine = lane.tail.then(async () => this.#wait(name, lane, options));
    lane.tail = mine.catch(() => undefined);
    await untilAborted(mine, options);
  }

  /** Nobody on this lane goes on before so many seconds are over. */
  hold(name: string, seconds: number): void {
    const lane = this.#lane(name);
    lane.notBefore = Math.max(lane.notBefore, this.#now() + seconds * 1000);
  }

  async #wait(name: string, lane: Lane, options: CallOptions): Promise<void> {
    if (options.signal.aborted) return;
    for (;;) {
      const wait = this.#dueAt(name, lane) - this.#now();
      if (wait <= 0) break;
      await this.#clock.sleep(wait / 1000, options);
    }
    lane.begun.push(this.#now());
    const kept = this.#paces[name]?.most?.calls ?? 1;
    lane.begun.splice(0, Math.max(0, lane.begun.length - kept));
  }

  #dueAt(name: string, { begun, notBefore }: Lane): number {
    const { everySeconds = 0, most } = this.#paces[name] ?? {};
    const last = begun.at(-1);
    const first = most !== undefined && begun.length >= most.calls ? begun[0] : undefined;
    return Math.max(
      notBefore,
      last === undefined ? 0 : last + everySeconds * 1000,
      first === undefined ? 0 : first + (most?.perSeconds ?? 0) * 1000,
    );
  }

  #lane(name: string): Lane {
    const lane = this.#lanes.get(name) ?? { tail: Promise.resolve(), begun: [], notBefore: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}
