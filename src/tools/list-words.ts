import { count } from '../core/count.ts';
import { type EndedPod, endedWords } from '../core/left-behind.ts';
import type { LimitUse } from '../core/pods.ts';
import type { WatcherStatus } from '../core/watcher.ts';
import { usd } from './words.ts';

const ENDED_SHOWN = 3;
/** What nobody asked for is told first: files that are here now, and files that are nowhere. */
export function endedSummary(ended: readonly EndedPod[]): string | false {
  const more = ended.length - ENDED_SHOWN;
  return (
    [
      ...ended.slice(0, ENDED_SHOWN).map(endedWords),
      ...(more > 0 ? [`${count(more, 'more pod')} ended unasked: see report.`] : []),
    ].join(' ') || false
  );
}

const DEEDS_SHOWN = 3;
/** Who keeps the deadlines, and what was done while nobody looked. */
export function watcherWords(status: WatcherStatus | undefined): string | false {
  if (status === undefined) return false;
  const deeds = status.deeds.slice(-DEEDS_SHOWN);
  const done = deeds.length === 0 ? [] : [`Done by the watcher: ${deeds.join(' ')}`];
  return [...(status.words === undefined ? [] : [status.words]), ...done].join(' ') || false;
}

/** No room in the listing for a field of its own; the summary is what every host shows. */
export function limitWords(limits: readonly LimitUse[]): string {
  const words = limits.map(({ name, limit, used, scope }) => {
    if (scope === 'pods') return `${name} ${used} of ${limit}`;
    if (scope === 'minutes')
      return `${name} ${count(limit, 'minute')} (the idlest pod: ${used}; then it is ended as its onExpiry says)`;
    return `${name} ${usd(used)} of ${usd(limit)} ${scope}`;
  });
  return `Limits that the user set and no tool lifts: ${words.join(', ')}.`;
}
