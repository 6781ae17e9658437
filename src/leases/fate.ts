import type { Blame } from '../core/host.ts';
import type { Lease } from '../core/lease.ts';
import type { ProviderPod } from '../core/provider.ts';
import { bootOf, isAbove, rungAt } from './rungs.ts';

/** Refused for this long by a host that talks to us: waiting longer only costs money (RE-08). */
const DENIAL_GRACE_SECONDS = 60;
/** Slow image pulls take more than ten minutes; what takes longer than this does not come any more (RE-01). */
const READY_LIMIT_SECONDS = 1800;
/** A pod that runs is given its public port at once, or not at all (RE-07). */
const MAPPING_LIMIT_SECONDS = 180;
/** Where a pod runs and has its port, its SSH server answers within seconds; an image that has to install one takes minutes. */
const ANSWER_LIMIT_SECONDS = 600;
const START_GRACE_SECONDS = 60;

export interface Fate {
  /** In our own words. */
  readonly reason: string;
  readonly blame: Blame;
}

/** Why this pod will never become ready, from what the cloud says of it; `undefined`: it may. Pure (RE-02, RE-10). */
export function fateOf(lease: Lease, pod: ProviderPod, now: Date): Fate | undefined {
  const { status, problem, isHopeless = false } = pod;
  const blame = blameOf(pod);
  if (status === 'running' && !isHopeless) return undefined;
  // Ordered to start a moment ago: the cloud may still show the stop before.
  if (isStarting(lease, now) && !isHopeless) return undefined;
  if (status === 'stopped')
    return { reason: problem ?? 'The pod stopped before it became ready.', blame };
  return status === 'failed' || isHopeless
    ? { reason: problem ?? 'The provider says that the pod failed to start.', blame }
    : undefined;
}

function isStarting({ bootAt }: Lease, now: Date): boolean {
  return bootAt !== undefined && now.getTime() - Date.parse(bootAt) < START_GRACE_SECONDS * 1000;
}

const BAD_IMAGE =
  /manifest (?:for \S+ )?(?:unknown|not found)|pull access denied|repository does not exist|invalid reference format|no matching manifest|unauthorized|executable file not found|exec format error/i;
const BAD_HOST =
  /OCI runtime|nvidia-container-cli|no space left on device|failed to create task|device or resource busy|i\/o timeout/i;

/** The cloud's own word first; else its text is searched for what is known to be the image's fault or the host's. */
function blameOf({ blame, detail = '' }: ProviderPod): Blame {
  if (blame === 'host' || blame === 'image') return blame;
  if (blame === 'outbid') return 'unknown';
  if (BAD_IMAGE.test(detail)) return 'image';
  return BAD_HOST.test(detail) ? 'host' : 'unknown';
}

/** Why waiting longer is of no use; `undefined`: there is time left. All limits stand here. Pure. */
export function overdue(lease: Lease, now: Date): Fate | undefined {
  if (lease.readyAt !== undefined) return undefined;
  const secondsSince = (time: number): number => (now.getTime() - time) / 1000;
  if (
    lease.deniedSince !== undefined &&
    secondsSince(Date.parse(lease.deniedSince)) >= DENIAL_GRACE_SECONDS
  )
    return { reason: 'The pod refuses our SSH key.', blame: 'unknown' };
  const running = rungAt(lease, 'running');
  if (
    running !== undefined &&
    !isAbove(lease, 'running') &&
    secondsSince(running) >= MAPPING_LIMIT_SECONDS
  )
    return {
      reason: `no_ssh_mapping: the pod runs, but after ${MAPPING_LIMIT_SECONDS / 60} minutes it has no public port for SSH. Likely causes: an image or template without 22/tcp, a host without a public address, or a container that starts again and again.`,
      blame: 'unknown',
    };
  const mapped = rungAt(lease, 'mapped');
  if (
    mapped !== undefined &&
    !isAbove(lease, 'tcp') &&
    secondsSince(mapped) >= ANSWER_LIMIT_SECONDS
  )
    return {
      reason: `The pod runs and has a public port, but no SSH server answered there for ${ANSWER_LIMIT_SECONDS / 60} minutes.`,
      blame: 'host',
    };
  return secondsSince(bootOf(lease)) >= READY_LIMIT_SECONDS
    ? {
        reason: `The pod was not ready after ${READY_LIMIT_SECONDS / 60} minutes.`,
        blame: 'host',
      }
    : undefined;
}

/** How long is still waited on this rung, in words. */
export function patienceWords({ stage }: Pick<Lease, 'stage'>): string {
  return stage === 'mapped' || stage === 'tcp'
    ? `given up ${ANSWER_LIMIT_SECONDS / 60} minutes after it had a port`
    : `given up ${READY_LIMIT_SECONDS / 60} minutes after the start`;
}
