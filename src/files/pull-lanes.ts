import { gzipSync } from 'node:zlib';
import type { Clock } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { MAX_LANES } from '../core/remote.ts';
import type { Pod } from './pod.ts';
import { type LaneEnd, runLane } from './pull-lane.ts';
import {
  aheadFor,
  firstLaneFor,
  isWindowBound,
  isWorthLogin,
  MOST_AHEAD_BYTES,
  shouldZip,
  usualPace,
  windowFor,
} from './pull-pace.ts';
import type { PullQueue } from './pull-queue.ts';
import { UnsafeStream } from './pull-sink.ts';
import { CUT_SHORT, NO_ROOT, type Piece, SMALL_BYTES, type Wanted } from './pull-work.ts';

const MEASURE_SECONDS = 0.3;
const SAMPLE_BYTES = 64 << 10;
const TELL_BYTES = 64e6;
/** The lane that takes over from the common connection, which the questions of others go over. */
const OWN_LANE = 1;

export interface Road {
  readonly rttSeconds: number;
  readonly hasGzip: boolean;
}

/** A stream that runs. */
interface Hand {
  readonly lane: number;
  readonly done: Promise<void>;
  heard: boolean;
  /** Asks for nothing any more. */
  retired: boolean;
  /** What only stands ready may ask from now on. */
  readonly release: () => void;
  readonly stop: AbortController;
}

/**
 * Streams until nothing is left to ask for, or a link breaks; what did not come is in the queue again. Over a long link a
 * login takes many round trips, so where it will be worth them connections are made ready while the first stream, over the
 * common one, is at work already; what is large goes on over one of its own, and over all of them where the window is the
 * limit.
 */
export async function runLanes(
  clock: Clock,
  pod: Pod,
  queue: PullQueue,
  receive: (piece: Piece, offset: number, parts: readonly Buffer[]) => Promise<void>,
  { rttSeconds, hasGzip }: Road,
  root: string,
): Promise<{ readonly received: number; readonly broken?: Error }> {
  const windowBytes = windowFor(rttSeconds, queue.leftBytes);
  const running = new Set<Hand>();
  const ends: { readonly hand: Hand; readonly end: LaneEnd }[] = [];
  const standby = new Map<number, Hand>();
  /** The lane without which the others are extra. */
  let main = firstLaneFor(rttSeconds, queue.leftBytes);
  let lanes = 1;
  let zipping = false;
  let received = 0;
  let told = 0;
  let since = clock.now().getTime();
  let mark = 0;
  let pace: number | undefined;

  const start = (lane: number, { zip = false, waits = false } = {}): Hand => {
    const stop = new AbortController();
    const signal = AbortSignal.any([pod.call.signal, stop.signal]);
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    if (!waits) release();
    // Until it is known to come about it has no more than one block.
    const ahead = (): number =>
      lane === main || lane !== OWN_LANE || hand.heard ? aheadFor(pace, windowBytes, lanes) : 1;
    const done = runLane(
      { ...pod, call: { ...pod.call, signal } },
      {
        root,
        lane,
        windowBytes,
        zip,
        released,
        leftBytes: queue.leftBytes,
        aheadBytes: ahead,
        next() {
          if (hand.retired) return undefined;
          const work = queue.next(
            zip ? MOST_AHEAD_BYTES : ahead() / 2,
            zipping ? (zip ? 'plain' : 'packed') : undefined,
          );
          if (work === undefined) for (const one of standby.values()) one.release();
          return work;
        },
        receive,
        onBytes(chunk) {
          hand.heard = true;
          if (lane === OWN_LANE) takeOver();
          measure(chunk);
        },
      },
    ).then((end) => {
      ends.push({ hand, end });
      settle(queue, end);
      running.delete(hand);
    });
    const hand: Hand = { lane, done, heard: false, retired: false, release, stop };
    running.add(hand);
    return hand;
  };
  const takeOver = (): void => {
    if (main === OWN_LANE) return;
    main = OWN_LANE;
    for (const hand of running) if (hand.lane < OWN_LANE) hand.retired = true;
  };
  const standBy = (): void => {
    if (main === OWN_LANE || standby.size > 0) return;
    for (let lane = OWN_LANE; lane <= MAX_LANES; lane += 1)
      standby.set(lane, start(lane, { waits: lane !== OWN_LANE }));
  };
  const measure = (chunk: Buffer): void => {
    if (received === 0) since = clock.now().getTime();
    received += chunk.length;
    if (received - told >= TELL_BYTES) {
      told = received;
      pod.call.progress?.(`Received ${Math.round(received / 1e6)} MB.`);
    }
    const seconds = (clock.now().getTime() - since) / 1000;
    if (seconds < Math.max(MEASURE_SECONDS, rttSeconds * 5)) return;
    const bytesPerSecond = (received - mark) / seconds;
    pace = bytesPerSecond;
    const { leftBytes } = queue;
    since = clock.now().getTime();
    mark = received;
    if (zipping || lanes > 1) return;
    if (hasGzip && shouldZip(bytesPerSecond, leftBytes, ratioOf(chunk))) {
      zipping = true;
      start(main, { zip: true });
      return;
    }
    if (!isWorthLogin({ rttSeconds, bytesPerSecond, leftBytes })) return;
    standBy();
    if (!isWindowBound({ rttSeconds, windowBytes, bytesPerSecond })) return;
    lanes = MAX_LANES;
    for (const one of standby.values()) one.release();
  };

  const bytesPerSecond = usualPace(rttSeconds, windowBytes);
  if (isWorthLogin({ rttSeconds, bytesPerSecond, leftBytes: queue.leftBytes })) {
    start(main);
    standBy();
  } else start(main);
  while (running.size > 0) {
    await Promise.race([...running].map(async ({ done }) => done));
    // A connection that does not come about holds nobody up.
    const left = [...running];
    if (!left.some(({ lane, heard }) => heard || lane === main))
      for (const { stop } of left) stop.abort();
  }
  for (const { hand, end } of ends)
    if (end.failure !== undefined && !isBreak(end.failure) && !hand.stop.signal.aborted)
      throw wordsFor(end.failure);
  const broken = ends.find(({ hand, end }) => hand.lane === main && end.failure !== undefined)?.end
    .failure;
  // Without the main one the others were extra: what they did not bring is asked for again.
  return { received, ...(broken instanceof Error ? { broken } : {}) };
}

/** What did not come is asked for again, but for what a stream that ended by itself could not send. */
function settle(queue: PullQueue, { unfinished, failure, exitCode }: LaneEnd): void {
  const [first] = unfinished;
  if (first === undefined) return;
  if (failure !== undefined) {
    queue.giveBack(unfinished);
    return;
  }
  const short = new Set<Wanted>();
  if (exitCode === NO_ROOT) for (const { file } of unfinished) short.add(file);
  else if (first.file.bytes > SMALL_BYTES || exitCode === CUT_SHORT) short.add(first.file);
  else for (const { file } of unfinished) if (file.bytes <= SMALL_BYTES) short.add(file);
  queue.drop(short);
  queue.giveBack(unfinished.filter(({ file }) => !short.has(file)));
}

const isBreak = (failure: unknown): boolean =>
  isAppError(failure) && ['link_lost', 'ssh_unreachable'].includes(failure.code);

function wordsFor(failure: unknown): unknown {
  if (!(failure instanceof UnsafeStream)) return failure;
  return new RemoteError(
    'unsafe_archive',
    'The pod sent more than the files that were asked for. Nothing was written.',
    { cause: failure },
  );
}

/** How much gzip leaves of what comes. Undefined: too little to tell. */
function ratioOf(chunk: Buffer): number | undefined {
  const sample = chunk.subarray(0, SAMPLE_BYTES);
  return sample.length < 4096 ? undefined : gzipSync(sample, { level: 1 }).length / sample.length;
}
