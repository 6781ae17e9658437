import type { z } from 'zod';
import {
  isTerminal,
  type Job,
  type JobStatus,
  NOT_STARTED,
  type NotStarted,
  type workSchema,
} from '../core/job.ts';
import type { Look } from './look.ts';

export type Work = z.output<typeof workSchema>;

/** Silence shorter than this is nothing. */
const QUIET_SECONDS = 120;
/** Silence of log, files and processors for this long is a stall. */
const STALL_SECONDS = 600;

const SIGNALS: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
  24: 'SIGXCPU',
  25: 'SIGXFSZ',
  31: 'SIGSYS',
};

const TRACEBACK = /^Traceback \(most recent call last\):/m;

/** A shell reports death by signal as 128 + its number. */
export function signalOf(exitCode: number): string | undefined {
  return exitCode > 128 && exitCode <= 192
    ? (SIGNALS[exitCode - 128] ?? `signal ${exitCode - 128}`)
    : undefined;
}

/** What the pod says about the job, as a record. A job that has ended stays as it ended. */
export function jobAfter(job: Job, look: Look, observedAt: string): Job {
  if (isTerminal(job.status)) return job;
  const status = statusOf(job.status, look);
  const started = look.startedAt === undefined ? undefined : isoOf(look.startedAt);
  const next: Job = {
    ...job,
    status,
    observedAt,
    ...(look.folder === undefined ? {} : { folder: look.folder }),
    ...(started === undefined ? {} : { startedAt: started }),
  };
  if (!isTerminal(status)) return next;
  const ended = { ...next, endedAt: endOf(look) ?? observedAt };
  const notStarted = notStartedOf(look);
  // What the supervisor ended itself with says nothing about a command that never ran.
  if (notStarted !== undefined) return { ...ended, notStarted };
  const signal = look.exitCode === undefined ? undefined : signalOf(look.exitCode);
  return {
    ...ended,
    ...(look.exitCode === undefined ? {} : { exitCode: look.exitCode }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function notStartedOf({ state, end, phase, startedAt }: Look): NotStarted | undefined {
  if (state !== 'ended' || phase !== undefined || startedAt !== undefined) return undefined;
  if (end === 'disk_full') return 'disk_full';
  return end === 'cwd_missing' ? 'folder_missing' : undefined;
}

function statusOf(before: JobStatus, look: Look): JobStatus {
  switch (look.state) {
    case 'running':
    case 'orphan':
      return look.phase === 'smoke' ? 'bootstrapping' : 'running';
    case 'fresh':
      return 'bootstrapping';
    case 'never':
      return 'lost';
    case 'absent':
      return before === 'bootstrapping' ? 'bootstrapping' : 'lost';
    case 'dead':
    case 'reboot':
    case 'ended':
      break;
  }
  if (look.end === 'cancelled') return 'cancelled';
  if (look.end === 'timed_out') return 'timed_out';
  if (look.state !== 'ended') return look.end === undefined ? 'lost' : 'failed';
  return look.end === undefined && look.exitCode === 0 ? 'completed' : 'failed';
}

/**
 * Whether the job does useful work: log growth, fresh files, and use of a processor are three separate signs, and only
 * the absence of all three is a stall [WA-12].
 */
export function workOf(job: Job, look: Look | undefined): Work {
  if (look === undefined) return withoutLook(job);
  if (isTerminal(job.status)) return ended(job, look);
  const evidence: string[] = [];
  if (look.state === 'orphan')
    evidence.push(
      'The supervisor on the pod was killed: the deadline is no longer enforced there, and the exit code will be unknown.',
    );
  if (job.status === 'bootstrapping')
    evidence.push(
      look.phase === 'smoke' ? 'The smoke command is running.' : 'The job is starting.',
    );
  const ages: number[] = [];
  const sign = (age: number | undefined, words: string): void => {
    if (age === undefined) return;
    ages.push(Math.max(0, age));
    evidence.push(`${words} ${Math.max(0, age)} s ago.`);
  };
  sign(look.logAgeSeconds, 'Log written');
  sign(look.artifactAgeSeconds, 'Newest output file written');
  sign(look.activeAgeSeconds, 'Processor last busy');
  if (look.gpuPercent !== undefined) evidence.push(`GPU ${look.gpuPercent} % busy.`);
  if (look.processes !== undefined) evidence.push(`${look.processes} processes alive.`);
  if ((look.gpuPercent ?? 0) >= 5) ages.push(0);
  const youngest = Math.min(...ages);
  if (ages.length === 0) return { state: 'unknown', evidence };
  if (youngest >= STALL_SECONDS) return { state: 'stalled', evidence };
  const silent = look.stdoutBytes + look.stderrBytes === 0;
  if (youngest >= QUIET_SECONDS) return { state: 'waiting', evidence };
  if ((look.logAgeSeconds ?? 0) >= STALL_SECONDS && !silent)
    evidence.push('The log is silent while work goes on: its output may be buffered.');
  return { state: 'working', evidence };
}

function withoutLook(job: Job): Work {
  if (isTerminal(job.status))
    return {
      state: job.status === 'completed' || job.status === 'cancelled' ? 'finished' : 'broken',
      evidence: [endWords(job)],
    };
  const since = job.observedAt === undefined ? 'never' : `last at ${job.observedAt}`;
  return {
    state: 'unknown',
    evidence: [`The pod cannot be reached now (seen ${since}). That says nothing about the job.`],
  };
}

function ended(job: Job, look: Look): Work {
  const evidence = [endWords(job), ...(job.notStarted === undefined ? reasonWords(look) : [])];
  const good = job.status === 'completed' || job.status === 'cancelled';
  const left = look.processes ?? 0;
  if (left > 0)
    evidence.push(
      `${left} ${left === 1 ? 'process that it started still runs' : 'processes that it started still run'} and may still write: job_cancel ends them.`,
    );
  if (job.status === 'completed' && TRACEBACK.test(`${look.stderrTail}\n${look.stdoutTail}`))
    evidence.push(
      'The exit code is 0, yet its output holds a Python traceback: read it before you trust the result.',
    );
  return { state: good ? 'finished' : 'broken', evidence };
}

function endWords(job: Job): string {
  if (job.notStarted !== undefined) return NOT_STARTED[job.notStarted];
  const code = job.exitCode === undefined ? 'without an exit code' : `exit code ${job.exitCode}`;
  const signal = job.signal === undefined ? '' : ` (${job.signal})`;
  return `Ended as ${job.status}, ${code}${signal}.`;
}

/** Why it ended, beyond the exit code. */
function reasonWords(look: Look): readonly string[] {
  const words: string[] = [];
  if (look.state === 'reboot') words.push('The pod restarted while the job ran.');
  if (look.state === 'dead')
    words.push(
      'Its supervisor and all its processes are gone and left no exit code: killed from outside.',
    );
  if (look.state === 'absent') words.push("The job's folder is gone from the pod.");
  if (look.state === 'never') words.push('It was never started on the pod.');
  if (look.end === 'disk_full') words.push('Ended by the disk gate: too little space was left.');
  if (look.end === 'timed_out') words.push('Ended by its time limit.');
  if (look.end === 'smoke_failed') words.push('The smoke command failed, so the job was not run.');
  if (look.end === 'smoke_timed_out') words.push('The smoke command did not end in time.');
  if ((look.oomKills ?? 0) > 0)
    words.push(`The memory limit of the pod killed ${look.oomKills ?? 0} processes meanwhile.`);
  return words;
}

/** By the time that it ran where that is known: the clock of the pod may have been set meanwhile. */
function endOf({ startedAt, ranSeconds, endedAt }: Look): string | undefined {
  if (startedAt !== undefined && ranSeconds !== undefined) return isoOf(startedAt + ranSeconds);
  return endedAt === undefined ? undefined : isoOf(endedAt);
}

function isoOf(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString();
}
