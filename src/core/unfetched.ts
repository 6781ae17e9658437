import { z } from 'zod';
import type { ArtifactRecord } from './files.ts';
import { type JobId, jobIdSchema } from './ids.ts';
import { isTerminal, type Job } from './job.ts';

/** A declared output of a pod that is gone, as far as it is not known to be home; `why` in our own words. */
export const lostOutputSchema = z.object({
  jobId: jobIdSchema.exactOptional(),
  path: z.string(),
  why: z.string(),
});
export type LostOutput = Readonly<z.output<typeof lostOutputSchema>>;

/**
 * Declared outputs of which nothing is home yet, or of which a fetch had to leave something on the pod; from records alone.
 * A hint for people: the gate that `destroy` asks also looks at the pod.
 */
export function unfetchedOf(
  jobs: readonly Job[],
  records: readonly ArtifactRecord[],
): { readonly jobId: JobId; readonly path: string }[] {
  return outputsOf(jobs, records)
    .filter(({ home, isHeldBack }) => home.length === 0 || isHeldBack)
    .map(({ job, path }) => ({ jobId: job.jobId, path }));
}

/**
 * Declared outputs that are not known to be home whole, from records alone: what can be said of a pod that nobody looked at
 * before it went. Pure.
 */
export function notHomeOf(
  jobs: readonly Job[],
  records: readonly ArtifactRecord[],
): readonly LostOutput[] {
  return outputsOf(jobs, records).flatMap(({ job, path, home }) => {
    const why = whyNotHome(job, path, home);
    return why === undefined ? [] : [{ jobId: job.jobId, path, why }];
  });
}

const IN_PART = ['What is home was fetched at', 'Only a part of it is known to be home.'] as const;
/** Whether something of it is home. */
export const isInPart = (why: string): boolean => IN_PART.some((words) => why.startsWith(words));

function whyNotHome(
  job: Job,
  declared: string,
  home: readonly ArtifactRecord[],
): string | undefined {
  const latest = home
    .map(({ fetchedAt }) => fetchedAt)
    .toSorted()
    .at(-1);
  if (latest === undefined) return 'Nothing of it came home.';
  // The pod has its own clock; when its end was seen here, that is what a fetch here compares with.
  const endSeenAt = job.status === 'lost' ? job.endedAt : (job.observedAt ?? job.endedAt);
  if (!isTerminal(job.status) || (endSeenAt !== undefined && latest < endSeenAt))
    return `${IN_PART[0]} ${latest}, before the job was seen to end.`;
  const late = home.filter(({ fetchedAt }) => endSeenAt === undefined || fetchedAt >= endSeenAt);
  return late.some((record) => isWhole(record, job, declared)) ? undefined : IN_PART[1];
}

function outputsOf(
  jobs: readonly Job[],
  records: readonly ArtifactRecord[],
): readonly {
  readonly job: Job;
  readonly path: string;
  readonly home: readonly ArtifactRecord[];
  readonly isHeldBack: boolean;
}[] {
  return jobs.flatMap((job) => {
    const ofPod = records.filter(({ podId }) => podId === job.podId);
    const own = ofPod.filter(({ jobId }) => (jobId ?? job.jobId) === job.jobId);
    const heldBack = ofPod.flatMap((record) => record.heldBack ?? []);
    return job.artifacts.map((path) => {
      const covers = coveredBy(path.startsWith('/') ? path : `${job.cwd}/${path}`);
      const home = own.filter((record) => covers(record.remotePath) || isWhole(record, job, path));
      return { job, path, home, isHeldBack: heldBack.some(covers) };
    });
  });
}

/** Whether it came with everything that this declaration names. */
function isWhole({ wholeOf = [], jobId }: ArtifactRecord, job: Job, declared: string): boolean {
  const plain = partsOf(declared).join('/');
  const below = `${partsOf(job.cwd).join('/')}/`;
  const name =
    declared.startsWith('/') && plain.startsWith(below) ? plain.slice(below.length) : plain;
  return jobId === job.jobId && wholeOf.includes(name);
}

const partsOf = (path: string): readonly string[] =>
  path.split('/').filter((part) => part !== '' && part !== '.');

/** Whether a path is what was declared, lies below it, or matches it as a glob of `*`, `**`, `?`, `[a-z]` and `{a,b}`. */
function coveredBy(declared: string): (path: string) => boolean {
  const parts = partsOf(declared).filter((part, at, all) => part !== '**' || all[at - 1] !== '**');
  const pattern = parts
    .map((part) => (part === '**' ? '.*' : globOf(part)))
    .join('/')
    .replaceAll('.*/', '(?:.*/)?');
  const whole = new RegExp(`^/?${pattern}(?:/.*)?$`, 's');
  const plain = parts.join('/');
  return (path) => {
    const found = partsOf(path).join('/');
    return found === plain || found.startsWith(`${plain}/`) || whole.test(path);
  };
}

/** One part of a glob as a regular expression; what is no glob means itself. */
function globOf(part: string): string {
  return part.replace(
    /\[(!?)([\w.,-]+)\]|\{([^{}]*,[^{}]*)\}|[.+^${}()|[\]\\?]|\*+/g,
    (
      found: string,
      not: string | undefined,
      set: string | undefined,
      words: string | undefined,
    ) => {
      if (set !== undefined && isClass(set)) return `[${not === '!' ? '^' : ''}${set}]`;
      if (words !== undefined) return `(?:${words.split(',').map(globOf).join('|')})`;
      if (found.startsWith('*')) return '[^/]*';
      return found === '?' ? '[^/]' : found.replace(/[.+^${}()|[\]\\]/g, '\\$&');
    },
  );
}

/** Whether its ranges run upwards, as those of a regular expression must. */
function isClass(set: string): boolean {
  return [...set.matchAll(/(.)-(.)/g)].every(([, from = '', to = '']) => from <= to);
}
