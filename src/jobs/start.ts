import { posix } from 'node:path';
import type { CallOptions, Clock } from '../core/call.ts';
import { type AppError, InputError, isAppError, PolicyError, RemoteError } from '../core/errors.ts';
import { type JobId, newJobId } from '../core/ids.ts';
import { isTerminal, type Job, type JobRequest, type Jobs } from '../core/job.ts';
import type { Secrets } from '../core/machine.ts';
import { shortSecretWords } from '../core/plain-secrets.ts';
import { type Disks, diskWarning } from '../core/platform.ts';
import type { Remote } from '../core/remote.ts';
import type { Store } from '../core/store.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { launchOf, placeScript } from './launch.ts';
import { checkArtifacts, checkRequest } from './limits.ts';
import { pageOf } from './log-page.ts';
import type { Observer, Seen } from './observer.ts';
import { podEndOf, shortLifeWords } from './pod-end.ts';

const LAUNCH_LIMIT_SECONDS = 30;
const SMOKE_LIMIT_SECONDS = 600;
const FIRST_OUTPUT_SECONDS = 2;
const FIRST_OUTPUT_BYTES = 4000;
/** Codes that mean the launch never reached the pod. */
const NEVER_RAN = [
  'ssh_unreachable',
  'ssh_refused',
  'host_key_changed',
  'pod_gone',
  'pod_not_ready',
  'not_found',
];

export interface StartDeps {
  readonly remote: Remote;
  readonly store: Store;
  readonly clock: Clock;
  readonly secrets: Secrets;
  readonly observer: Observer;
  readonly diskFloorBytes: number;
  readonly graceSeconds: number;
  /** Absent: nobody warns of disks that do not last. */
  readonly disks?: Disks | undefined;
}

/** Starts a job: record first, then the pod, so that whatever is lost in between is found by looking. */
export async function startJob(
  deps: StartDeps,
  request: JobRequest,
  options: CallOptions,
): ReturnType<Jobs['start']> {
  const secrets = checkRequest(request, deps.secrets);
  const jobId = newJobId();
  const place = await placeOf(deps, jobId, request, options);
  checkArtifacts(place.cwd, request.artifacts);
  const job: Job = {
    jobId,
    podId: request.podId,
    name: request.name ?? nameFrom(request.command),
    command: request.command,
    cwd: place.cwd,
    folder: place.folder,
    status: 'bootstrapping',
    artifacts: [...request.artifacts],
    maxRuntimeMinutes: request.maxRuntimeMinutes,
    createdAt: deps.clock.now().toISOString(),
    envNames: [...Object.keys(request.env), ...request.secretEnv],
  };
  await reserve(deps, job, options);
  const { script, stdin } = launchOf(
    {
      jobId,
      cwd: place.cwd,
      limitSeconds: Math.max(1, Math.round(request.maxRuntimeMinutes * 60)),
      hasSmoke: request.smokeCommand !== undefined,
      smokeLimitSeconds: SMOKE_LIMIT_SECONDS,
      diskFloorBytes: deps.diskFloorBytes,
      graceSeconds: deps.graceSeconds,
    },
    { command: request.command, smoke: request.smokeCommand ?? '', env: request.env, secrets },
  );
  let lost: AppError | undefined;
  try {
    const answer = await deps.remote.exec(request.podId, script, {
      ...options,
      stdin,
      timeoutSeconds: LAUNCH_LIMIT_SECONDS,
    });
    const said = answer.stdout.toString('utf8');
    const stderr = answer.stderr.toString('utf8');
    if (/^problem (?:stage|write)$/m.test(said)) await refuse(deps, job, stderr);
    if (!/^launched$/m.test(said)) lost = new RemoteError('link_lost', 'The launch was cut short.');
  } catch (thrown) {
    options.signal.throwIfAborted();
    if (!isAppError(thrown)) throw thrown;
    if (NEVER_RAN.includes(thrown.code)) await deps.store.jobs.delete(jobId);
    if (!['link_lost', 'command_timeout'].includes(thrown.code)) throw thrown;
    lost = thrown;
  }
  const seen =
    lost === undefined
      ? await firstLook(deps, job, false, options)
      : await resolve(deps, job, lost, options);
  const end = await podEndOf(deps.store, job.podId);
  const warnings = [
    isTerminal(seen.job.status) ? undefined : shortLifeWords(end, job, deps.clock.now()),
    await diskWords(deps, job, options),
    shortSecretWords(secrets),
  ].filter((words) => words !== undefined);
  return {
    ...firstOutput(seen),
    warning: warnings.length === 0 ? undefined : warnings.join(' '),
  };
}

/** Only advice: a job that runs is never failed by it. */
async function diskWords(
  { disks }: StartDeps,
  { podId, cwd, artifacts }: Job,
  options: CallOptions,
): Promise<string | undefined> {
  if (disks === undefined || artifacts.length === 0) return undefined;
  const files = artifacts.map((file) => posix.resolve(cwd, file));
  const known = await disks(podId, options).catch(() => undefined);
  return known === undefined ? undefined : diskWarning(files, known.paths, known.plannedEnd);
}

async function placeOf(
  deps: StartDeps,
  jobId: JobId,
  request: JobRequest,
  options: CallOptions,
): Promise<{ readonly folder: string; readonly cwd: string }> {
  const workFolder = await deps.remote.workFolder(request.podId, options);
  const wanted = posix.resolve(workFolder, request.cwd ?? '.');
  const answer = await deps.remote.exec(request.podId, placeScript(jobId, wanted), {
    ...options,
    timeoutSeconds: 20,
  });
  const said = answer.stdout.toString('utf8');
  const folder = /folder (\/[^\0]*)\0/.exec(said)?.[1];
  const cwd = /\0cwd (\/[^\0]*)\nx\0/.exec(said)?.[1];
  if (folder === undefined)
    throw new RemoteError('remote_failed', 'The pod did not say where its home is.', {
      foreignText: quoteForeign(answer.stderr.toString('utf8')),
    });
  if (cwd === undefined)
    throw new InputError('path_missing', '"cwd" is no folder on the pod.', {
      hint: 'Make it with session_write, or bring it over with sync_files, then call again.',
      foreignText: quoteForeign(wanted),
    });
  return { folder, cwd };
}

/** Writes the record, unless the very same command already runs in the same folder [MO-15]. */
async function reserve(deps: StartDeps, job: Job, options: CallOptions): Promise<void> {
  const isTwin = (other: Job): boolean =>
    other.podId === job.podId &&
    other.command === job.command &&
    other.cwd === job.cwd &&
    !isTerminal(other.status);
  for (const twin of (await deps.store.jobs.list()).filter(isTwin))
    await deps.observer.look(twin, {}, options);
  await deps.store.transaction(async (tx) => {
    const twin = (await tx.jobs.list()).find(isTwin);
    if (twin !== undefined)
      throw new PolicyError(
        'job_running',
        `The same command runs there already as ${twin.jobId}.`,
        {
          hint: `Wait with job_wait or end it with job_cancel, jobId "${twin.jobId}".`,
        },
      );
    await tx.jobs.put(job.jobId, job);
  });
}

async function refuse(deps: StartDeps, job: Job, stderr: string): Promise<never> {
  await deps.store.jobs.delete(job.jobId);
  const foreignText = quoteForeign(stderr);
  if (/no space left|quota/i.test(stderr))
    throw new RemoteError('disk_full', 'The pod has no space for the job folder.', { foreignText });
  throw new RemoteError('remote_failed', 'The job folder could not be made on the pod.', {
    foreignText,
  });
}

async function firstLook(
  deps: StartDeps,
  job: Job,
  mayClaim: boolean,
  options: CallOptions,
): Promise<Seen> {
  return deps.observer.look(
    job,
    { waitSeconds: FIRST_OUTPUT_SECONDS, until: 'output', maxBytes: FIRST_OUTPUT_BYTES, mayClaim },
    options,
  );
}

/** The answer to the launch was lost: the pod knows. Taking the right to start makes "it did not" final. */
async function resolve(
  deps: StartDeps,
  job: Job,
  lost: AppError,
  options: CallOptions,
): Promise<Seen> {
  for (const pauseSeconds of [1, 3, 6]) {
    await deps.clock.sleep(pauseSeconds, options);
    const seen = await firstLook(deps, job, true, options);
    if (seen.look?.state === 'never')
      throw new RemoteError(
        'link_lost',
        'The link broke before the job began. It will not start.',
        {
          hint: 'Call job_start again.',
          cause: lost,
        },
      );
    if (seen.look !== undefined) return seen;
  }
  throw new RemoteError('link_lost', `Whether job ${job.jobId} started is not known yet.`, {
    hint: `Call job_wait with jobId "${job.jobId}" before starting it again.`,
    cause: lost,
  });
}

function firstOutput({ job, look }: Seen): { readonly job: Job; readonly firstLines: string } {
  if (look === undefined) return { job, firstLines: '' };
  const cut = {
    bytes: look.bytes,
    offset: look.offset,
    size: look.size,
    complete: isTerminal(job.status),
  };
  const errors = quoteForeign(look.stderrTail.slice(0, FIRST_OUTPUT_BYTES), FIRST_OUTPUT_BYTES);
  const { output } = pageOf(cut, FIRST_OUTPUT_BYTES);
  return { job, firstLines: errors === '' ? output : `${output}${errors}\n` };
}

/** The first line of the command, short. */
function nameFrom(command: string): string {
  const line = command.trim().split('\n')[0] ?? '';
  return line.length <= 40 ? line : `${line.slice(0, 39)}…`;
}
