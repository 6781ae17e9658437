import type { ProviderPod } from '../../core/provider.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { endpointsOf, mappingsOf, type WayRules } from './endpoint.ts';
import { podIdOf } from './ids.ts';
import { diskUsdPerHour, stoppedUsdPerHour } from './prices.ts';
import type { RecentOrder } from './recent.ts';
import type { PodRow } from './rows.ts';

/** The variable in which a pod carries the time at which RunPod was asked to end it. */
export const LAST_END = 'GPU_LEASE_LAST_END';
const WARN_HOURS = 3;
const DETAIL_CHARS = 300;
/** A runtime older than the order before it is the one from before that order. */
const SLACK_SECONDS = 10;

export interface PodContext extends WayRules {
  readonly now: Date;
  readonly recent: RecentOrder | undefined;
}
type Situation = Pick<ProviderPod, 'status' | 'problem' | 'isHopeless' | 'blame'>;

/** What RunPod says about a pod, in the words of the port; `undefined`: it says that the pod is gone. Pure. */
export function toPod(row: PodRow, context: PodContext): ProviderPod | undefined {
  if (row.status === 'TERMINATED') return undefined;
  const podId = podIdOf(row.id);
  const situation = situationOf(row, context.recent);
  const isRunning = situation.status === 'running';
  const mappings = mappingsOf(row);
  const detail = quoteForeign(row.statusChange ?? '', DETAIL_CHARS);
  const problem = [situation.problem, endNote(row, context.now)].filter(
    (part) => part !== undefined,
  );
  return {
    podId,
    label: row.name,
    ...situation,
    usdPerHour: situation.status === 'stopped' ? stoppedUsdPerHour(row) : priceOf(row),
    ...(isRunning ? endpointsOf(podId, row, context) : {}),
    ...(isRunning && mappings.length > 0 ? { portMappings: mappings } : {}),
    ...(row.machineId === undefined ? {} : { machineId: row.machineId }),
    ...(row.createdAt === undefined ? {} : { createdAt: row.createdAt }),
    ...(detail === '' ? {} : { detail }),
    ...(problem.length === 0 ? {} : { problem: problem.join(' ') }),
  };
}

/** RunPod tells the GPUs; the disks are charged beside them. */
function priceOf(row: PodRow): number {
  return (row.usdPerHour ?? 0) + diskUsdPerHour(row);
}

function situationOf(row: PodRow, recent: RecentOrder | undefined): Situation {
  switch (row.status) {
    case 'RUNNING':
      if (!row.hasRuntime || isFromBefore(row, recent)) return { status: 'provisioning' };
      return { status: 'running' };
    case 'CREATED':
    case 'RESTARTING':
    case 'PROVISIONING':
    case 'STARTING':
      return { status: 'provisioning' };
    case 'EXITED':
    case 'PAUSED':
      return recent?.order === 'start' ? { status: 'provisioning' } : stoppedOf(row);
    case 'ERROR':
    case 'DEAD':
      return {
        status: 'failed',
        problem: 'The container failed and will not start again by itself. Its boot log says why.',
        isHopeless: true,
      };
    default:
      return { status: 'unknown', problem: 'RunPod tells a state that is not known here.' };
  }
}

/**
 * After a start the address of the run before is told for a while. Its container goes on counting; one that has run for less
 * than the one before had is a new one, however fast the time of the cloud passes.
 */
function isFromBefore({ uptimeSeconds }: PodRow, recent: RecentOrder | undefined): boolean {
  return (
    recent?.order === 'start' &&
    uptimeSeconds !== undefined &&
    uptimeSeconds > recent.secondsAgo + SLACK_SECONDS &&
    uptimeSeconds >= (recent.uptimeBefore ?? 0)
  );
}

function stoppedOf({ statusChange = '', networkVolumeId }: PodRow): Situation {
  if (/^Outbid:/i.test(statusChange))
    return {
      status: 'stopped',
      problem:
        'This interruptible pod was outbid. Its GPU is gone and no longer charged; the disk at /workspace is kept and charged. Bid more, or destroy it.',
      blame: 'outbid',
    };
  if (/^Exited by Runpod/i.test(statusChange))
    return {
      status: 'stopped',
      problem: `RunPod itself stopped this pod: the balance ran out, or its machine failed. ${networkVolumeId === undefined ? 'Its disk may be deleted soon: bring it home now.' : 'Its volume is kept and charged.'}`,
    };
  return { status: 'stopped' };
}

function endNote({ env }: PodRow, now: Date): string | undefined {
  const end = Date.parse(env.get(LAST_END) ?? '');
  const hoursLeft = (end - now.getTime()) / 3_600_000;
  return hoursLeft < WARN_HOURS
    ? `RunPod was asked at the creation to end this pod at ${new Date(end).toISOString()}, and cannot be asked for later: bring the results home before.`
    : undefined;
}
