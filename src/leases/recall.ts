import type { Lease } from '../core/lease.ts';
import type { Providers } from '../core/provider.ts';
import { rungAt } from './rungs.ts';

/**
 * Reminds the provider of what was ordered for this pod, so that a server which has just started knows as much as the one that
 * ordered it: a machine that the cloud does not know yet is not gone, one that was just started has not ended.
 */
export function recall(lease: Lease, providers: Providers): void {
  const { podId, label, usdPerHour, provider, state, bootAt, stoppedAt, observedStatus } = lease;
  if (podId === undefined || state === 'closed') return;
  const created = rungAt(lease, 'created');
  // A pod that only was ordered is called provisioning by us, not by the cloud.
  const isKnown = observedStatus !== undefined && observedStatus !== 'provisioning';
  const createdAt =
    created === undefined || Number.isNaN(created)
      ? lease.createdAt
      : new Date(created).toISOString();
  providers.get(provider)?.recall?.({
    podId,
    label,
    usdPerHour,
    ...(isKnown || bootAt !== undefined ? {} : { createdAt }),
    ...(stoppedAt === undefined ? { startedAt: bootAt } : { stoppedAt }),
  });
}
