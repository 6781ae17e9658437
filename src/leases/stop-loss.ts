import path from 'node:path';
import { InputError } from '../core/errors.ts';
import type { Gate } from '../core/files.ts';
import type { Job } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { PathFact } from '../core/provider.ts';
import type { Change } from './change-quote.ts';
import { given } from './request.ts';
import { ConsentNeeded } from './spend-more.ts';
import type { UpdateDeps, UpdateOptions } from './update.ts';
import { parseVolume } from './volumes.ts';

const SHOWN = 3;

/**
 * Before a stop: declared work that is nowhere else. What the stop would wipe needs the consent of a person, as in destroy; what
 * stays on the disk is answered, to be told. Throws `ConsentNeeded`, `unsupported` when the person declined,
 * `invalid_input` when the same call asks for money too.
 */
export async function workNotHome(
  lease: Lease,
  change: Omit<Change, 'quoteId'>,
  { ask, ...options }: UpdateOptions,
  { providers, jobs, gates }: Pick<UpdateDeps, 'providers' | 'jobs' | 'gates'>,
): Promise<readonly Gate[]> {
  const provider = providers.get(lease.provider);
  const { podId, stoppedAt } = lease;
  if (change.action !== 'stop' || podId === undefined || stoppedAt !== undefined) return [];
  if (provider?.power === undefined) return [];
  const missing = await gates(lease, options);
  // It is refused for the job alone.
  if (missing.some(({ gate }) => gate === 'job_running')) return [];
  const known = missing.length === 0 ? [] : await jobs.list(podId);
  const lost = missing.filter(
    (gate) => !survivesStop(placeOf(gate, known), provider.facts.paths, mountsOf(lease)),
  );
  if (lost.length > 0 && change.discardUnfetched !== true) {
    // One call asks a person one thing.
    if (
      [change.ttlMinutes, change.budgetUsd, change.bidUsdPerHour].some((each) => each !== undefined)
    )
      throw new InputError(
        'invalid_input',
        `The stop wipes work that is not home: ${namesOf(lost)}.`,
        {
          hint: 'Bring it home with fetch_artifacts first, or call with action "stop" alone to ask the user.',
        },
      );
    const what = `stop it although the stop wipes work that is not home: ${namesOf(lost)}`;
    const answer = await ask({ message: `Pod ${podId}: ${what}?`, field: 'discardUnfetched' });
    if (answer === 'unavailable')
      throw new ConsentNeeded({ lease, what, maxUsd: 0, discards: true });
    if (answer === 'declined')
      throw new InputError('unsupported', 'The user declined: the stop would wipe work.', {
        hint: 'Bring it home with fetch_artifacts, then stop.',
      });
  }
  return missing.filter((gate) => !lost.includes(gate));
}

/** Where it lies, absolute; `undefined`: nobody knows. */
function placeOf({ jobId, path: name }: Gate, jobs: readonly Job[]): string | undefined {
  const job = jobs.find((each) => each.jobId === jobId);
  return name === undefined || job === undefined ? undefined : path.posix.resolve(job.cwd, name);
}

const mountsOf = ({ terms }: Lease): readonly PathFact[] => {
  const volume = given(terms.volume);
  if (volume === undefined) return [];
  const { mountPath } = parseVolume(volume).use;
  return [{ path: mountPath, survivesStop: true, survivesDestroy: true }];
};

/**
 * By the facts of a cloud, whose paths are words: "/root and the rest of the container". The longest folder named decides, then
 * "the rest". A place that nobody knows may be any of them. Pure.
 */
export function survivesStop(
  place: string | undefined,
  facts: readonly PathFact[],
  mounts: readonly PathFact[] = [],
): boolean {
  const rest = facts.find(({ path: words }) => /\bthe rest of\b/.test(words));
  if (place === undefined) return rest?.survivesStop !== false;
  const named = [...mounts, ...facts].flatMap(({ path: words, survivesStop: stays }) =>
    (words.match(/\/[\w./-]+/g) ?? []).map((folder) => ({ folder, stays })),
  );
  const holding = named
    .filter(({ folder }) => place === folder || place.startsWith(`${folder}/`))
    .sort((a, b) => b.folder.length - a.folder.length);
  return holding[0]?.stays ?? rest?.survivesStop !== false;
}

function namesOf(gates: readonly Gate[]): string {
  const names = [...new Set(gates.map(({ path: name, jobId }) => name ?? jobId ?? 'not checked'))];
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names
    .slice(0, SHOWN)
    .map((name) => JSON.stringify(name))
    .join(', ')}${more}`;
}
