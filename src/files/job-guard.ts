import type { CallOptions } from '../core/call.ts';
import { PolicyError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { isTerminal, type Jobs } from '../core/job.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { isBelow } from './remote-target.ts';

/** Throws `job_running` when an unfinished job works in, above or below `folder`. Looks afresh before it refuses. */
export async function refuseRunningJob(
  jobs: Pick<Jobs, 'list' | 'refresh'>,
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
        hint: `${isBelow(running.cwd, folder) && running.cwd !== folder ? 'Its cwd is above this folder; start jobs in a folder of their own with cwd. ' : ''}Wait with job_wait or end it with job_cancel, jobId "${running.jobId}", or sync to a remotePath that is neither in, above nor below its cwd.`,
        foreignText: quoteForeign(`cwd: ${running.cwd}`, 600),
      },
    );
}
