import type { PodId } from '../core/ids.ts';
import type { Pace } from './send.ts';

/** Below this a measurement says more about round trips than about the line. */
const ENOUGH_BYTES = 2 << 20;

/** What the line to each pod carried lately, as far as this process saw it. */
export function createPace(): (podId: PodId) => Pace {
  const seen = new Map<PodId, number>();
  return (podId) => ({
    bytesPerSecond: () => seen.get(podId),
    note(bytes, seconds) {
      if (bytes >= ENOUGH_BYTES && seconds > 0) seen.set(podId, bytes / seconds);
    },
  });
}
