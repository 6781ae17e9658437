import type { CallOptions } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { isTerminal, type Jobs } from '../core/job.ts';
import { isBelow } from './remote-target.ts';

/** Throws `job_running` when an unfinished job works in, above or below `folder`. Looks afresh before it refuses. */
export async function refuseRunningJob(
  jobs: Jobs,
  podId: PodId,
  folder: string,
  options: CallOptions,
): Promise<void> {
  const inFolder = (job: { readonly cwd: string }): boolean =>
    isBelow(folder, job.cwd) || isBelow(job.cwd, folder);
  const suspects = (await jobs.list(podId)).filter(
    (job) => !isTerminal(job.status) && inFolder(job),
  );
  if (suspects.length === 0) return;
  const fresh = await jobs.refresh(podId, options);
  const running = fresh.find((job) => !isTerminal(job.status) && inFolder(job));
  if (running !== undefined)
    throw new PolicyError(
      'job_running',
      `Job ${running.jobId} works in this folder, and its files must not change under it.`,
      {
        hint: 'Wait for the job with job_wait, end it with job_cancel, or sync into another folder.',
      },
    );
}
