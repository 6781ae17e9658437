import { MAX_LANES } from '../core/remote.ts';

const MEBI = 1024 * 1024;
/** A channel carries 2 MiB in each round trip; where that may bind, more is allowed on the way. */
const USUAL_WINDOW_BYTES = 2 * MEBI;
const LONG_LINK_SECONDS = 0.01;
const LONG_WINDOW_BYTES = 8 * MEBI;
const WORTH_BYTES = 16 * MEBI;
const OWN_LINK_BYTES = 48 * MEBI;
export const MOST_AHEAD_BYTES = 64 * MEBI;
/** The window binds when this much of what it allows is reached; round trips are estimated, so not all of it. */
const BINDING = 0.45;
/** Another connection that brought less than this was not what was missing. */
const GAIN = 1.15;
/** gzip takes text at about this speed; a faster link is better used plain. */
const SLOW_LINK_BYTES_PER_SECOND = 30e6;
const WORTH_SECONDS = 1;
const COMPRESSIBLE = 0.7;

/** How much one stream may have on the way: more only for large pulls over long links, since sshd holds it in memory. */
export function windowFor(rttSeconds: number, leftBytes: number): number | undefined {
  return rttSeconds > LONG_LINK_SECONDS && leftBytes > WORTH_BYTES ? LONG_WINDOW_BYTES : undefined;
}

/**
 * The first stream: over the common connection, or over one of its own, whose memory is used again and again. Over a long
 * link that is not worth a login.
 */
export function firstLaneFor(rttSeconds: number, leftBytes: number): number {
  return rttSeconds <= LONG_LINK_SECONDS && leftBytes >= OWN_LINK_BYTES ? 1 : 0;
}

/**
 * How much of one stream may have been asked for and not come yet: enough that the pod never waits for the next question,
 * and no more, so that what is still in the queue can go another way when that turns out to be better.
 */
export function aheadFor(
  bytesPerSecond: number | undefined,
  windowBytes: number | undefined,
  lanes: number,
): number {
  if (bytesPerSecond === undefined) return (windowBytes ?? USUAL_WINDOW_BYTES) + USUAL_WINDOW_BYTES;
  // Half a second, which is more than any round trip.
  const enough = bytesPerSecond / lanes / 2;
  return Math.min(MOST_AHEAD_BYTES, Math.max(2 * USUAL_WINDOW_BYTES, enough));
}

/** What was measured since the number of lanes last changed. */
export interface Measured {
  readonly rttSeconds: number;
  readonly windowBytes: number | undefined;
  readonly lanes: number;
  readonly bytesPerSecond: number;
  /** With fewer lanes, before the last change. */
  readonly before: number | undefined;
  readonly leftBytes: number;
}

/** How many streams, each on a connection of its own, should run now. Follows bandwidth and round trip as they are measured. */
export function lanesFor(measured: Measured): number {
  const { rttSeconds, windowBytes, lanes, bytesPerSecond, before, leftBytes } = measured;
  if (rttSeconds <= LONG_LINK_SECONDS || lanes >= MAX_LANES) return lanes;
  if (leftBytes < Math.max(WORTH_BYTES, bytesPerSecond * WORTH_SECONDS * 1.2)) return lanes;
  if (before !== undefined && bytesPerSecond < before * GAIN) return lanes;
  const most = (lanes * (windowBytes ?? USUAL_WINDOW_BYTES)) / rttSeconds;
  return bytesPerSecond < most * BINDING ? lanes : Math.min(MAX_LANES, lanes * 2);
}

/** Whether the rest is better compressed. `ratio`: what gzip left of a sample. */
export function shouldZip(
  bytesPerSecond: number,
  leftBytes: number,
  ratio: number | undefined,
): boolean {
  return (
    ratio !== undefined &&
    ratio < COMPRESSIBLE &&
    bytesPerSecond < SLOW_LINK_BYTES_PER_SECOND &&
    leftBytes > bytesPerSecond * WORTH_SECONDS
  );
}
