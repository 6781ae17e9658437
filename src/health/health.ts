import type { CallOptions, Clock } from '../core/call.ts';
import { type AppError, InputError, isAppError, type RemoteError } from '../core/errors.ts';
import type { BootLogs, Health } from '../core/health.ts';
import type { JobId, PodId } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Remote } from '../core/remote.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { findingsIn } from './match.ts';
import { type PodFacts, podFactsFrom, podProbe } from './pod-probe.ts';
import { judge } from './pod-verdict.ts';

type Diagnosis = Awaited<ReturnType<Health['diagnose']>>;

const PROBE_LIMIT_SECONDS = 40;
const MAX_BOOT_LOG_CHARS = 8000;

export interface HealthDeps {
  readonly remote: Remote;
  readonly jobs: Jobs;
  readonly clock: Clock;
  /** Absent: a pod that cannot be reached is judged without what it printed. */
  readonly bootLogs?: BootLogs | undefined;
}

/** Says how a pod is, why a job ended, or what a text means. What cannot be looked at is `unknown`, never fine. */
export function createHealth(deps: HealthDeps): Health {
  return {
    async diagnose({ podId, jobId, text }, options) {
      if (text !== undefined) return ofText(text);
      if (jobId !== undefined) return ofJob(deps.jobs, jobId, options);
      if (podId !== undefined) return ofPod(deps, podId, options);
      throw new InputError('invalid_input', 'Give one of "podId", "jobId" or "text".');
    },
  };
}

function ofText(text: string): Diagnosis {
  const findings = findingsIn(text);
  if (findings.length === 0) return { verdict: 'unknown', facts: {}, findings };
  const verdict = findings.some((finding) => finding.class === 'host_fault') ? 'rerent' : 'warn';
  return { verdict, facts: {}, findings };
}

async function ofJob(jobs: Jobs, jobId: JobId, options: CallOptions): Promise<Diagnosis> {
  const report = await jobs.wait(jobId, { waitSeconds: 0, offset: 0, maxBytes: 1000 }, options);
  const facts: Record<string, string | number> = {
    status: report.status,
    work: report.work.state,
    ...(report.exitCode === undefined ? {} : { exitCode: report.exitCode }),
    ...(report.signal === undefined ? {} : { signal: report.signal }),
    ...(report.runtimeSeconds === undefined ? {} : { runtimeSeconds: report.runtimeSeconds }),
    ...(report.observedAt === undefined ? {} : { observedAt: report.observedAt }),
  };
  report.work.evidence.forEach((line, index) => {
    facts[`evidence${index + 1}`] = line;
  });
  if (report.diagnosis !== undefined) {
    const isHost = report.diagnosis.some((finding) => finding.class === 'host_fault');
    return { verdict: isHost ? 'rerent' : 'warn', facts, findings: report.diagnosis };
  }
  if (report.work.state === 'unknown') return { verdict: 'unknown', facts, findings: [] };
  if (report.work.state === 'stalled' || report.work.state === 'broken') {
    const last = await jobs.logs(
      jobId,
      { stream: 'stderr', maxBytes: 10_000, tailLines: 200 },
      options,
    );
    return { verdict: 'warn', facts, findings: findingsIn(last.output) };
  }
  return { verdict: 'ok', facts, findings: [] };
}

async function ofPod(deps: HealthDeps, podId: PodId, options: CallOptions): Promise<Diagnosis> {
  const before = deps.clock.now().getTime() / 1000;
  let probed: PodFacts;
  try {
    const work = await deps.remote.workFolder(podId, options).catch((failure: unknown) => {
      // Without it the pod can still be looked at, or says itself that it cannot.
      options.signal.throwIfAborted();
      if (!isAppError(failure)) throw failure;
      return undefined;
    });
    const answer = await deps.remote.exec(podId, podProbe(work), {
      ...options,
      timeoutSeconds: PROBE_LIMIT_SECONDS,
    });
    probed = podFactsFrom(answer.stdout);
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (!isAppError(thrown)) throw thrown;
    const bootLog = await bootLogOf(deps.bootLogs, podId, options);
    if (isUnreachable(thrown.code) || bootLog !== undefined) return ofSilent(thrown, bootLog);
    throw thrown;
  }
  // The pod read its clock somewhere between our two readings.
  const after = deps.clock.now().getTime() / 1000;
  const nearest = Math.min(Math.max(probed.now, before), after);
  const { verdict, findings } = judge(probed, nearest);
  const { gpus, ...facts } = probed;
  const flat: Record<string, string | number> = { ...facts, gpuCount: gpus.length };
  for (const card of gpus)
    for (const [name, value] of Object.entries(card)) flat[`gpu${card.index}.${name}`] = value;
  return { verdict, facts: flat, findings };
}

/** A pod that lets nobody in. What it printed while it booted may still tell why. */
function ofSilent(failure: AppError, bootLog: string | undefined): Diagnosis {
  const findings = bootLog === undefined ? [] : findingsIn(bootLog);
  const isHost = findings.some((finding) => finding.class === 'host_fault');
  const isGone = failure.code === 'pod_gone';
  const jobs = isGone ? '' : ' That says nothing about jobs on it.';
  return {
    verdict: isHost ? 'rerent' : findings.length > 0 ? 'warn' : 'unknown',
    facts: { problem: failure.code },
    findings: [
      ...findings,
      {
        code: failure.code,
        class: isGone ? 'unknown' : 'network',
        retryable: isGone ? 'no' : 'wait',
        remedy: `${failure.message}${jobs} ${failure.hint}`,
      },
    ],
    ...(bootLog === undefined ? {} : { bootLog }),
  };
}

/** It only adds to a diagnosis: when it cannot be had, there is one without it. */
async function bootLogOf(
  bootLogs: BootLogs | undefined,
  podId: PodId,
  options: CallOptions,
): Promise<string | undefined> {
  try {
    const tail = await bootLogs?.tail(podId, options);
    const quoted =
      tail === undefined ? '' : quoteForeign(tail.slice(-MAX_BOOT_LOG_CHARS), MAX_BOOT_LOG_CHARS);
    return quoted === '' ? undefined : quoted;
  } catch (failure) {
    options.signal.throwIfAborted();
    if (isAppError(failure)) return undefined;
    throw failure;
  }
}

function isUnreachable(code: string): boolean {
  const codes: readonly RemoteError['code'][] = [
    'ssh_unreachable',
    'ssh_refused',
    'link_lost',
    'pod_not_ready',
    'host_key_changed',
    'command_timeout',
    'remote_failed',
  ];
  return codes.some((each) => each === code);
}
