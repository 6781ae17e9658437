import type { Clock } from '../../core/call.ts';
import type { RecentOrder } from './status.ts';

/** How long Vast.ai may go on telling the state before an order. */
const GRACE_SECONDS = 120;

export interface RecentOrders {
  remember(contract: number, order: Exclude<RecentOrder, undefined>): void;
  /** As `remember`, for what another process ordered at this time, in milliseconds since the epoch. What is known stays. */
  recall(contract: number, order: Exclude<RecentOrder, undefined>, orderedAt: number): void;
  of(contract: number): RecentOrder;
}

/** What was ordered lately, by contract. Forgotten after the grace. */
export function createRecentOrders(clock: Clock): RecentOrders {
  const orders = new Map<number, { readonly order: RecentOrder; readonly until: number }>();
  const now = (): number => clock.now().getTime();
  return {
    remember(contract, order) {
      for (const [known, { until }] of orders) if (until <= now()) orders.delete(known);
      orders.set(contract, { order, until: now() + GRACE_SECONDS * 1000 });
    },
    recall(contract, order, orderedAt) {
      const until = orderedAt + GRACE_SECONDS * 1000;
      const isRecent = until > now() && orderedAt < now() + GRACE_SECONDS * 1000;
      if (isRecent && !(orders.has(contract) && (orders.get(contract)?.until ?? 0) >= until))
        orders.set(contract, { order, until });
    },
    of(contract) {
      const last = orders.get(contract);
      return last !== undefined && last.until > now() ? last.order : undefined;
    },
  };
}
