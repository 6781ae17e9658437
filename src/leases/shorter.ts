import type { ArtifactRecord } from '../core/files.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import { namesOf } from '../core/left-behind.ts';
import { unfetchedOf } from '../core/unfetched.ts';

/**
 * What an earlier deadline leaves no time for, from records alone: jobs that may run longer, and declared files that are not home.
 * `rescueFolder`: where those are brought before the end, where they are. Pure.
 */
export function shorterWords(
  { deadlineAt, terms, podId }: Lease,
  before: string,
  jobs: readonly Job[],
  records: readonly ArtifactRecord[],
  rescueFolder: string | undefined,
): readonly string[] {
  const end = Date.parse(deadlineAt);
  if (!(end < Date.parse(before))) return [];
  const mine = jobs.filter((job) => job.podId === podId);
  const goes = terms.onExpiry === 'stop' ? 'stops' : 'ends';
  const late = mine
    .filter((job) => !isTerminal(job.status) && mayRunUntil(job) > end)
    .map(
      (job) =>
        `Job ${job.jobId} is ${job.status} and may run until ${new Date(mayRunUntil(job)).toISOString()}: it ends when the pod ${goes}, at ${deadlineAt}.`,
    );
  const open = unfetchedOf(mine, records);
  if (open.length === 0) return late;
  const fate =
    terms.onExpiry === 'stop'
      ? 'It stays on the disk of the stopped pod.'
      : rescueFolder === undefined
        ? 'It is lost with the pod: fetch_artifacts before that.'
        : `Before the end it is brought to ${rescueFolder} as far as there is time: fetch_artifacts is sure.`;
  return [...late, `NOT HOME: ${namesOf(open)}. ${fate}`];
}

function mayRunUntil({ startedAt, createdAt, maxRuntimeMinutes }: Job): number {
  return Date.parse(startedAt ?? createdAt) + maxRuntimeMinutes * 60_000;
}
