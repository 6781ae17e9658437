import type { Clock } from '../../core/call.ts';
import type { PodRow } from './rows.ts';

/** How long RunPod may go on telling the state, or the ports, before an order. */
const GRACE_SECONDS = 120;
/** How long one missing runtime says nothing: the one who looks for it gives up after two seconds. */
const RUNTIME_SECONDS = 45;
const MAX_REMEMBERED = 500;

export interface RecentOrder {
  readonly order: 'start' | 'stop';
  readonly secondsAgo: number;
}
export interface Recent {
  remember(pod: string, order: RecentOrder['order']): void;
  of(pod: string): RecentOrder | undefined;
  /** The row, with the runtime of a moment ago where this look has none. */
  steady(row: PodRow): PodRow;
}

/** What this process ordered and saw lately, by pod. */
export function createRecent(clock: Clock): Recent {
  const orders = new Map<string, { readonly order: RecentOrder['order']; readonly at: number }>();
  const seen = new Map<string, { readonly row: PodRow; readonly at: number }>();
  const now = (): number => clock.now().getTime() / 1000;
  const forget = (map: Map<string, { readonly at: number }>, seconds: number): void => {
    for (const [pod, { at }] of map)
      if (at + seconds <= now() || map.size > MAX_REMEMBERED) map.delete(pod);
  };
  return {
    remember(pod, order) {
      forget(orders, GRACE_SECONDS);
      orders.set(pod, { order, at: now() });
      seen.delete(pod);
    },
    of(pod) {
      const last = orders.get(pod);
      const secondsAgo = now() - (last?.at ?? 0);
      return last === undefined || secondsAgo > GRACE_SECONDS
        ? undefined
        : { order: last.order, secondsAgo };
    },
    steady(row) {
      const last = seen.get(row.id);
      if (row.status !== 'RUNNING') {
        seen.delete(row.id);
        return row;
      }
      if (row.hasRuntime) {
        forget(seen, RUNTIME_SECONDS);
        seen.set(row.id, { row, at: now() });
        return row;
      }
      if (last === undefined || now() - last.at > RUNTIME_SECONDS) return row;
      const { hasRuntime, ports, direct, uptimeSeconds } = last.row;
      return { ...row, hasRuntime, ports, direct, uptimeSeconds };
    },
  };
}
