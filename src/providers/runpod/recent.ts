import type { Clock } from '../../core/call.ts';
import type { PodRow } from './rows.ts';

/** How long RunPod may go on telling the state, or the ports, before an order. */
const GRACE_SECONDS = 120;
/** How long one missing runtime says nothing: the one who looks for it gives up after two seconds. */
const RUNTIME_SECONDS = 45;
/** An order is written down when it has been accepted, some seconds after it was given. */
const SAME_SECONDS = 60;
const MAX_REMEMBERED = 500;

export interface RecentOrder {
  readonly order: 'start' | 'stop';
  readonly secondsAgo: number;
  /** How long the container before the order had run when it was last seen. Absent: it never was. */
  readonly uptimeBefore?: number | undefined;
}
export interface Recent {
  remember(pod: string, order: RecentOrder['order']): void;
  /** As `remember`, for what another process ordered at this time, in milliseconds since the epoch. What is known stays. */
  recall(pod: string, order: RecentOrder['order'], orderedAt: number): void;
  of(pod: string): RecentOrder | undefined;
  /** The row, with the runtime of a moment ago where this look has none. */
  steady(row: PodRow): PodRow;
}

/** What was ordered and seen lately, by pod. */
export function createRecent(clock: Clock): Recent {
  const orders = new Map<string, Omit<RecentOrder, 'secondsAgo'> & { readonly at: number }>();
  const uptimes = new Map<string, number>();
  const seen = new Map<string, { readonly row: PodRow; readonly at: number }>();
  const now = (): number => clock.now().getTime() / 1000;
  const forget = (map: Map<string, { readonly at: number }>, seconds: number): void => {
    for (const [pod, { at }] of map)
      if (at + seconds <= now() || map.size > MAX_REMEMBERED) map.delete(pod);
  };
  const noteUptime = ({ id, uptimeSeconds }: PodRow): void => {
    uptimes.delete(id);
    if (uptimeSeconds !== undefined) uptimes.set(id, uptimeSeconds);
    const [oldest] = uptimes.keys();
    if (uptimes.size > MAX_REMEMBERED && oldest !== undefined) uptimes.delete(oldest);
  };
  return {
    remember(pod, order) {
      forget(orders, GRACE_SECONDS);
      orders.set(pod, { order, at: now(), uptimeBefore: uptimes.get(pod) });
      seen.delete(pod);
    },
    recall(pod, order, orderedAt) {
      const at = orderedAt / 1000;
      const known = orders.get(pod);
      const isSame = known?.order === order && at <= known.at + SAME_SECONDS;
      const isOlder = known !== undefined && at <= known.at;
      if (Math.abs(now() - at) < GRACE_SECONDS && !isSame && !isOlder)
        orders.set(pod, { order, at });
    },
    of(pod) {
      const last = orders.get(pod);
      const secondsAgo = now() - (last?.at ?? 0);
      return last === undefined || secondsAgo > GRACE_SECONDS
        ? undefined
        : { order: last.order, secondsAgo, uptimeBefore: last.uptimeBefore };
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
        noteUptime(row);
        return row;
      }
      if (last === undefined || now() - last.at > RUNTIME_SECONDS) return row;
      const { hasRuntime, ports, direct, uptimeSeconds } = last.row;
      return { ...row, hasRuntime, ports, direct, uptimeSeconds };
    },
  };
}
