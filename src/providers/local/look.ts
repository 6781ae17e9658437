import type { Clock } from '../../core/call.ts';
import type {
  EmbeddedPodConfig,
  EmbeddedPodOrder,
  EmbeddedPodState,
} from '../../core/embedded-pod.ts';
import { podIdSchema } from '../../core/ids.ts';
import { isAlive, processesOfPod } from '../../core/local-process.ts';
import type { ProviderPod } from '../../core/provider.ts';
import type { PodFiles } from './pod-files.ts';

/** A pod program that has said nothing for so long after it was started never will. */
const START_LIMIT_SECONDS = 30;

/** One look at a pod. `undefined`: its folder is gone and no process carries its token. */
export async function lookAtPod(
  files: PodFiles,
  token: string,
  clock: Clock,
): Promise<ProviderPod | undefined> {
  const config = await files.config(token);
  if (config === undefined) return lookAtRemains(files, token);
  const [state, order, holder] = await Promise.all([
    files.state(token),
    files.order(token),
    files.holder(token),
  ]);
  const isServed = state !== undefined && (await isAlive(state.process));
  const isEnding = holder?.role === 'end' && (await isAlive(holder));
  const orderedAt = order === undefined ? 0 : Date.parse(order.at);
  const isFresh = clock.now().getTime() - orderedAt < START_LIMIT_SECONDS * 1000;
  // What the pod said after it was told to run is its own end, not the one before.
  const hasAnswered = state !== undefined && Date.parse(state.updatedAt) > orderedAt;
  const seen = judge({ state, order, isServed, isEnding, mayStart: isFresh && !hasAnswered });
  const { port, hostKey } = state ?? {};
  return {
    podId: config.podId,
    label: config.label,
    usdPerHour: 0,
    createdAt: config.createdAt,
    ...seen,
    ...problemOf(config, state, seen.status),
    ...(seen.status === 'running' && port !== undefined && hostKey !== undefined
      ? { endpoint: endpointOf(files, config, port, hostKey) }
      : {}),
  };
}

/** The words are ours: those in the pod's own files could be anybody's. */
function problemOf(
  { setup }: EmbeddedPodConfig,
  state: EmbeddedPodState | undefined,
  status: ProviderPod['status'],
): Pick<ProviderPod, 'problem'> {
  if (status === 'failed') {
    return {
      problem:
        'Its process has ended: nobody can log in. What it had started may still run, at most until its deadline. update_pod with action start brings it back, destroy ends it.',
    };
  }
  if (status !== 'running') return {};
  if (state?.alarm) return { problem: 'It raised an alarm: see state.json in its folder.' };
  const { setupExitCode } = state ?? {};
  if (setup === undefined || setupExitCode === 0) return {};
  const log = 'its output is in .gpu-lease/bootstrap.log below the home of the pod';
  return {
    problem:
      setupExitCode === undefined
        ? `Its boot script has not ended yet; ${log}.`
        : `Its boot script failed with exit code ${setupExitCode}; ${log}.`,
  };
}

interface Evidence {
  readonly state: EmbeddedPodState | undefined;
  readonly order: EmbeddedPodOrder | undefined;
  /** The process that `state` speaks of is alive. */
  readonly isServed: boolean;
  /** Another process is ending the pod. */
  readonly isEnding: boolean;
  /** It was told to run lately and has said nothing since: it may still be starting. */
  readonly mayStart: boolean;
}

/** What the files and processes of a pod amount to. Pure. */
export function judge({
  state,
  order,
  isServed,
  isEnding,
  mayStart,
}: Evidence): Pick<ProviderPod, 'status' | 'detail'> {
  const wanted = order?.order ?? 'run';
  const alarm = state?.alarm ? { detail: state.alarm } : {};
  if (isServed && state !== undefined) {
    if (wanted !== 'run') return { status: 'running', detail: 'It is being ended.' };
    if (state.status === 'running') return { status: 'running', ...alarm };
    return { status: state.status === 'starting' ? 'provisioning' : 'running', ...alarm };
  }
  if (isEnding) return { status: 'running', detail: 'It is being ended.' };
  if (wanted === 'destroy') return { status: 'failed', detail: 'Its removal did not finish.' };
  if (wanted === 'run' && mayStart) return { status: 'provisioning' };
  if (state?.status === 'stopped') return { status: 'stopped' };
  if (state === undefined) return { status: 'failed', detail: 'Its process never started.' };
  if (state.status === 'failed') return { status: 'failed', ...alarm };
  return { status: 'failed', detail: 'Its process ended without being told to.' };
}

function endpointOf(
  files: PodFiles,
  config: EmbeddedPodConfig,
  port: number,
  hostKey: string,
): ProviderPod['endpoint'] {
  return {
    podId: config.podId,
    host: '127.0.0.1',
    port,
    user: 'gpu',
    route: 'direct',
    hostKey,
    workFolder: files.file(config.podToken, 'home'),
  };
}

async function lookAtRemains(files: PodFiles, token: string): Promise<ProviderPod | undefined> {
  const processes = await processesOfPod(token);
  const isLeft = await files.hasFolder(token);
  if (processes.length === 0 && !isLeft) return undefined;
  const detail =
    processes.length === 0 ? 'Its folder is left behind.' : 'Processes of it are left behind.';
  return {
    podId: podIdSchema.parse(`local:${token}`),
    label: token,
    status: 'failed',
    usdPerHour: 0,
    detail,
  };
}
