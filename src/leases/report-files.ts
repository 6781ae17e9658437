import type { ArtifactRecord, Gate } from '../core/files.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Receipt } from '../core/lease.ts';
import type { Pod } from '../core/pods.ts';
import { IS_BROKEN } from '../core/report.ts';
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
        : gate === 'artifact_broken'
          ? `${path}${IS_BROKEN}`
          : path,
  );
  const wasLookedAt = pod.status !== 'gone' && !gates.some(({ gate }) => gate === 'not_checked');
  const judged = new Set(open.flatMap(({ jobId }) => jobId ?? []));
  const unseen = jobs.filter(
    ({ jobId, status }) => !judged.has(jobId) && !(wasLookedAt && isTerminal(status)),
  );
  return [...new Set([...named, ...unfetchedOf(unseen, home).map(({ path }) => path)])];
}

/** Whether somebody gave up every one of these. */
export function isGivenUp(missing: readonly string[], receipt: Receipt | undefined): boolean {
  const waived = (receipt?.waiver?.gates ?? []).flatMap(({ path }) => path ?? []);
  return missing.every((name) =>
    waived.some((path) => name === path || name.startsWith(`${path} (what is home is `)),
  );
}

/** Whether the copy at home is as broken as the one on the pod, for each of these: fetching again changes nothing. */
export function areBroken(missing: readonly string[]): boolean {
  return missing.length > 0 && missing.every((name) => name.endsWith(IS_BROKEN));
}

/** Gates of files of which there is something at home, but not the file that is wanted. */
const NOT_THE_FILE: readonly Gate['gate'][] = [
  'artifact_changed',
  'artifact_broken',
  'artifact_not_home',
];

/** Absolute paths on the pod whose copy at home is gone, broken, or not what the pod holds now; waived or not. */
export function unsoundPaths(
  jobs: readonly Job[],
  gates: readonly Gate[],
  receipt: Receipt | undefined,
): ReadonlySet<string> {
  return new Set(
    [...gates, ...(receipt?.waiver?.gates ?? [])].flatMap(({ gate, jobId, path }) => {
      const cwd = jobs.find((job) => job.jobId === jobId)?.cwd;
      if (path === undefined || !NOT_THE_FILE.includes(gate)) return [];
      if (path.startsWith('/')) return [path];
      return cwd === undefined ? [] : [`${cwd}/${path}`];
    }),
  );
}
