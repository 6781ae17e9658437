import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, isAppError } from '../core/errors.ts';
import type { ArtifactRecord, Files, Gate } from '../core/files.ts';
import type { JobId, PodId } from '../core/ids.ts';
import { isTerminal, type Job, type Jobs, NOT_STARTED } from '../core/job.ts';
import type { Lease, Receipt } from '../core/lease.ts';
import type { Pod, Pods } from '../core/pods.ts';
import type { Report, Reports } from '../core/report.ts';
import type { Sessions } from '../core/session.ts';
import { sessionsNow } from '../core/session-states.ts';
import type { LogEntry, Store } from '../core/store.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { createLedger } from './ledger.ts';
import { roundUsd } from './money.ts';
import { endingOf, proofOf, waiverOf } from './report-end.ts';
import { afterEnd, areBroken, missingFiles, unsoundPaths } from './report-files.ts';

const MOST_WAYS = 10;

export interface ReportsDeps {
  readonly store: Store;
  readonly pods: Pods;
  readonly jobs: Jobs;
  readonly files: Files;
  readonly sessions: Pick<Sessions, 'look'>;
  readonly clock: Clock;
}

/** What was rented, what ran, what came home, what it cost and how it ended; what nobody knows is said to be unknown. */
export function createReports(deps: ReportsDeps): Reports {
  const { store, pods, jobs, files, sessions, clock } = deps;
  const ledger = createLedger({ store, clock });

  async function podOf(podId: PodId, options: CallOptions): Promise<Pod> {
    return (await pods.get(podId, { waitSeconds: 0 }, options)).pod;
  }

  async function shellsOf({ podId, status }: Pod, options: CallOptions) {
    const records = (await store.sessions.list()).filter((session) => session.podId === podId);
    return sessionsNow(sessions, podId, records, status === 'ready', options);
  }

  /** What was written down about the ways in (PR-16). */
  const waysOf = async (podId: PodId): Promise<readonly LogEntry[]> =>
    (await store.log.list(podId)).filter(({ kind }) => kind === 'endpoint');

  /** Of the pod, or of the one job that was asked for. */
  async function gatesOf(
    pod: Pod,
    options: CallOptions,
    jobId: JobId | undefined,
  ): Promise<readonly Gate[]> {
    if (pod.status === 'gone' || pod.mode === 'unmanaged') return [];
    try {
      const gates = await files.gates(pod.podId, options);
      return gates.filter((gate) => jobId === undefined || (gate.jobId ?? jobId) === jobId);
    } catch (failure) {
      options.signal.throwIfAborted();
      const code = isAppError(failure) ? failure.code : 'internal';
      return [{ gate: 'not_checked', why: `The pod could not be looked at (${code}).` }];
    }
  }

  return {
    async report({ podId: asked, jobId }, options) {
      const wanted = asked ?? (jobId === undefined ? undefined : (await jobs.get(jobId)).podId);
      if (wanted === undefined) throw new InputError('invalid_input', 'Give podId or jobId.');
      const pod = await podOf(wanted, options);
      const { podId } = pod;
      if (pod.status === 'ready') await jobs.refresh(podId, options);
      const all = await jobs.list(podId);
      const shown = jobId === undefined ? all : all.filter((job) => job.jobId === jobId);
      const [lease, receipt, gates, artifacts, shells, ways, ending] = await Promise.all([
        ledger.find(podId),
        pods.receipt(podId),
        gatesOf(pod, options, jobId),
        store.artifacts.list(),
        shellsOf(pod, options),
        waysOf(podId),
        endingOf(store, podId),
      ]);
      const home = artifacts.filter(
        (artifact) => artifact.podId === podId && (jobId === undefined || artifact.jobId === jobId),
      );
      const missing = missingFiles({ pod, jobs: shown, home, gates, receipt });
      const unsound = unsoundPaths(shown, gates, receipt);
      const parts = { pod, lease, receipt, jobs: shown, home, missing, gates };
      return {
        podId,
        mode: pod.mode,
        status: pod.status,
        ...moneyOf(parts, clock),
        success: successOf(parts),
        jobs: shown.map(jobRowOf),
        filesHome: home
          .filter(({ remotePath }) => !unsound.has(remotePath))
          .map(({ remotePath, localPath, bytes, sha256, proof }) => ({
            path: remotePath,
            localPath,
            bytes,
            sha256,
            proof,
          })),
        filesMissing: [...missing],
        sessions: shells.map(({ sessionId, state, archivePath }) => ({
          sessionId,
          state: pod.status === 'gone' && state === 'unreachable' ? 'lost' : state,
          ...(archivePath === undefined ? {} : { transcript: archivePath }),
        })),
        connections: connectionsOf(pod, ways),
        errors: errorsOf(parts),
        notTracked: notTrackedOf(pod),
        ...(receipt === undefined ? {} : { destroyed: proofOf(receipt, ending) }),
        ...waiverOf(receipt),
        nextStep: nextStepOf(parts),
      };
    },
  };
}

interface Parts {
  readonly pod: Pod;
  readonly lease: Lease | undefined;
  readonly receipt: Receipt | undefined;
  readonly jobs: readonly Job[];
  readonly home: readonly ArtifactRecord[];
  readonly missing: readonly string[];
  readonly gates: readonly Gate[];
}

function moneyOf({ pod, lease, receipt }: Parts, clock: Clock): Partial<Report> {
  if (lease === undefined)
    return pod.usdPerHour === undefined ? {} : { usdPerHour: pod.usdPerHour };
  const seconds = (clock.now().getTime() - Date.parse(lease.createdAt)) / 1000;
  return {
    ...(pod.gpu === undefined ? {} : { gpu: pod.gpu }),
    usdPerHour: roundUsd(lease.usdPerHour),
    runtimeSeconds: receipt?.runtimeSeconds ?? Math.max(0, seconds),
    ...(pod.spentUsd === undefined ? {} : { costUsd: receipt?.estimatedUsd ?? pod.spentUsd }),
  };
}

/** Nobody wrote anything down about a machine that was never tested: then the way as it is now. */
function connectionsOf(
  { endpoint }: Pod,
  ways: readonly LogEntry[],
): NonNullable<Report['connections']> {
  if (ways.length > 0 || endpoint === undefined)
    return ways.slice(-MOST_WAYS).map(({ at, text }) => `${at}: ${text}`);
  const { user, host, port, route } = endpoint;
  return [`${user}@${quoteForeign(host, 100)}:${port}, route ${route}`];
}

function jobRowOf(job: Job): Report['jobs'][number] {
  const { jobId, name, command, status, exitCode, startedAt, endedAt } = job;
  const hasTimes = startedAt !== undefined && endedAt !== undefined;
  return {
    jobId,
    name,
    command: command.length <= 500 ? command : `${command.slice(0, 500)}…`,
    status,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(hasTimes ? { runtimeSeconds: (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 } : {}),
  };
}

/** A program that ended well proves nothing about its files, and a file nothing about the science (RP-03). */
function successOf({ jobs, home, missing, gates }: Parts): Report['success'] {
  const declared = jobs.some(({ artifacts }) => artifacts.length > 0);
  const isUnchecked =
    gates.some(({ gate }) => gate === 'not_checked') ||
    jobs.some(({ status, artifacts }) => artifacts.length > 0 && !isTerminal(status));
  return {
    command: commandSuccess(jobs),
    artifacts:
      !declared && home.length === 0
        ? 'not_applicable'
        : missing.length === 0
          ? isUnchecked
            ? 'unknown'
            : staleIn(home) > 0
              ? 'partly'
              : 'yes'
          : home.length > 0
            ? 'partly'
            : isUnchecked
              ? 'unknown'
              : 'no',
    scientific: 'unknown',
  };
}

function commandSuccess(jobs: readonly Job[]): Report['success']['command'] {
  if (jobs.length === 0) return 'not_applicable';
  const completed = jobs.filter(({ status }) => status === 'completed').length;
  if (completed === jobs.length) return 'yes';
  if (jobs.some(({ status }) => !isTerminal(status) || status === 'lost')) return 'unknown';
  return completed > 0 ? 'partly' : 'no';
}

const staleIn = (home: readonly ArtifactRecord[]): number =>
  home.filter(({ stale }) => stale !== undefined).length;

function errorsOf({ pod, lease, jobs, home }: Parts): string[] {
  const stale = staleIn(home);
  return [
    ...(stale === 0 ? [] : [`Files at home that are older than they claim: ${stale}.`]),
    ...(lease?.failure === undefined ? [] : [lease.failure]),
    ...(pod.problem === undefined || pod.problem === lease?.failure ? [] : [pod.problem]),
    ...(lease?.attempts ?? []).map(({ offerId, reason }) => `Offer ${offerId}: ${reason}`),
    ...jobs
      .filter(({ status }) => ['failed', 'timed_out', 'lost', 'cancelled'].includes(status))
      .map(
        ({ jobId, status, exitCode, notStarted }) =>
          `Job ${jobId}: ${status}${exitCode === undefined ? '' : ` with exit code ${exitCode}`}${notStarted === undefined ? '' : `. ${NOT_STARTED[notStarted]}`}`,
      ),
  ];
}

function notTrackedOf({ mode }: Pod): string[] {
  return mode === 'managed'
    ? ['bandwidth and storage charges beyond the hourly price']
    : ['cost', 'deadline', 'cleanup: nothing of ours stops or destroys this machine'];
}

/** One concrete step (RP-05). */
function nextStepOf({ pod, jobs, missing, gates, receipt }: Parts): string {
  const isOver =
    pod.status === 'gone' ||
    (pod.mode === 'managed' && pod.status === 'failed' && pod.spentUsd === 0);
  if (isOver) return afterEnd(missing, receipt);
  const running = jobs.find(({ status }) => !isTerminal(status));
  if (running !== undefined) return `Wait for job ${running.jobId} with job_wait.`;
  if (areBroken(missing))
    return 'The named files are as broken on the pod as at home: run the job again, or ask the user whether to give them up.';
  if (missing.length > 0) return 'Bring the missing files home with fetch_artifacts.';
  if (gates.length > 0) return 'The pod could not be checked: call diagnose, then report again.';
  return pod.mode === 'managed'
    ? 'Everything is home: end the meter with destroy.'
    : ['Tell the user that the machine is still running and theirs to stop.', pod.dangerClocks?.[0]]
        .filter((words) => words !== undefined)
        .join(' ');
}
