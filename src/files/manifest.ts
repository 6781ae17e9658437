import { count } from '../core/count.ts';
import { RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { missingAmong, type Selection, select, startsOf } from './patterns.ts';
import { hashSeconds, type Pod } from './pod.ts';
import { hashScript } from './pod-hash.ts';
import { followLinks } from './pod-links.ts';
import { type Listing, listScript, NO_FOLDER, NOT_ALL, parseListing } from './pod-listing.ts';
import { parseFacts } from './pod-names.ts';
import { sourceOf } from './pod-source.ts';
import { totalBytes } from './sync-plan.ts';

export interface ManifestFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Where the bytes are on the pod when `path` is a link to them. */
  readonly source?: string;
}
export interface Manifest extends Omit<Selection, 'files'> {
  readonly files: readonly ManifestFile[];
  readonly refusedNames: number;
  /** Matched, but changing while they are read: half of a file being written is worth nothing (AR-08). */
  readonly unsettled: readonly string[];
}
export interface Wanted {
  /** Absolute, on the pod. */
  readonly root: string;
  /** Relative to the root, plain. */
  readonly patterns: readonly string[];
  readonly exclude: readonly string[];
}

export type Sighting = Selection & Pick<Listing, 'refusedNames' | 'nowSeconds'>;

/** What the patterns select right now, with sizes and without hashes. A root that does not exist holds nothing. */
export async function lookFor(pod: Pod, wanted: Wanted): Promise<Sighting> {
  for (let round = 0; ; round += 1) {
    const listing = await listPod(pod, wanted.root, startsOf(wanted.patterns), []);
    if (listing.whole) {
      const entries = await followLinks(pod, wanted, listing.entries);
      const { refusedNames, nowSeconds } = listing;
      return { ...select(entries, wanted.patterns, wanted.exclude), refusedNames, nowSeconds };
    }
    if (round === 2)
      throw new RemoteError('remote_failed', 'The pod could not list all of its files.', {
        foreignText: listing.problem,
      });
  }
}

export async function listPod(
  pod: Pod,
  root: string,
  starts: readonly string[],
  prune: readonly string[],
): Promise<Listing & { readonly whole: boolean; readonly problem: string }> {
  const result = await pod.run(listScript(root, starts, prune), { timeoutSeconds: 300 });
  const problem = quoteForeign(result.stderr.toString('utf8'), 600);
  if (result.exitCode === NO_FOLDER)
    return { entries: [], refusedNames: 0, nowSeconds: 0, whole: true, problem };
  if (result.exitCode !== 0 && result.exitCode !== NOT_ALL)
    throw new RemoteError('remote_failed', 'The pod could not list its files.', {
      foreignText: problem,
    });
  return { ...parseListing(result.stdout), whole: result.exitCode === 0, problem };
}

/**
 * The manifest made on the pod: list, hash, list again. Files that changed in between are looked at once more; those that
 * still change are named apart. Nothing but such files is `checksum_mismatch`.
 */
export async function makeManifest(pod: Pod, wanted: Wanted): Promise<Manifest> {
  for (let round = 0; ; round += 1) {
    const before = await lookFor(pod, wanted);
    const hashes = await hashOnPod(pod, wanted.root, before.files);
    const after = new Map((await lookFor(pod, wanted)).files.map((file) => [file.path, file]));
    const files: ManifestFile[] = [];
    const unsure: string[] = [];
    for (const file of before.files) {
      const { path, bytes, stamp, source } = file;
      const sha256 = hashes.get(sourceOf(file));
      const again = after.get(path);
      if (sha256 === undefined || again?.stamp !== stamp || again.bytes !== bytes)
        unsure.push(path);
      else files.push({ path, bytes, sha256, ...(source === undefined ? {} : { source }) });
    }
    if (unsure.length === 0 || (round === 1 && files.length > 0))
      return { ...before, files, unsettled: unsure, missing: missingOf(files, before, wanted) };
    if (round === 1) throw neverSettled(unsure);
  }
}

/** sha256 by source of those of the files that the pod can read now. */
export async function hashOnPod(
  pod: Pod,
  root: string,
  files: readonly { readonly path: string; readonly source?: string; readonly bytes: number }[],
): Promise<ReadonlyMap<string, string>> {
  if (files.length === 0) return new Map();
  const unique = [...new Map(files.map((file) => [sourceOf(file), file])).values()];
  const output = await pod.must(hashScript(root, unique), {
    timeoutSeconds: hashSeconds(totalBytes(unique)),
    what: 'hash the files',
  });
  const { facts } = parseFacts(output, unique.map(sourceOf));
  return new Map(
    [...facts].flatMap(([name, { sha256 }]) => (sha256 === undefined ? [] : [[name, sha256]])),
  );
}

export function neverSettled(paths: readonly string[]): RemoteError {
  return new RemoteError(
    'checksum_mismatch',
    `${count(paths.length, 'file')} on the pod cannot be read, or not without a change, while being hashed.`,
    {
      hint: 'Wait until the job has ended, or exclude the named files.',
      foreignText: quoteForeign(paths.slice(0, 10).join('\n')),
    },
  );
}

/** What an unsettled file alone would answer is missing for now. */
function missingOf(
  files: readonly ManifestFile[],
  before: Selection,
  wanted: Wanted,
): readonly string[] {
  return files.length === before.files.length
    ? before.missing
    : missingAmong(files, wanted.patterns);
}
