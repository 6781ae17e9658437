import type { ArtifactRecord, Gate } from '../core/files.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Receipt } from '../core/lease.ts';
import type { Pod } from '../core/pods.ts';
import { brokenName, isBrokenName } from '../core/report.ts';
import { isInPart, unfetchedOf } from '../core/unfetched.ts';

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
  const named = open.flatMap((gate) => nameOf(gate, jobs, home) ?? []);
  const wasLookedAt = pod.status !== 'gone' && !gates.some(({ gate }) => gate === 'not_checked');
  const judged = new Set(open.flatMap(({ jobId }) => jobId ?? []));
  const unseen = jobs.filter(
    ({ jobId, status }) => !judged.has(jobId) && !(wasLookedAt && isTerminal(status)),
  );
  const inPart = (receipt?.notHome ?? []).flatMap(({ jobId, path, why }) =>
    isInPart(why) && (jobId === undefined || shown.has(jobId))
      ? `${path} (${why.replace(/\.$/, '')})`
      : [],
  );
  return [...new Set([...named, ...inPart, ...unfetchedOf(unseen, home).map(({ path }) => path)])];
}

/** What is said of one open gate. `undefined`: it is about no file. */
function nameOf(
  { gate, jobId, path, why }: Gate,
  jobs: readonly Job[],
  home: readonly ArtifactRecord[],
): string | undefined {
  if (path === undefined) return undefined;
  if (gate === 'artifact_changed') return `${path} (what is home is older)`;
  if (gate !== 'artifact_broken') return path;
  const place = placeOf(path, jobId, jobs);
  const localPath = home.find(({ remotePath }) => remotePath === place)?.localPath;
  return brokenName(path, localPath, why);
}

/** Absolute, on the pod. */
function placeOf(
  path: string,
  jobId: string | undefined,
  jobs: readonly Job[],
): string | undefined {
  if (path.startsWith('/')) return path;
  const cwd = jobs.find((job) => job.jobId === jobId)?.cwd;
  return cwd === undefined ? undefined : `${cwd}/${path}`;
}

/** The one step after the end of the pod. */
export function afterEnd(missing: readonly string[], receipt: Receipt | undefined): string {
  if (missing.length === 0) return 'Nothing is left to do: the pod is gone.';
  if (areBroken(missing))
    return 'Nothing is left to do: the pod is gone. The named files are home as the job wrote them, and broken.';
  return isGivenUp(missing, receipt)
    ? 'Nothing is left to do: the pod is gone, and the named files were given up.'
    : 'The pod is gone and the named files did not come home: run the job again on another pod.';
}

/** Whether somebody gave up every one of these. What was lost at a deadline nobody gave up. */
function isGivenUp(missing: readonly string[], receipt: Receipt | undefined): boolean {
  const waiver = receipt?.waiver;
  // Who gave up a job that ran gave up what it had declared.
  const waived =
    waiver === undefined || waiver.by === 'expiry'
      ? []
      : [...waiver.gates, ...(receipt?.notHome ?? [])];
  return missing.every((name) =>
    waived.some(({ path }) => name === path || name.startsWith(`${path ?? ''} (`)),
  );
}

/** Whether the copy at home is as broken as the one on the pod, for each of these: fetching again changes nothing. */
export function areBroken(missing: readonly string[]): boolean {
  return missing.length > 0 && missing.every(isBrokenName);
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
    [...gates, ...(receipt?.waiver?.gates ?? [])].flatMap(({ gate, jobId, path }) =>
      path === undefined || !NOT_THE_FILE.includes(gate) ? [] : (placeOf(path, jobId, jobs) ?? []),
    ),
  );
}
