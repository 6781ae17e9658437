import { timeLimit } from '../core/call.ts';
/** A channel that is kept open for the next call is given back after this: a machine allows only so many. */
export const IDLE_SECONDS = 120;

/**
 * Calls `end` once `uses` stood still for a whole period. `uses` counts up, is -1 while in use, and undefined once there is
 * nothing left to end. Holds no process open.
 */
export function whenIdle(seconds: number, uses: () => number | undefined, end: () => void): void {
  const before = uses();
  timeLimit(seconds).addEventListener(
    'abort',
    () => {
      const now = uses();
      if (now === undefined) return;
      if (now === before && now !== -1) end();
      else whenIdle(seconds, uses, end);
    },
    { once: true },
  );
}
