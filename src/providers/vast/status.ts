import type { ProviderPod } from '../../core/provider.ts';
import type { Contract } from './wire.ts';

/** What this process ordered a moment ago: Vast.ai goes on telling the state before it for a while. */
export type RecentOrder = 'start' | 'stop' | undefined;
export type Situation = Pick<ProviderPod, 'status' | 'problem' | 'isHopeless' | 'blame'>;
export interface StatusContext {
  readonly recent: RecentOrder;
  readonly nowSeconds: number;
}

const RUNTIME_ERROR =
  /OCI runtime|failed to create (?:shim )?task|nvidia-container-cli|CDI device/i;
const NO_SPACE = /no space left on device/i;
const PULL_LIMIT = /toomanyrequests|pull rate limit/i;
const IMAGE_ERROR =
  /manifest unknown|manifest for .{0,300} not found|no matching manifest|pull access denied|repository does not exist|unauthorized|denied: requested access|invalid reference format|no such image/i;
const DAEMON_ERROR = /error response from daemon/i;

const STARTING = new Set([
  '',
  'created',
  'creating',
  'loading',
  'scheduling',
  'restarting',
  'rebooting',
  'recycling',
]);

const PROBLEMS = {
  image:
    'The image could not be pulled: it does not exist, is private or its login is wrong. Another host will not help: correct the image, or name its login in registryAuth.',
  pullLimit:
    'The registry refused the image because too much was pulled from this host. Another host may help, or a registry login.',
  noSpace: 'The disk is too small for the image. Rent with a larger diskGb.',
  runtime: 'The host could not start the container. Another host may help.',
  daemon: 'The container could not be started. What the host said is in detail.',
  exited: 'The container ended. It will not start again by itself.',
  offline:
    'The host is offline: nothing can be reached, nothing is charged while it lasts, and the disk is not lost yet.',
  unheard: 'The host sends no sign of life. GPU and disk may be charged.',
  outbid:
    'This interruptible pod is paused: it was outbid, or stopped. Its disk is kept and charged. It comes back by itself when the bid is enough; raise the bid, or destroy it.',
  givenUp: 'The host gave this pod up before it ran. Its disk is charged until it is destroyed.',
  queued:
    'It is asked to run but has no GPU: somebody else may have rented it. It starts, and is charged, when the GPU is free. Stop or destroy it if that is not wanted.',
  frozen:
    'It is frozen: nothing runs on it, and GPU and disk are still charged. Destroy it unless the host brings it back soon.',
  removing: 'It is being removed.',
  rentalOver:
    'The rental period of this host is over: it cannot start again, and its files may be deleted 48 hours later.',
} as const;

/** Reads the four status fields and the message as one situation. Pure. */
export function situationOf(row: Contract, { recent, nowSeconds }: StatusContext): Situation {
  const situation = stateOf(row, recent);
  const isOver = (row.end_date ?? Number.POSITIVE_INFINITY) <= nowSeconds;
  if (!isOver || situation.status === 'running') return situation;
  const problem = [situation.problem, PROBLEMS.rentalOver].filter((text) => text !== undefined);
  return { ...situation, problem: problem.join(' '), isHopeless: true };
}

function stateOf(row: Contract, recent: RecentOrder): Situation {
  const actual = row.actual_status ?? '';
  const intended = row.intended_status ?? '';
  const isAllStopped = [row.cur_state, row.next_state, intended].every((at) => at === 'stopped');
  if (row.cur_state === 'unloaded') return { status: 'unknown', problem: PROBLEMS.removing };
  if (actual === 'running') return { status: 'running' };
  if (actual === 'frozen') return hopeless('unknown', 'frozen', 'host');
  if (actual === 'offline') return hopeless('unknown', 'offline', 'host');
  if (actual === 'unknown') return hopeless('unknown', 'unheard', 'host');
  const startError = recent === 'start' ? undefined : startErrorOf(row.status_msg ?? '');
  if (startError !== undefined && recent !== 'stop') return startError;
  if (STARTING.has(actual)) {
    if (!isAllStopped) return { status: 'provisioning' };
    if (recent === 'stop') return { status: 'stopped' };
    return row.is_bid === true ? outbid() : hopeless('failed', 'givenUp', 'host');
  }
  if (actual !== 'stopped' && actual !== 'exited')
    return { status: 'unknown', problem: 'Vast.ai tells a state that is not known here.' };
  return endedOf(row, actual, recent);
}

/** `stopped` or `exited`: who wanted it decides. Right after a start or restart it is only the state before. */
function endedOf(row: Contract, actual: 'stopped' | 'exited', recent: RecentOrder): Situation {
  const wantsToRun = row.intended_status === 'running';
  if (recent === 'stop') return { status: 'stopped' };
  if (wantsToRun && recent === 'start') return { status: 'provisioning' };
  if (row.is_bid === true && (!wantsToRun || row.cur_state === 'stopped')) return outbid();
  if (!wantsToRun) return { status: 'stopped' };
  if (row.cur_state === 'scheduling' || (actual === 'stopped' && row.cur_state !== 'running'))
    return { status: 'stopped', problem: PROBLEMS.queued };
  return hopeless('failed', 'exited', undefined);
}

/** Only while no container runs: a running one may have printed anything. */
function startErrorOf(message: string): Situation | undefined {
  if (RUNTIME_ERROR.test(message)) return hopeless('failed', 'runtime', 'host');
  if (NO_SPACE.test(message)) return hopeless('failed', 'noSpace', 'image');
  if (PULL_LIMIT.test(message)) return hopeless('failed', 'pullLimit', 'host');
  if (IMAGE_ERROR.test(message)) return hopeless('failed', 'image', 'image');
  if (DAEMON_ERROR.test(message)) return hopeless('failed', 'daemon', undefined);
  return undefined;
}

function hopeless(
  status: Situation['status'],
  problem: keyof typeof PROBLEMS,
  blame: Situation['blame'],
): Situation {
  return { status, problem: PROBLEMS[problem], isHopeless: true, blame };
}
function outbid(): Situation {
  return { status: 'stopped', problem: PROBLEMS.outbid, blame: 'outbid' };
}
