import path from 'node:path';
import { count } from './count.ts';
import { type ArtifactRecord, type Gate, NO_FILE_MATCHES } from './files.ts';
import type { JobId, PodId } from './ids.ts';
import type { Receipt } from './lease.ts';
import { isInPart, type LostOutput } from './unfetched.ts';
import { quoteForeign } from './untrusted.ts';

/** Files of one job that we brought home unasked, before its pod ended. */
export interface Rescued {
  readonly jobId: JobId;
  readonly files: number;
  /** On this machine. */
  readonly folder: string;
}
/** A pod that went without anybody asking for it, and what became of what was declared on it. */
export interface EndedPod {
  readonly podId: PodId;
  readonly name: string;
  readonly endedAt: string;
  /** In our own words. */
  readonly why: string;
  /** When that was first seen. */
  readonly seenAt: string;
  readonly rescued: readonly Rescued[];
  readonly lost: readonly LostOutput[];
}

const SHOWN = 5;
const PATH_CHARS = 120;

/** What is gone with a pod that nobody gave up by choice. A file that was never written, or is home as broken as it was, is not lost. */
export function lostWith({ notHome = [], waiver }: Receipt): readonly LostOutput[] {
  const open = waiver?.by === 'expiry' ? waiver.gates.filter(isLoss) : [];
  return [
    ...open.flatMap(({ jobId, path: place, why }) =>
      place === undefined ? [] : [{ path: place, why, ...(jobId === undefined ? {} : { jobId }) }],
    ),
    ...notHome,
  ];
}
const isLoss = ({ gate, why }: Gate): boolean =>
  !['job_running', 'not_checked', 'artifact_broken'].includes(gate) &&
  !why.includes(NO_FILE_MATCHES);

/** In the state folder, beside that of the receipts: what we brought home unasked. */
export const RESCUE_FOLDER = 'rescued';
/** Below it, for each pod. */
export const rescueFolderOf = (podId: PodId): string => podId.replaceAll(/[^A-Za-z0-9._-]/g, '-');
/** Below it, for each job. */
export const rescuePlace = (podId: PodId, jobId: JobId): string =>
  path.join(rescueFolderOf(podId), jobId);

/** The files of a pod that lie below that folder, by job; also where links lead to it. Pure. */
export function rescuedIn(
  folder: string,
  podId: PodId,
  records: readonly ArtifactRecord[],
): readonly Rescued[] {
  const found = new Map<string, Rescued>();
  for (const { podId: owner, jobId, localPath } of records) {
    if (owner !== podId || jobId === undefined) continue;
    const place = path.join(path.sep, path.basename(folder), rescuePlace(podId, jobId));
    const at = localPath.indexOf(place + path.sep);
    if (at === -1) continue;
    const files = (found.get(jobId)?.files ?? 0) + 1;
    found.set(jobId, { jobId, files, folder: localPath.slice(0, at + place.length) });
  }
  return [...found.values()];
}

/** In our own words, each with a blank before it; nothing where nothing is to be told. Paths are quoted. */
export function leftWords({ rescued, lost }: Pick<EndedPod, 'rescued' | 'lost'>): string {
  const saved = rescued.map(
    ({ jobId, files, folder }) => ` Rescued: ${count(files, 'file')} of ${jobId} in ${folder}.`,
  );
  return [...saved, ...(lost.length === 0 ? [] : [` NOT HOME: ${namesOf(lost)}.`])].join('');
}

/** Which outputs, with their jobs. */
export function namesOf(
  outputs: readonly (Omit<LostOutput, 'why'> & Partial<Pick<LostOutput, 'why'>>)[],
): string {
  const names = outputs.slice(0, SHOWN).map(({ jobId, path: place, why }) => {
    const name = JSON.stringify(quoteForeign(place.replace(/\s+/g, ' '), PATH_CHARS));
    const inPart = why !== undefined && isInPart(why) ? ` (${why.replace(/\.$/, '')})` : '';
    return `${name}${jobId === undefined ? '' : ` of ${jobId}`}${inPart}`;
  });
  const more = outputs.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** One pod in a sentence or two, for a list. */
export const endedWords = (ended: EndedPod): string =>
  `${ended.podId} ended unasked at ${ended.endedAt} (${ended.why}).${leftWords(ended)}`;
