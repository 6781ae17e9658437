import type { PodId } from '../core/ids.ts';
import type { Rates } from './codec.ts';
import type { Pace } from './send.ts';

/** Below this a measurement says more about round trips than about the line. */
const ENOUGH_BYTES = 2 << 20;

/** What the line to each pod carried lately, as far as this process saw it. */
export function createPace(): (podId: PodId) => Pace {
  const seen = new Map<PodId, Rates>();
  return (podId) => ({
    rates: () => seen.get(podId) ?? {},
    note(codec, bytes, seconds) {
      if (bytes < ENOUGH_BYTES || !(seconds > 0)) return;
      seen.set(podId, { ...seen.get(podId), [codec]: bytes / seconds });
    },
  });
}
