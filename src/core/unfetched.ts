import type { ArtifactRecord } from './files.ts';
import type { JobId } from './ids.ts';
import type { Job } from './job.ts';

/**
 * Declared outputs of which nothing is home yet, from records alone. A hint for people: the gate that `destroy` asks
 * also looks at the pod.
 */
export function unfetchedOf(
  jobs: readonly Job[],
  records: readonly ArtifactRecord[],
): { readonly jobId: JobId; readonly path: string }[] {
  return jobs.flatMap((job) => {
    const home = records
      .filter(({ podId, jobId }) => podId === job.podId && (jobId ?? job.jobId) === job.jobId)
      .map(({ remotePath }) => remotePath);
    return job.artifacts
      .filter((declared) => {
        const covers = coveredBy(declared.startsWith('/') ? declared : `${job.cwd}/${declared}`);
        return !home.some((path) => covers(path));
      })
      .map((path) => ({ jobId: job.jobId, path }));
  });
}

/** Whether a path is what was declared, lies below it, or matches it as a glob of `*`, `**` and `?`. */
function coveredBy(declared: string): (path: string) => boolean {
  const pattern = declared
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) =>
      part === '**'
        ? '.*'
        : part
            .replace(/[.+^${}()|[\]\\]/g, '\\$&')
            .replaceAll('*', '[^/]*')
            .replaceAll('?', '[^/]'),
    )
    .join('/')
    .replaceAll('.*/', '(?:.*/)?');
  const whole = new RegExp(`^/?${pattern}(?:/.*)?$`, 's');
  return (path) => whole.test(path);
}
