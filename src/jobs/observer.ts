import type { CallOptions, Clock } from '../core/call.ts';
import { type AppError, isAppError } from '../core/errors.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Redactor } from '../core/redact.ts';
import type { Remote } from '../core/remote.ts';
import type { Store } from '../core/store.ts';
import { cancelScript } from './cancel.ts';
import { type Look, type LookRequest, lookFrom, lookScript } from './look.ts';
import { maskedLook, widened } from './masked-look.ts';
import { goneAt, podEndOf } from './pod-end.ts';
import { jobAfter } from './verdict.ts';

/** A start takes at most half of this; after it nobody can still be starting the job. */
const CLAIM_AFTER_SECONDS = 60;
const LOOK_LIMIT_SECONDS = 25;

export interface Seen {
  readonly job: Job;
  /** Absent: the pod did not answer, for the reason in `failure`. */
  readonly look?: Look;
  readonly failure?: AppError;
}
export type Glance = Partial<
  Pick<LookRequest, 'stream' | 'offset' | 'maxBytes' | 'waitSeconds' | 'until' | 'mayClaim'>
>;
export interface Observer {
  /** One look at the pod, and the record brought up to date. Throws only what says nothing about the pod: aborts, defects. */
  look(job: Job, glance: Glance, options: CallOptions): Promise<Seen>;
  /** Writes what `change` makes of the record as it is now. A record that has ended is never changed. */
  settle(job: Job, change: (current: Job) => Job): Promise<Job>;
  /** The record as it must be now that its pod may be gone: from the store alone, no network. */
  known(job: Job): Promise<Job>;
}

/** Looks at jobs on pods. Losing the link to a pod is never news about a job [JO-15]. */
export function createObserver(deps: {
  readonly remote: Remote;
  readonly store: Store;
  readonly clock: Clock;
  readonly redactor: Redactor;
}): Observer {
  const settle: Observer['settle'] = async (job, change) =>
    deps.store.transaction(async (tx) => {
      const current = (await tx.jobs.get(job.jobId)) ?? job;
      if (isTerminal(current.status)) return current;
      const next = change(current);
      await tx.jobs.put(job.jobId, next);
      return next;
    });
  const lookOnce = async (job: Job, glance: Glance, options: CallOptions): Promise<Look> => {
    const request: LookRequest = {
      jobId: job.jobId,
      cwd: job.cwd,
      artifacts: job.artifacts,
      stream: 'stdout',
      offset: 0,
      maxBytes: 0,
      waitSeconds: 0,
      until: 'page',
      mayClaim:
        job.status === 'bootstrapping' &&
        job.startedAt === undefined &&
        deps.clock.now().getTime() - Date.parse(job.createdAt) > CLAIM_AFTER_SECONDS * 1000,
      ...glance,
    };
    const wide = widened(request, deps.redactor);
    const answer = await deps.remote.exec(job.podId, lookScript(wide), {
      ...options,
      timeoutSeconds: request.waitSeconds + LOOK_LIMIT_SECONDS,
      maxBytes: wide.maxBytes + 256 * 1024,
    });
    const look = lookFrom(answer.stdout, deps.redactor.redact(answer.stderr.toString('utf8')));
    return maskedLook(look, request, deps.redactor);
  };
  return {
    settle,
    async known(job) {
      if (isTerminal(job.status)) return job;
      const end = await podEndOf(deps.store, job.podId);
      if (end?.isGone !== true) return job;
      const endedAt = goneAt(end, deps.clock.now());
      return settle(job, (current) => ({ ...current, status: 'lost', endedAt }));
    },
    async look(job, glance, options) {
      let look: Look;
      try {
        look = await lookOnce(job, glance, options);
        if (isOverdueOrphan(job, look)) {
          await deps.remote.exec(job.podId, cancelScript(job.jobId, 5, 'timed_out'), {
            ...options,
            timeoutSeconds: 60,
          });
          look = await lookOnce(job, { ...glance, waitSeconds: 0 }, options);
        }
      } catch (thrown) {
        options.signal.throwIfAborted();
        if (!isAppError(thrown) || thrown.code === 'cancelled' || thrown.code === 'internal')
          throw thrown;
        const gone = thrown.code === 'pod_gone';
        const endedAt = goneAt(await podEndOf(deps.store, job.podId), deps.clock.now());
        const known = await settle(job, (current) =>
          gone
            ? { ...current, status: 'lost', endedAt }
            : current.status === 'running'
              ? { ...current, status: 'running_unreachable' }
              : current,
        );
        return { job: known, failure: thrown };
      }
      const observedAt = deps.clock.now().toISOString();
      return { job: await settle(job, (current) => jobAfter(current, look, observedAt)), look };
    },
  };
}

/** Nobody on the pod ends a job whose supervisor was killed; then the one who looks does. */
function isOverdueOrphan(job: Job, look: Look): boolean {
  return (
    look.state === 'orphan' &&
    look.phase === 'command' &&
    look.startedAt !== undefined &&
    (look.ranSeconds ?? look.now - look.startedAt) > job.maxRuntimeMinutes * 60
  );
}
