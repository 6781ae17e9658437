import type { CallOptions } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import { whenIdle } from './idle.ts';
import { followScript } from './pod-script/talk.ts';
import type { Runs } from './runs.ts';

const KEPT_BYTES = 1024 * 1024;
const START_SECONDS = 20;

/** Receives transcript bytes in order; `offset` is where `chunk` begins. `undefined` chunk: the link is gone. */
export type Listener = (chunk: Buffer | undefined, offset: number) => void;

/** New bytes of one transcript, pushed by the pod as they are written. */
export interface Feed {
  readonly alive: boolean;
  /** Whether somebody listens now. */
  readonly isHeard: boolean;
  /** Every byte before this was seen. */
  readonly end: number;
  /** Whether a listener that starts at `offset` would get every byte. */
  covers(offset: number): boolean;
  /** Replays from `offset`, then goes on. The result ends it. */
  listen(offset: number, listener: Listener): () => void;
  /** Ends it once nobody listens any more. */
  retire(): void;
  stop(): void;
}

/** Throws what `Runs.start` throws. With nobody listening, it takes no more than a little ahead. */
export async function createFeed(
  runs: Runs,
  podId: PodId,
  folder: string,
  start: number,
  idleSeconds: number,
  options: CallOptions,
): Promise<Feed> {
  const run = await runs.start(podId, followScript(folder, start), {
    ...options,
    holder: 'sessions',
    withinSeconds: START_SECONDS,
    noInput: true,
  });
  run.channel.end();
  void run.err.collect(() => undefined);
  const listeners = new Set<Listener>();
  let kept: Buffer[] = [];
  let keptStart = start;
  let end = start;
  let unheard = 0;
  let alive = true;
  let retired = false;
  let uses = 0;
  const stop = (): void => {
    alive = false;
    for (const listener of [...listeners]) listener(undefined, end);
    listeners.clear();
    run.channel.destroy();
  };

  void run.out.collect((chunk) => {
    const offset = end;
    end += chunk.length;
    kept.push(chunk);
    while (kept.length > 1 && end - keptStart > KEPT_BYTES) keptStart += kept.shift()?.length ?? 0;
    unheard = listeners.size === 0 ? unheard + chunk.length : 0;
    if (unheard > KEPT_BYTES) run.channel.pause();
    for (const listener of [...listeners]) listener(chunk, offset);
  });
  void run.ended.then(() => {
    alive = false;
    for (const listener of [...listeners]) listener(undefined, end);
    kept = [];
  });

  whenIdle(idleSeconds, () => (alive ? (listeners.size > 0 ? -1 : uses) : undefined), stop);
  return {
    get alive() {
      return alive;
    },
    get isHeard() {
      return listeners.size > 0;
    },
    get end() {
      return end;
    },
    covers: (offset) => alive && offset >= keptStart && offset <= end + KEPT_BYTES,
    listen(offset, listener) {
      const bytes = Buffer.concat(kept).subarray(Math.max(0, offset - keptStart));
      if (bytes.length > 0) listener(bytes, Math.max(offset, keptStart));
      const from = (chunk: Buffer | undefined, at: number): void => {
        if (chunk === undefined || at >= offset) listener(chunk, at);
        else if (at + chunk.length > offset) listener(chunk.subarray(offset - at), offset);
      };
      listeners.add(from);
      uses += 1;
      unheard = 0;
      run.channel.resume();
      if (!alive) listener(undefined, end);
      return () => {
        listeners.delete(from);
        if (retired && listeners.size === 0) stop();
      };
    },
    retire() {
      retired = true;
      if (listeners.size === 0) stop();
    },
    stop,
  };
}
