import type { Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import { STAGES } from '../core/pods.ts';
import type { ProviderPod } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { limitOf } from './deps.ts';
import { handleOf, type Ledger, without } from './ledger.ts';
import { MEASURE_SCRIPT, measuredFrom, mismatchOf } from './measure.ts';

const STEP_LIMIT_SECONDS = 20;
/** Refused for this long by a host that talks to us: waiting longer only costs money (RE-08). */
const DENIAL_GRACE_SECONDS = 60;
/** Slow image pulls take more than ten minutes; what takes longer than this does not come any more. */
const READY_LIMIT_SECONDS = 1800;
const START_GRACE_SECONDS = 60;

type Stage = (typeof STAGES)[number];
interface Step {
  readonly stage: Stage;
  readonly failure?: string;
  readonly denied?: boolean;
  readonly measured?: Readonly<Record<string, string | number>>;
}

export interface Ladder {
  /** Climbs as far as the pod lets us now, and writes down how far. One climb per pod at a time. Never throws for the pod. */
  climb(lease: Lease, pod: ProviderPod): Promise<Lease>;
}
export interface LadderDeps {
  readonly ledger: Ledger;
  readonly remote: Remote;
  readonly clock: Clock;
}

export function createLadder({ ledger, remote, clock }: LadderDeps): Ladder {
  const climbing = new Map<string, Promise<Lease>>();

  async function step(lease: Lease, pod: ProviderPod): Promise<Step> {
    if (pod.status === 'failed')
      return { stage: 'created', failure: 'The provider says that the pod failed to start.' };
    if (pod.status === 'stopped' && !isStarting(lease))
      return { stage: 'created', failure: 'The pod stopped before it became ready.' };
    if (pod.status !== 'running') return { stage: 'created' };
    if (pod.endpoint === undefined) return { stage: 'running' };
    return (await logIn(lease)) ?? (await measure(lease));
  }

  /** Ordered to start a moment ago: the cloud may still show the stop before. */
  const isStarting = ({ bootAt }: Lease): boolean =>
    bootAt !== undefined && clock.now().getTime() - Date.parse(bootAt) < START_GRACE_SECONDS * 1000;

  /** `undefined`: a command of ours ran on the pod. */
  async function logIn(lease: Lease): Promise<Step | undefined> {
    const token = randomToken();
    try {
      const { stdout } = await remote.exec(handleOf(lease), `printf %s ${token}`, options());
      return stdout.toString('utf8') === token
        ? undefined
        : { stage: 'auth', failure: 'The login of the pod does not run commands.' };
    } catch (failure) {
      if (!isAppError(failure)) return { stage: 'mapped' };
      if (failure.code === 'ssh_refused') return { stage: 'banner', denied: true };
      if (failure.code === 'host_key_changed')
        return { stage: 'banner', failure: 'Another machine answers at the address of the pod.' };
      return { stage: 'mapped' };
    }
  }

  async function measure(lease: Lease): Promise<Step> {
    try {
      const workFolder = await remote.workFolder(handleOf(lease), options());
      const script = `set -- ${shellQuote(workFolder)}\n${MEASURE_SCRIPT}`;
      const { stdout } = await remote.exec(handleOf(lease), script, options());
      const measured = measuredFrom(stdout.toString('utf8'));
      const facts = { ...measured.facts, workFolder };
      const failure = mismatchOf(lease.offer, measured);
      return failure === undefined
        ? { stage: 'ready', measured: facts }
        : { stage: 'command', failure, measured: facts };
    } catch {
      return { stage: 'command' };
    }
  }

  const options = () => ({
    signal: limitOf(STEP_LIMIT_SECONDS * 2),
    timeoutSeconds: STEP_LIMIT_SECONDS,
  });

  async function climb(lease: Lease, pod: ProviderPod): Promise<Lease> {
    const reached = await step(lease, pod);
    const now = clock.now();
    return ledger.update(lease.leaseId, (before) => {
      if (before.state !== 'open' || before.bootAt !== lease.bootAt) return undefined;
      const after = withStage(before, reached, now);
      const failure = reached.failure ?? overdue(after, now);
      return failure === undefined ? without(after, 'failure') : { ...after, failure };
    });
  }

  return {
    async climb(lease, pod) {
      if (lease.readyAt !== undefined || lease.state !== 'open') return lease;
      const running = climbing.get(lease.leaseId) ?? climb(lease, pod);
      climbing.set(lease.leaseId, running);
      try {
        return await running;
      } finally {
        climbing.delete(lease.leaseId);
      }
    },
  };
}

/** The lease one or more rungs higher, with the seconds from one rung to the next. Never lower. Pure. */
export function withStage(lease: Lease, { stage, denied, measured }: Step, now: Date): Lease {
  const from = STAGES.findIndex((name) => name === lease.stage);
  const to = STAGES.indexOf(stage);
  const boot = Date.parse(lease.bootAt ?? lease.createdAt);
  const before = lease.stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const seconds = Math.max(0, (now.getTime() - boot) / 1000 - before);
  const climbed = STAGES.slice(from + 1, to + 1).map((name, index) => ({
    stage: name,
    seconds: index === 0 ? Math.round(seconds * 10) / 10 : 0,
  }));
  const { deniedSince } = lease;
  const isLetIn = to >= STAGES.indexOf('command');
  return {
    ...(isLetIn ? without(lease, 'deniedSince') : lease),
    stage: to > from ? stage : lease.stage,
    stages: [...lease.stages, ...climbed],
    ...(denied === true ? { deniedSince: deniedSince ?? now.toISOString() } : {}),
    ...(measured === undefined ? {} : { measured }),
    ...(stage === 'ready' ? { readyAt: now.toISOString() } : {}),
  };
}

function overdue(lease: Lease, now: Date): string | undefined {
  if (lease.readyAt !== undefined) return undefined;
  const secondsSince = (iso: string): number => (now.getTime() - Date.parse(iso)) / 1000;
  if (lease.deniedSince !== undefined && secondsSince(lease.deniedSince) >= DENIAL_GRACE_SECONDS)
    return 'The pod refuses our SSH key.';
  return secondsSince(lease.bootAt ?? lease.createdAt) >= READY_LIMIT_SECONDS
    ? `The pod was not ready after ${READY_LIMIT_SECONDS / 60} minutes.`
    : undefined;
}
