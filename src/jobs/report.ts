import type { Clock } from '../core/call.ts';
import {
  type Finding,
  isTerminal,
  type Job,
  type JobEvidence,
  type JobReport,
} from '../core/job.ts';
import type { Page } from '../core/page.ts';
import type { Look } from './look.ts';
import type { Seen } from './observer.ts';
import { progressFrom } from './progress.ts';
import { workOf } from './verdict.ts';

/** What one look says about a job, for the caller. */
export function reportOf(
  { job, look, failure }: Seen,
  page: Page,
  {
    clock,
    diagnose,
  }: {
    readonly clock: Clock;
    readonly diagnose: (evidence: JobEvidence) => readonly Finding[];
  },
): JobReport {
  const runtimeSeconds = runtimeOf(job, look, clock);
  const work = workOf(job, look);
  if (failure !== undefined) work.evidence.push(failure.message);
  if (look !== undefined && look.stderrBytes > 0)
    work.evidence.push(`stderr holds ${look.stderrBytes} bytes: read it with job_logs.`);
  const last = look === undefined ? '' : `${look.stderrTail}\n${look.stdoutTail}`;
  const progress = progressFrom(last, isTerminal(job.status) ? undefined : runtimeSeconds);
  return {
    jobId: job.jobId,
    podId: job.podId,
    status: job.status,
    work,
    ...page,
    ...(job.exitCode === undefined ? {} : { exitCode: job.exitCode }),
    ...(job.signal === undefined ? {} : { signal: job.signal }),
    ...(progress === undefined ? {} : { progress }),
    ...(runtimeSeconds === undefined ? {} : { runtimeSeconds }),
    ...(job.observedAt === undefined ? {} : { observedAt: job.observedAt }),
    ...(work.state === 'broken' && look !== undefined
      ? { diagnosis: [...diagnose(evidenceOf(job, look))] }
      : {}),
  };
}

/** Both times by the clock of the pod while it answers: it need not agree with ours. */
function runtimeOf(job: Job, look: Look | undefined, clock: Clock): number | undefined {
  if (job.startedAt === undefined) return undefined;
  if (look?.ranSeconds !== undefined) return look.ranSeconds;
  const begin = Date.parse(job.startedAt);
  const now = look === undefined ? clock.now().getTime() : look.now * 1000;
  const end = job.endedAt === undefined ? now : Date.parse(job.endedAt);
  return Math.max(0, (end - begin) / 1000);
}

function evidenceOf(job: Job, look: Look): JobEvidence {
  const ended =
    look.end === 'disk_full' ||
    look.end === 'timed_out' ||
    look.end === 'smoke_failed' ||
    look.end === 'smoke_timed_out'
      ? look.end
      : look.state === 'reboot'
        ? 'reboot'
        : look.state === 'dead'
          ? 'killed'
          : 'exit';
  const { stdoutTail: stdout, stderrTail: stderr, oomKills } = look;
  return { stdout, stderr, oomKills, exitCode: job.exitCode, notStarted: job.notStarted, ended };
}
