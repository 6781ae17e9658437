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
/** About what a login takes, with some for what it is good for. */
const LOGIN_ROUND_TRIPS = 15;
const LOGIN_SECONDS = 0.3;
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

/** What one stream brings at most. */
export function usualPace(rttSeconds: number, windowBytes: number | undefined): number {
  return (windowBytes ?? USUAL_WINDOW_BYTES) / rttSeconds;
}

/** Whether so much is left that logins over a long link pay. */
export function isWorthLogin(now: {
  readonly rttSeconds: number;
  readonly bytesPerSecond: number;
  readonly leftBytes: number;
}): boolean {
  const { rttSeconds, bytesPerSecond, leftBytes } = now;
  const loginSeconds = LOGIN_SECONDS + LOGIN_ROUND_TRIPS * rttSeconds;
  return (
    rttSeconds > LONG_LINK_SECONDS &&
    leftBytes > Math.max(WORTH_BYTES, bytesPerSecond * loginSeconds)
  );
}

/** Whether one stream brings about as much as its window lets it, so that more of them would bring more. */
export function isWindowBound(measured: {
  readonly rttSeconds: number;
  readonly windowBytes: number | undefined;
  readonly bytesPerSecond: number;
}): boolean {
  const { rttSeconds, windowBytes, bytesPerSecond } = measured;
  return (
    rttSeconds > LONG_LINK_SECONDS && bytesPerSecond >= usualPace(rttSeconds, windowBytes) * BINDING
  );
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
