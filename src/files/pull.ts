import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Clock } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { localFailure } from './local-failure.ts';
import { type Arrived, readJournal } from './partial-file.ts';
import type { Pod } from './pod.ts';
import { type LaneEnd, runLane } from './pull-lane.ts';
import {
  aheadFor,
  firstLaneFor,
  lanesFor,
  MOST_AHEAD_BYTES,
  shouldZip,
  windowFor,
} from './pull-pace.ts';
import { createPullQueue, type PullQueue } from './pull-queue.ts';
import { UnsafeStream } from './pull-sink.ts';
import { createPullStore } from './pull-store.ts';
import { CUT_SHORT, NO_ROOT, type Piece, SMALL_BYTES, type Wanted } from './pull-work.ts';
import type { Span } from './spans.ts';

export interface PullOptions {
  readonly root: string;
  readonly partialFolder: string;
  /** Small files one by one: some changed while they were read together. */
  readonly alone: boolean;
}

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;
const MEASURE_SECONDS = 0.3;
/** Less than this is over before anything was measured. */
const LOOK_BYTES = 256 << 10;
const SAMPLE_BYTES = 64 << 10;
const TELL_BYTES = 64e6;

/**
 * Pulls exactly the bytes of `files`, as streams cut by the sizes of the listing: the pod sends no names, so it can choose
 * none. What was begun before goes on where it stopped, and so does a link that breaks. Answers what arrived whole; a
 * file that got shorter meanwhile is not among it. Throws `unsafe_archive` for a byte too many, `disk_full`, `link_lost`.
 */
export async function pullFiles(
  clock: Clock,
  pod: Pod,
  files: readonly Wanted[],
  options: PullOptions,
): Promise<ReadonlyMap<Wanted, Arrived>> {
  await mkdir(options.partialFolder, { recursive: true, mode: 0o700 });
  const store = createPullStore();
  try {
    const begun = await whatIsThere(files, options.partialFolder);
    for (const { file, isWhole } of begun) if (isWhole) await store.adopt(file);
    const queue = createPullQueue(
      begun.filter(({ isWhole, file }) => !isWhole && file.bytes > 0),
      options.alone,
    );
    for (const file of files) if (file.bytes === 0) await store.receive(wholeOf(file), 0, []);
    const road = queue.leftBytes < LOOK_BYTES ? NO_ROAD : await lookAtRoad(clock, pod);
    let failed = 0;
    while (queue.leftBytes > 0) {
      const { received, broken } = await runLanes(
        clock,
        pod,
        queue,
        store.receive,
        road,
        options.root,
      );
      if (broken === undefined) continue;
      failed = received > 0 ? 1 : failed + 1;
      if (failed >= ATTEMPTS) throw broken;
      pod.call.progress?.('The link broke; going on from where it broke.');
      await clock.sleep(RETRY_SECONDS, pod.call);
    }
    return new Map(store.arrived);
  } catch (thrown) {
    throw localFailure(thrown) ?? thrown;
  } finally {
    await store.close();
  }
}

/** Streams until nothing is left to ask for, or a link breaks. What did not come is in the queue again. */
async function runLanes(
  clock: Clock,
  pod: Pod,
  queue: PullQueue,
  receive: (piece: Piece, offset: number, parts: readonly Buffer[]) => Promise<void>,
  { rttSeconds, hasGzip }: Road,
  root: string,
): Promise<{ readonly received: number; readonly broken?: Error }> {
  const windowBytes = windowFor(rttSeconds, queue.leftBytes);
  const first = firstLaneFor(rttSeconds, queue.leftBytes);
  const running = new Set<Promise<void>>();
  const ends: { readonly lane: number; readonly end: LaneEnd }[] = [];
  let lanes = 1;
  let zipping = false;
  let received = 0;
  let told = 0;
  let since = clock.now().getTime();
  let mark = 0;
  let pace: number | undefined;
  let before: number | undefined;

  const start = (lane: number, zip: boolean): void => {
    const done = runLane(pod, {
      root,
      lane,
      windowBytes,
      zip,
      leftBytes: queue.leftBytes,
      aheadBytes: () => aheadFor(pace, windowBytes, lanes),
      next: () =>
        queue.next(
          zip ? MOST_AHEAD_BYTES : aheadFor(pace, windowBytes, lanes) / 2,
          !zipping ? undefined : zip ? 'plain' : 'packed',
        ),
      receive,
      onBytes: measure,
    }).then((end) => {
      ends.push({ lane, end });
      settle(queue, end);
      running.delete(done);
    });
    running.add(done);
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
    if (zipping) return;
    if (hasGzip && shouldZip(bytesPerSecond, leftBytes, ratioOf(chunk))) {
      zipping = true;
      start(first, true);
      return;
    }
    const more = lanesFor({ rttSeconds, windowBytes, lanes, bytesPerSecond, before, leftBytes });
    if (more > lanes) before = bytesPerSecond;
    for (; lanes < more; lanes += 1) start(first + lanes, false);
  };

  start(first, false);
  while (running.size > 0) await Promise.race(running);
  for (const { end } of ends)
    if (!isBreak(end.failure) && end.failure !== undefined) throw wordsFor(end.failure);
  const broken = ends.find(({ lane, end }) => lane === first && end.failure !== undefined)?.end
    .failure;
  // Without the first the others were extra: what they did not bring is asked for again.
  return { received, ...(broken instanceof Error ? { broken } : {}) };
}

/** What did not come is asked for again, but for what a stream that ended by itself could not send. */
function settle(queue: PullQueue, { unfinished, failure, exitCode }: LaneEnd): void {
  const [first] = unfinished;
  if (first === undefined) return;
  if (isBreak(failure) || failure !== undefined) {
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

interface Road {
  readonly rttSeconds: number;
  readonly hasGzip: boolean;
}
const NO_ROAD: Road = { rttSeconds: 0, hasGzip: false };

/** The round trip is an estimate, and rather too short: a command takes two, or one where a channel stands ready. */
async function lookAtRoad(clock: Clock, pod: Pod): Promise<Road> {
  const start = clock.now().getTime();
  const script = 'command -v gzip >/dev/null 2>&1\n';
  const { exitCode } = await pod.run(script, { timeoutSeconds: 60 });
  return { rttSeconds: (clock.now().getTime() - start) / 2000, hasGzip: exitCode === 0 };
}

async function whatIsThere(
  files: readonly Wanted[],
  folder: string,
): Promise<
  readonly { readonly file: Wanted; readonly have: readonly Span[]; readonly isWhole: boolean }[]
> {
  const names = new Set(await readdir(folder));
  const there = [];
  for (const file of files) {
    const known = names.has(path.basename(file.partial));
    const isLarge = file.bytes > SMALL_BYTES;
    const have = known && isLarge ? await readJournal(file.partial, file.bytes) : [];
    const size = known ? (await stat(file.partial).catch(() => undefined))?.size : undefined;
    const isWhole =
      size === file.bytes && (!isLarge || (have[0]?.start === 0 && have[0].end === file.bytes));
    there.push({ file, have: size === file.bytes ? have : [], isWhole });
  }
  return there;
}

function wholeOf(file: Wanted): Piece {
  return { file, offset: 0, bytes: file.bytes };
}
