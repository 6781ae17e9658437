import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { type AppError, isAppError } from '../core/errors.ts';
import { type ArtifactRecord, type Gate, NO_FILE_MATCHES, PROOF_LEVELS } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import { isTerminal, type Job } from '../core/job.ts';
import type { FilesDeps } from './deps.ts';
import { isHome } from './land.ts';
import { type Manifest, makeManifest } from './manifest.ts';
import { relativePattern, selects } from './patterns.ts';
import { openPod } from './pod.ts';
import { prove } from './prove.ts';
import { holdsData, namesRefused, UNSETTLED, whyRefused } from './refused.ts';
import { isBelow } from './remote-target.ts';

/** See `Files.gates`. Reads the pod, the records and the files on this machine afresh; trusts none of them alone. */
export function createGates(
  deps: FilesDeps,
): (podId: PodId, options: CallOptions) => Promise<readonly Gate[]> {
  return async (podId, options) => {
    const jobs = await deps.jobs.refresh(podId, options);
    const all = jobs.length > 0 ? jobs : await deps.jobs.list(podId);
    const gates: Gate[] = [];
    for (const job of all) gates.push(...(await gatesOfJob(deps, job, options)));
    return gates;
  };
}

async function gatesOfJob(
  deps: FilesDeps,
  job: Job,
  options: CallOptions,
): Promise<readonly Gate[]> {
  const { jobId } = job;
  if (!isTerminal(job.status))
    return [{ gate: 'job_running', jobId, why: `The job is ${job.status}.` }];
  if (job.artifacts.length === 0) return [];

  const gates: Gate[] = [];
  const patterns: string[] = [];
  for (const declared of job.artifacts)
    try {
      patterns.push(relativePattern(job.cwd, declared));
    } catch {
      const why = 'Declared outside the job folder, so it cannot be checked.';
      gates.push({ gate: 'artifact_not_fetched', jobId, path: declared, why });
    }

  const records = (await deps.store.artifacts.list()).filter(
    (record) => record.podId === job.podId && isBelow(job.cwd, record.remotePath),
  );
  const byPath = new Map(
    records.map((record) => [path.posix.relative(job.cwd, record.remotePath), record]),
  );
  for (const pattern of patterns) {
    const matches = selects(pattern);
    const pod = await manifestOf(deps, job, pattern, options);
    const home = [...byPath].filter(([name]) => matches(name));
    if (pod === 'unreachable') gates.push(...(await gatesUnseen(job, pattern, home, options)));
    else if (pod instanceof Error) gates.push(unclear(job, pattern, pod));
    else gates.push(...(await gatesSeen(job, pattern, pod, byPath, options)));
  }
  return unique(gates);
}

/** The pod answered: what it holds now is what must be home. */
async function gatesSeen(
  job: Job,
  pattern: string,
  pod: Manifest,
  byPath: ReadonlyMap<string, ArtifactRecord>,
  options: CallOptions,
): Promise<readonly Gate[]> {
  const { jobId } = job;
  const gates: Gate[] = pod.odd
    .filter((entry) => holdsData(entry, [pattern]))
    .map((entry) => ({
      gate: 'artifact_not_fetched',
      jobId,
      path: entry.path,
      why: whyRefused(entry, [pattern]),
    }));
  for (const name of pod.unsettled)
    gates.push({ gate: 'artifact_changed', jobId, path: name, why: UNSETTLED });
  if (pod.refusedNames > 0)
    gates.push({
      gate: 'artifact_not_fetched',
      jobId,
      path: pattern,
      why: namesRefused(pod.refusedNames),
    });
  if (pod.files.length === 0) {
    const home = [...byPath].filter(([name]) => selects(pattern)(name));
    if (home.length > 0) gates.push(...(await gatesHome(job, home, options)));
    else if (gates.length === 0) {
      const other = pod.odd[0] === undefined ? '' : ` ${whyRefused(pod.odd[0], [pattern])}`;
      const why = `The job ended as ${job.status} and ${NO_FILE_MATCHES}.${other}`;
      gates.push({ gate: 'artifact_not_fetched', jobId, path: pattern, why });
    }
  }
  for (const file of pod.files) {
    const record = byPath.get(file.path);
    const about = { jobId, path: file.path };
    if (record === undefined)
      gates.push({ gate: 'artifact_not_fetched', ...about, why: 'It is only on the pod.' });
    else if (record.sha256 !== file.sha256)
      gates.push({ gate: 'artifact_changed', ...about, why: 'The pod holds a newer one.' });
    else gates.push(...(await gatesOfRecord(about, record, options)));
  }
  return gates;
}

/** The pod did not answer: only what was fetched whole after the end of the job counts as all. */
async function gatesUnseen(
  job: Job,
  pattern: string,
  home: readonly (readonly [string, ArtifactRecord])[],
  options: CallOptions,
): Promise<readonly Gate[]> {
  const { jobId } = job;
  const about = { jobId, path: pattern };
  const gates = [...(await gatesHome(job, home, options))];
  // The pod has its own clock; when its end was seen here, that is what a fetch here compares with.
  const endSeenAt = job.status === 'lost' ? job.endedAt : (job.observedAt ?? job.endedAt);
  const late = home.filter(
    ([, { fetchedAt }]) => endSeenAt === undefined || fetchedAt >= endSeenAt,
  );
  if (late.length === 0)
    gates.push(
      {
        gate: 'not_checked',
        ...about,
        why: 'The pod cannot be read, so what it still holds is unknown.',
      },
      {
        gate: 'artifact_not_fetched',
        ...about,
        why: 'Nothing of it was fetched after the job was seen to have ended.',
      },
    );
  else if (
    gates.length > 0 ||
    !late.some(([, record]) => record.wholeOf?.includes(pattern) === true)
  )
    gates.push({
      gate: 'not_checked',
      ...about,
      why: 'The pod cannot be read, and only a part of it is known to be home.',
    });
  return gates;
}

async function gatesHome(
  { jobId }: Job,
  home: readonly (readonly [string, ArtifactRecord])[],
  options: CallOptions,
): Promise<readonly Gate[]> {
  const gates: Gate[] = [];
  for (const [name, record] of home)
    gates.push(...(await gatesOfRecord({ jobId, path: name }, record, options)));
  return gates;
}

/** The pod answers, but its files could not be compared. */
function unclear({ jobId }: Job, pattern: string, failure: AppError): Gate {
  if (failure.code === 'checksum_mismatch')
    return {
      gate: 'artifact_changed',
      jobId,
      path: pattern,
      why: 'Files there change while they are read: something still writes them. End it with job_cancel, then fetch again.',
    };
  return { gate: 'not_checked', jobId, path: pattern, why: failure.message };
}

async function gatesOfRecord(
  about: Pick<Gate, 'jobId' | 'path'>,
  record: ArtifactRecord,
  { signal }: CallOptions,
): Promise<readonly Gate[]> {
  if (!(await isHome(record.localPath, record, signal)))
    return [
      {
        gate: 'artifact_not_home',
        ...about,
        why: 'The local copy is gone or is no longer what was fetched.',
      },
    ];
  if (PROOF_LEVELS.indexOf(record.proof) >= PROOF_LEVELS.indexOf('structure')) return [];
  const { problem } = await prove(record.localPath, { limit: 'loaded', signal });
  return problem === undefined ? [] : [{ gate: 'artifact_broken', ...about, why: problem }];
}

const UNREACHABLE = [
  'ssh_unreachable',
  'ssh_refused',
  'host_key_changed',
  'link_lost',
  'pod_gone',
  'pod_not_ready',
];

/** What the pod holds for one pattern, or why that cannot be said. */
async function manifestOf(
  deps: FilesDeps,
  job: Job,
  pattern: string,
  options: CallOptions,
): Promise<Manifest | AppError | 'unreachable'> {
  try {
    const pod = openPod(deps.remote, job.podId, options, deps);
    const wanted = { root: job.cwd, patterns: [pattern], exclude: [] };
    return await makeManifest(pod, wanted);
  } catch (failure) {
    if (options.signal.aborted || !isAppError(failure)) throw failure;
    return UNREACHABLE.includes(failure.code) ? 'unreachable' : failure;
  }
}

function unique(gates: readonly Gate[]): readonly Gate[] {
  return [...new Map(gates.map((gate) => [`${gate.gate}\0${gate.path ?? ''}`, gate])).values()];
}
