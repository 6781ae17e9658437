import type { Pace } from '../pacer.ts';

/** Lambda allows one request a second for the whole account, and one launch in twelve seconds, five a minute. */
export const PACES = {
  any: { everySeconds: 1.1 },
  launch: { most: { calls: 5, perSeconds: 61 } },
} as const satisfies Readonly<Record<string, Pace>>;

export const LANE = 'any';
export const LAUNCH_LANE = 'launch';
/** For a call that had its turns. */
export const SENT_LANE = 'sent';
export const LAUNCH_EVERY_SECONDS = 12.2;

/** The first wait after a 429, which tells nothing: others with the same key may be asking too. */
export const BACKOFF_SECONDS = 10;
export const LAUNCH_BACKOFF_SECONDS = 12.5;
