import { z } from 'zod';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import { type FetchResult, fetchResultSchema, PROOF_LEVELS, type Proof } from '../core/files.ts';
import type { JobId, PodId } from '../core/ids.ts';
import { isTerminal, type Job } from '../core/job.ts';
import { unfetchedOf } from '../core/unfetched.ts';
import { exactlyOne, jobIdParam, names, pathParam, podIdParam } from './params.ts';
import { defineTool, resultShape, type ToolContext } from './tool.ts';
import { bytes, fetchCall, GIVE_UP, list, type Next, renderResult } from './words.ts';

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
  async handle({ podId, jobId, ...request }, context) {
    const { files, jobs, signal, progress } = context;
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
    const opens =
      PROOF_LEVELS.indexOf(request.verify === 'load' ? 'loaded' : request.verify) >= OPENED;
    const unopened = opens ? 0 : result.manifest.files.filter(isUnopened).length;
    const again = { ...(jobId === undefined ? { podId: machine } : { jobId }), ...given(request) };
    const steps = stepsOf(machine, result, job);
    const next =
      steps ??
      (unopened > 0 ? [openCall(again)] : await othersOf(machine, context)) ??
      endOf(machine);
    // What was refused by reason is told in the summary.
    const told = fetchResultSchema.parse(result);
    return { ...told, summary: summaryOf(result, steps === undefined ? unopened : 0), next };
  },
  render(result) {
    const { manifest, missing, leftOnPod, left, refused = [] } = result;
    return renderResult(
      result,
      list(
        manifest.files.map(
          ({ path, localPath, bytes: size, sha256, proof, problem, keptAs }) =>
            `${path} -> ${localPath}: ${bytes(size)}, ${proof}, sha256 ${sha256.slice(0, 12)}…${problem === undefined ? '' : `, PROBLEM: ${problem}`}${keptAs === undefined ? '' : `; what stood there is kept as ${keptAs}`}`,
        ),
      ),
      missing.length > 0 && `Missing:\n${list(missing)}`,
      refused.length > 0 &&
        `Not fetched:\n${list(refused.map(({ path, why }) => (path === '' ? why : `${path}: ${why}`)))}`,
      leftOnPod.length > 0 &&
        `Left on the pod${left > leftOnPod.length ? ` (the largest ${leftOnPod.length} of ${left})` : ''}:\n${list(leftOnPod.map(({ path, bytes: size }) => `${path} (${bytes(size)})`))}`,
      manifest.manifestPath !== undefined && `Manifest: ${manifest.manifestPath}`,
    );
  },
});

const MAX_REASONS = 4;

function summaryOf(
  { podId, manifest, missing, left, dryRun, refusals = [], kept = 0 }: FetchResult,
  unopened: number,
): string {
  const isOwn = podId.startsWith('ssh:');
  const broken = manifest.files.filter(({ problem }) => problem !== undefined).length;
  const lowest = PROOF_LEVELS.find((level) => manifest.files.some(({ proof }) => proof === level));
  const proven = dryRun || lowest === undefined ? '' : `, each proven at least "${lowest}"`;
  return [
    `${count(manifest.totalFiles, 'file')} (${bytes(manifest.totalBytes)}) ${dryRun ? 'would come' : 'came'} home${proven}.`,
    broken > 0 && `${count(broken, 'file')} with a problem.`,
    kept > 0 && keptWords(kept),
    unopened > 0 && `${count(unopened, 'file')} not opened: destroy asks whether each opens.`,
    missing.length > 0 &&
      `${count(missing.length, 'declared path')} missing. ${isOwn ? '' : GIVE_UP}`.trimEnd(),
    ...refusals
      .toSorted((a, b) => Number(b.holdsData) - Number(a.holdsData))
      .slice(0, MAX_REASONS)
      .map(({ why, count: matches }) => `${matches} not fetched: ${why}`),
    left > 0 && `${count(left, 'file')} left on the pod.`,
  ]
    .filter((part) => part !== false)
    .join(' ');
}

function keptWords(kept: number): string {
  const [was, is] = kept === 1 ? ['was', 'is'] : ['were', 'are'];
  return `${count(kept, 'file')} here ${was} not what a fetch had put there, and ${is} kept beside what came: keptAs in manifest says where.`;
}

/** What comes before any thought of the end; `undefined`: nothing does. */
function stepsOf(
  podId: PodId,
  { manifest, missing, dryRun, refusals = [] }: FetchResult,
  job: Job | undefined,
): Next | undefined {
  if (dryRun) return [];
  if (job !== undefined && !isTerminal(job.status))
    return [waitCall(job.jobId, 'It may still write: wait for its end, then bring the rest home.')];
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
  if (refusals.some(({ holdsData }) => holdsData))
    return [
      {
        tool: 'session_open',
        why: 'Mend on the pod what was refused (each says how), then fetch again: destroy would lose it.',
        arguments: { podId },
      },
    ];
  return podId.startsWith('ssh:') ? [] : undefined;
}

const waitCall = (jobId: JobId, why: string): Next[number] => ({
  tool: 'job_wait',
  why,
  arguments: { jobId },
});

/** What `destroy` would ask for by name, of any job of the pod. From records alone. */
async function othersOf(
  podId: PodId,
  { jobs, artifacts }: Pick<ToolContext, 'jobs' | 'artifacts'>,
): Promise<Next | undefined> {
  const all = await jobs.list(podId);
  const running = all.find(({ status }) => !isTerminal(status));
  if (running !== undefined)
    return [waitCall(running.jobId, 'Another job runs there: destroy waits for its end.')];
  const [open] = unfetchedOf(all, await artifacts.list());
  return open && [fetchCall(open.jobId, 'More that was declared on this pod is not home.')];
}

/** The same fetch once more, now with a look into each file: nothing that is home is copied again. */
function openCall(request: NonNullable<Next[number]['arguments']>): Next[number] {
  return {
    tool: 'fetch_artifacts',
    why: 'Open what came home, as destroy will: nothing is copied again.',
    arguments: { ...request, verify: 'load' },
  };
}

function endOf(podId: PodId): Next {
  return [{ tool: 'destroy', why: 'If nothing else is needed from it.', arguments: { podId } }];
}

const OPENED = PROOF_LEVELS.indexOf('structure');
const isUnopened = ({ proof }: { readonly proof: Proof }): boolean =>
  PROOF_LEVELS.indexOf(proof) < OPENED;

/** What a call said beside the defaults. */
function given({
  localPath,
  paths,
  exclude,
}: {
  readonly localPath: string;
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
}): NonNullable<Next[number]['arguments']> {
  return {
    localPath,
    ...(paths.length === 0 ? {} : { paths: [...paths] }),
    ...(exclude.length === 0 ? {} : { exclude: [...exclude] }),
  };
}
