import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import { type FetchResult, fetchResultSchema, PROOF_LEVELS } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import { isTerminal, type Job } from '../core/job.ts';
import { exactlyOne, jobIdParam, names, pathParam, podIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { bytes, count, GIVE_UP, list, type Next, renderResult } from './words.ts';

export const fetchArtifacts = defineTool({
  name: 'fetch_artifacts',
  title: 'Bring results home',
  description:
    "Download results (checkpoints, logs, models) from a GPU pod: a job's declared artifacts, or paths below the work folder. Every file comes with sha256 made on the pod and the level of proof reached; what is missing is named. destroy asks for this. Local paths must be inside the workspace. Adds no cost. Next: destroy.",
  effect: 'write',
  input: z.strictObject({
    jobId: jobIdParam.exactOptional(),
    podId: podIdParam.exactOptional().describe('Instead of jobId; needs paths.'),
    paths: names(1000).default([]).describe('Paths or globs; with jobId: only these.'),
    localPath: pathParam.describe('Folder here.'),
    exclude: names(500).default([]),
    verify: z
      .enum([...PROOF_LEVELS, 'load'])
      .default('load')
      .describe('load: open each file as what it claims to be.'),
    strict: z.boolean().default(false).describe('A path without a file is an error.'),
    dryRun: z.boolean().default(false),
  }),
  output: z.object({ ...fetchResultSchema.shape, ...resultShape }),
  async handle({ podId, jobId, ...request }, { files, jobs, signal, progress }) {
    exactlyOne({ podId, jobId });
    if (jobId === undefined && request.paths.length === 0)
      throw new InputError('invalid_input', 'podId needs paths: what to bring home.');
    const job = jobId === undefined ? undefined : await jobs.get(jobId);
    const machine = podId ?? job?.podId;
    if (machine === undefined) throw new InputError('invalid_input', 'Give podId or jobId.');
    const result = await files.fetch(
      { podId: machine, ...(jobId === undefined ? {} : { jobId }), ...request },
      { signal, progress },
    );
    return { ...result, summary: summaryOf(result), next: nextOf(machine, result, job) };
  },
  render(result) {
    const { manifest, missing, leftOnPod, left } = result;
    return renderResult(
      result,
      list(
        manifest.files.map(
          ({ path, localPath, bytes: size, sha256, proof, problem }) =>
            `${path} -> ${localPath}: ${bytes(size)}, ${proof}, sha256 ${sha256.slice(0, 12)}…${problem === undefined ? '' : `, PROBLEM: ${problem}`}`,
        ),
      ),
      missing.length > 0 && `Missing:\n${list(missing)}`,
      leftOnPod.length > 0 &&
        `Left on the pod${left > leftOnPod.length ? ` (the largest ${leftOnPod.length} of ${left})` : ''}:\n${list(leftOnPod.map(({ path, bytes: size }) => `${path} (${bytes(size)})`))}`,
      manifest.manifestPath !== undefined && `Manifest: ${manifest.manifestPath}`,
    );
  },
});

function summaryOf({ podId, manifest, missing, left, dryRun }: FetchResult): string {
  const isOwn = podId.startsWith('ssh:');
  const broken = manifest.files.filter(({ problem }) => problem !== undefined).length;
  const lowest = PROOF_LEVELS.find((level) => manifest.files.some(({ proof }) => proof === level));
  const proven = dryRun || lowest === undefined ? '' : `, each proven at least "${lowest}"`;
  return [
    `${count(manifest.totalFiles, 'file')} (${bytes(manifest.totalBytes)}) ${dryRun ? 'would come' : 'came'} home${proven}.`,
    broken > 0 && `${count(broken, 'file')} with a problem.`,
    missing.length > 0 &&
      `${count(missing.length, 'declared path')} missing. ${isOwn ? '' : GIVE_UP}`.trimEnd(),
    left > 0 && `${count(left, 'file')} left on the pod.`,
  ]
    .filter((part) => part !== false)
    .join(' ');
}

function nextOf(
  podId: PodId,
  { manifest, missing, dryRun }: FetchResult,
  job: Job | undefined,
): Next {
  if (dryRun) return [];
  if (job !== undefined && !isTerminal(job.status))
    return [
      {
        tool: 'job_wait',
        why: 'It may still write: wait for its end, then bring the rest home.',
        arguments: { jobId: job.jobId },
      },
    ];
  const clean =
    missing.length === 0 && manifest.files.every(({ problem }) => problem === undefined);
  if (!clean)
    return [
      {
        tool: 'session_open',
        why: 'Look on the pod for what is missing or broken.',
        arguments: { podId },
      },
    ];
  if (podId.startsWith('ssh:')) return [];
  return [{ tool: 'destroy', why: 'If nothing else is needed from it.', arguments: { podId } }];
}
