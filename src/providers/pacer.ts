import type { CallOptions, Clock } from '../core/call.ts';
import { ProviderError } from '../core/errors.ts';
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

/** The lane is not free within the patience of the caller; nothing was sent. */
export class TooSoonError extends ProviderError {
  constructor(waitSeconds: number) {
    const retryAfterSeconds = Math.ceil(waitSeconds);
    super(
      'rate_limited',
      `This was asked so often that the cloud allows the next call in ${retryAfterSeconds} s only.`,
      { retryAfterSeconds },
    );
  }
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

  /**
   * Answers when the lane is free. Whoever gives up takes no turn. Throws `TooSoonError` at once when that would take longer
   * than `patienceSeconds`.
   */
  async turn(
    name: string,
    options: CallOptions,
    patienceSeconds = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    options.signal.throwIfAborted();
    const lane = this.#lane(name);
    const latest = this.#now() + patienceSeconds * 1000;
    this.#refuseAfter(latest, name, lane);
    const mine = lane.tail.then(async () => this.#wait(name, lane, options, latest));
    lane.tail = mine.catch(() => undefined);
    await untilAborted(mine, options);
  }

  /** Nobody on this lane goes on before so many seconds are over. */
  hold(name: string, seconds: number): void {
    const lane = this.#lane(name);
    lane.notBefore = Math.max(lane.notBefore, this.#now() + seconds * 1000);
  }

  #refuseAfter(latest: number, name: string, lane: Lane): void {
    const due = this.#dueAt(name, lane);
    if (due > latest) throw new TooSoonError((due - this.#now()) / 1000);
  }

  async #wait(name: string, lane: Lane, options: CallOptions, latest: number): Promise<void> {
    if (options.signal.aborted) return;
    this.#refuseAfter(latest, name, lane);
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
