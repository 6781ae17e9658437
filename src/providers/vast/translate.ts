import type { ProviderPod } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { endpointsOf, mappingsOf } from './endpoint.ts';
import { podIdOf } from './ids.ts';
import { type RecentOrder, situationOf } from './status.ts';
import type { Contract } from './wire.ts';

const DETAIL_CHARS = 500;

export interface PodContext {
  readonly now: Date;
  readonly recent: RecentOrder;
  /** The cloud is on this machine, so private addresses are real ones. */
  readonly isLocal: boolean;
}

/** What Vast.ai says about a contract, in the words of the port. Pure. */
export function toPod(row: Contract, { now, recent, isLocal }: PodContext): ProviderPod {
  const podId = podIdOf(row.id);
  const situation = situationOf(row, { recent, nowSeconds: now.getTime() / 1000 });
  const mappings = mappingsOf(row);
  const detail = quoteForeign(row.status_msg ?? '', DETAIL_CHARS);
  return {
    podId,
    label: row.label ?? '',
    usdPerHour: row.dph_total ?? row.dph_base ?? 0,
    ...situation,
    ...(situation.status === 'running' ? endpointsOf(podId, row, isLocal) : {}),
    ...(mappings.length === 0 ? {} : { portMappings: mappings }),
    ...(row.machine_id == null ? {} : { machineId: String(row.machine_id) }),
    ...(row.start_date == null ? {} : { createdAt: isoOf(row.start_date) }),
    ...(detail === '' ? {} : { detail }),
  };
}

/** A time that no calendar holds is no time at all. */
function isoOf(epochSeconds: number): string | undefined {
  const date = new Date(epochSeconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
