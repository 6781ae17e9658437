import type { CallOptions, Clock } from '../core/call.ts';
import { InputError, isAppError } from '../core/errors.ts';
import type { JobId } from '../core/ids.ts';
import { type Finding, isTerminal, type Job, type JobEvidence, type Jobs } from '../core/job.ts';
import type { Secrets } from '../core/machine.ts';
import type { Page } from '../core/page.ts';
import type { Disks } from '../core/platform.ts';
import { Redactor } from '../core/redact.ts';
import type { Remote } from '../core/remote.ts';
import type { Store } from '../core/store.ts';
import { CANCEL_LIMIT_SECONDS, cancelledFrom, cancelScript } from './cancel.ts';
import { createLogCopies } from './log-copies.ts';
import { type LogCut, matchesOf, pageOf, tailOf } from './log-page.ts';
import { createObserver, type Seen } from './observer.ts';
import { nearEndWords, podEndOf } from './pod-end.ts';
import { reportOf } from './report.ts';
import { startJob } from './start.ts';

export interface JobsDeps {
  readonly remote: Remote;
  readonly store: Store;
  readonly clock: Clock;
  readonly home: string;
  readonly secrets: Secrets;
  /** Masks what logs would tell. Default: nothing is known. */
  readonly redactor?: Redactor;
  readonly diagnose: (evidence: JobEvidence) => readonly Finding[];
  /** Absent: nobody warns of disks that do not last. */
  readonly disks?: Disks;
  /** A job is ended when its disk has less than this left. Default 64 MiB. */
  readonly diskFloorBytes?: number;
  /** Between TERM and KILL. Default 10 s. */
  readonly graceSeconds?: number;
}

const UNREACHABLE_PAUSE_SECONDS = 3;
/** Jobs whose logs are copied at the same time. */
const COPIES_AT_ONCE = 4;
/** Searched in one call for `grep`, and the most that `tailLines` goes back. */
const WINDOW_BYTES = 1024 * 1024;

/** Jobs whose life is on the pod. The record here is a memory of it; every look brings it up to date. */
export function createJobs(deps: JobsDeps): Jobs {
  const redactor = deps.redactor ?? new Redactor();
  const observer = createObserver({ ...deps, redactor });
  const copies = createLogCopies({ ...deps, redactor });
  const graceSeconds = deps.graceSeconds ?? 10;
  /** Where the next `wait` without an offset goes on, per job. */
  const cursors = new Map<JobId, number>();

  const get = async (jobId: JobId): Promise<Job> => {
    const job = await deps.store.jobs.get(jobId);
    if (job === undefined) throw new InputError('not_found', 'No job has this id.');
    return observer.known(job);
  };
  const list: Jobs['list'] = async (podId) => {
    const wanted = (await deps.store.jobs.list()).filter(
      (job) => podId === undefined || job.podId === podId,
    );
    const known: Job[] = [];
    for (const job of wanted) known.push(await observer.known(job));
    return known.reverse();
  };

  return {
    get,
    list,
    start: async (request, options) =>
      startJob(
        {
          ...deps,
          observer,
          graceSeconds,
          diskFloorBytes: deps.diskFloorBytes ?? 64 * 1024 * 1024,
        },
        request,
        options,
      ),
    async wait(jobId, request, options) {
      const until = deps.clock.now().getTime() + request.waitSeconds * 1000;
      const offset = request.offset ?? cursors.get(jobId) ?? 0;
      const maxBytes = Math.max(4, request.maxBytes);
      for (;;) {
        const left = Math.max(0, (until - deps.clock.now().getTime()) / 1000);
        const seen = await observer.look(
          await get(jobId),
          { offset, maxBytes, waitSeconds: Math.floor(left) },
          options,
        );
        if (seen.failure?.code === 'host_key_changed') throw seen.failure;
        const isFinal = seen.look !== undefined || isTerminal(seen.job.status);
        if (!isFinal && left > UNREACHABLE_PAUSE_SECONDS) {
          options.progress?.('The pod cannot be reached; trying again.');
          await deps.clock.sleep(UNREACHABLE_PAUSE_SECONDS, options);
          continue;
        }
        const cut =
          cutOf(seen) ??
          (await copies.read(seen.job, { stream: 'stdout', offset, maxBytes }, maxBytes));
        const page = cut === undefined ? emptyPage(offset) : pageOf(cut, maxBytes);
        cursors.set(jobId, page.nextOffset);
        const report = reportOf(seen, page, deps);
        const end = await podEndOf(deps.store, seen.job.podId);
        const near = nearEndWords(end, seen.job, deps.clock.now());
        if (near !== undefined && !isTerminal(report.status)) report.work.evidence.unshift(near);
        return report;
      }
    },
    async logs(jobId, request, options) {
      const { tailLines, grep } = request;
      const window =
        grep === undefined && tailLines === undefined
          ? Math.max(4, request.maxBytes)
          : WINDOW_BYTES;
      const offset = request.offset ?? (tailLines === undefined ? 0 : -1);
      const look = async (): Promise<Seen> =>
        observer.look(
          await get(jobId),
          { stream: request.stream, offset, maxBytes: window },
          options,
        );
      let seen = await look();
      // A link that was cut once is made anew; a look changes nothing, so it is safe to repeat.
      if (seen.failure?.code === 'link_lost') seen = await look();
      let cut = seen.look?.state === 'absent' ? undefined : cutOf(seen);
      cut ??= await copies.read(seen.job, request, window);
      if (cut === undefined && seen.failure !== undefined) throw seen.failure;
      cut ??= cutOf(seen);
      const { status } = seen.job;
      if (cut === undefined) return { ...emptyPage(0), status };
      if (tailLines !== undefined) cut = tailOf(cut, tailLines);
      if (grep !== undefined) return { ...matchesOf(cut, grep, request.maxBytes), status };
      if (tailLines !== undefined && cut.bytes.length > request.maxBytes) {
        const skipped = cut.bytes.length - Math.max(4, request.maxBytes);
        cut = { ...cut, bytes: cut.bytes.subarray(skipped), offset: cut.offset + skipped };
      }
      return { ...pageOf(cut, request.maxBytes), status };
    },
    async cancel(jobId, options) {
      const job = await get(jobId);
      try {
        const answer = await deps.remote.exec(
          job.podId,
          cancelScript(jobId, Math.min(graceSeconds, 5), 'cancelled'),
          {
            ...options,
            timeoutSeconds: CANCEL_LIMIT_SECONDS + 20,
          },
        );
        const { processesGone } = cancelledFrom(answer.stdout, answer.stderr.toString('utf8'));
        const seen = await observer.look(job, {}, options);
        return { job: seen.job, processesGone: processesGone ? 'yes' : 'no' };
      } catch (thrown) {
        options.signal.throwIfAborted();
        if (!isAppError(thrown)) throw thrown;
        if (thrown.code === 'pod_gone') {
          const { job: known } = await observer.look(job, {}, options);
          return { job: known, processesGone: 'yes' };
        }
        if (isTerminal(job.status)) return { job, processesGone: 'unknown' };
        if (!['link_lost', 'command_timeout'].includes(thrown.code)) throw thrown;
        const { job: known } = await observer.look(job, {}, options);
        return { job: known, processesGone: 'unknown' };
      }
    },
    async refresh(podId, options) {
      for (const job of await list(podId))
        if (!isTerminal(job.status)) await observer.look(job, {}, options);
      return list(podId);
    },
    async collectLogs(podId, options) {
      const queue = (await list(podId)).values();
      const worker = async (): Promise<void> => {
        for (const job of queue) await collect(job, options);
      };
      await Promise.all(Array.from({ length: COPIES_AT_ONCE }, worker));
    },
  };

  async function collect(job: Job, options: CallOptions): Promise<void> {
    const note = async (text: string): Promise<void> =>
      deps.store.log.append({
        at: deps.clock.now().toISOString(),
        kind: 'job_logs',
        podId: job.podId,
        text: `${job.jobId}: ${text}`,
      });
    try {
      const { folder, cut } = await copies.collect(job, options);
      await deps.store.transaction(async (tx) => {
        const current = await tx.jobs.get(job.jobId);
        if (current !== undefined) await tx.jobs.put(job.jobId, { ...current, logsPath: folder });
      });
      for (const problem of cut) await note(problem);
    } catch (thrown) {
      options.signal.throwIfAborted();
      if (!isAppError(thrown) || thrown.code === 'internal') throw thrown;
      await note(`the logs could not be copied (${thrown.code})`);
    }
  }
}

function cutOf({ job, look }: Seen): LogCut | undefined {
  if (look === undefined) return undefined;
  return {
    bytes: look.bytes,
    offset: look.offset,
    size: look.size,
    complete: isTerminal(job.status),
  };
}

function emptyPage(offset: number): Page {
  return { output: '', offset, nextOffset: offset, hasMore: false };
}
