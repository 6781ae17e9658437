import type { Clock } from '../core/call.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Store } from '../core/store.ts';
import type { Watcher, WatchRecord } from '../core/watcher.ts';
import type { WatchLock } from './lock.ts';
import { isCaredFor } from './needs.ts';

const DEEDS_SHOWN_SECONDS = 86_400;
const OFF =
  'The watcher is off (GPU_LEASE_WATCHER): when no server runs, only the limits of the clouds and the timers on the pods end them.';

/** What can be said of the watcher without asking anybody. */
export function createStatus({
  store,
  clock,
  lock,
  isOn,
}: {
  readonly store: Store;
  readonly clock: Clock;
  readonly lock: WatchLock;
  readonly isOn: boolean;
}): Watcher['status'] {
  return async () => {
    const now = clock.now().getTime();
    const [holder, last, leases] = await Promise.all([
      lock.holder(),
      lock.last(),
      store.leases.list(),
    ]);
    const deeds = (last?.deeds ?? [])
      .filter(({ at }) => now - Date.parse(at) < DEEDS_SHOWN_SECONDS * 1000)
      .map(({ at, text }) => `${at} ${text}`);
    const cared = leases.filter(isCaredFor);
    if (holder !== undefined)
      return {
        state: 'on',
        words: cared.length > 0 ? onWords(holder, cared, now) : undefined,
        deeds,
      };
    if (!isOn) return { state: 'off', words: OFF, deeds };
    const none =
      'No watcher is heard; the next round of a server starts one. Until then servers keep the deadlines.';
    return { state: 'none', ...(cared.length > 0 ? { words: none } : {}), deeds };
  };
}

function onWords(
  { pid, way, beatAt, reach }: WatchRecord,
  leases: readonly { readonly provider: ProviderName }[],
  now: number,
): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(beatAt)) / 1000));
  const unreached = [...new Set(leases.map(({ provider }) => provider))].filter(
    (provider) => !reaches({ reach }, provider),
  );
  const lacks =
    unreached.length === 0
      ? ''
      : ` It has no key of ${unreached.join(', ')}: pods there are watched by servers that have one.`;
  return `The watcher (process ${pid}, ${way}, heard ${seconds} s ago) keeps the deadlines, with or without a server.${lacks}`;
}

/** Whether a holder can give orders there. Local pods need no key. */
export function reaches({ reach }: Pick<WatchRecord, 'reach'>, provider: ProviderName): boolean {
  return provider === 'local' || reach.some((cloud) => cloud.startsWith(`${provider}#`));
}
