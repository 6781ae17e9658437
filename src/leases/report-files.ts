import type { ArtifactRecord, Gate } from '../core/files.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Receipt } from '../core/lease.ts';
import type { Pod } from '../core/pods.ts';
import { unfetchedOf } from '../core/unfetched.ts';

interface FileFacts {
  readonly pod: Pod;
  readonly jobs: readonly Job[];
  readonly home: readonly ArtifactRecord[];
  readonly gates: readonly Gate[];
  readonly receipt: Receipt | undefined;
}

/**
 * Of a job that ended on a pod that is there, what the look at the pod says. Of the others what the waiver says, or which
 * declared output has no file at home.
 */
export function missingFiles({ pod, jobs, home, gates, receipt }: FileFacts): readonly string[] {
  const shown = new Set(jobs.map(({ jobId }) => jobId));
  const waived = (receipt?.waiver?.gates ?? []).filter(
    ({ jobId }) => jobId === undefined || shown.has(jobId),
  );
  const open = [...gates, ...waived].filter(
    ({ gate }) => gate !== 'job_running' && gate !== 'not_checked',
  );
  const named = open.flatMap(({ gate, path }) =>
    path === undefined
      ? []
      : gate === 'artifact_changed'
        ? `${path} (what is home is older)`
        : path,
  );
  const wasLookedAt = pod.status !== 'gone' && !gates.some(({ gate }) => gate === 'not_checked');
  const judged = new Set(open.flatMap(({ jobId }) => jobId ?? []));
  const unseen = jobs.filter(
    ({ jobId, status }) => !judged.has(jobId) && !(wasLookedAt && isTerminal(status)),
  );
  return [...new Set([...named, ...unfetchedOf(unseen, home).map(({ path }) => path)])];
}

/** Absolute paths on the pod whose copy at home is not what the pod holds now. */
export function outdatedPaths(jobs: readonly Job[], gates: readonly Gate[]): ReadonlySet<string> {
  return new Set(
    gates.flatMap(({ gate, jobId, path }) => {
      const cwd = jobs.find((job) => job.jobId === jobId)?.cwd;
      return gate === 'artifact_changed' && cwd !== undefined && path !== undefined
        ? [`${cwd}/${path}`]
        : [];
    }),
  );
}
