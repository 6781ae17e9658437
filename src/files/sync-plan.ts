import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import type { LocalHash } from './local-hash.ts';
import type { RemoteEntry } from './pod-listing.ts';
import type { RemoteFact } from './pod-names.ts';
import { isPrivatePath } from './remote-target.ts';
import type { Rules } from './rules.ts';
import { secretByName } from './secrets.ts';
import type { LocalFile, Skipped, Walked } from './walk.ts';

export const MAX_FILES = 50_000;
export const MAX_BYTES = 5e9;

export interface PlannedFile extends LocalFile {
  /** Empty: not known before it is read on its way out. */
  readonly sha256: string;
  /** It was exactly this at one moment, and has been added to since: what is behind its `bytes` does not count. */
  readonly mayHaveGrown?: true;
}
export interface SyncPlan {
  readonly send: readonly PlannedFile[];
  readonly unchanged: readonly PlannedFile[];
  /** A folder stands on the pod where a file should be. */
  readonly conflicts: readonly string[];
}

/** A file is unchanged only when the pod itself hashed it equal and its executable bit agrees. */
export function planSync(
  files: readonly PlannedFile[],
  facts: Pick<ReadonlyMap<string, RemoteFact>, 'get'>,
): SyncPlan {
  const send: PlannedFile[] = [];
  const unchanged: PlannedFile[] = [];
  const conflicts: string[] = [];
  for (const file of files) {
    const fact = facts.get(file.path);
    if (fact?.conflict === true) conflicts.push(file.path);
    else if (fact?.sha256 === file.sha256 && fact.executable === file.executable)
      unchanged.push(file);
    else send.push(file);
  }
  return { send, unchanged, conflicts };
}

/** What `delete` may remove: remote files that the local tree lacks and that no rule, skip or secret name covers. */
export function planDelete(
  remote: readonly RemoteEntry[],
  local: ReadonlySet<string>,
  rules: Rules,
  skipped: readonly Skipped[],
): readonly string[] {
  const kept = new Set(skipped.map(({ path }) => path));
  return remote
    .filter(({ path, kind }) => {
      if (kind === 'other' || kind === 'unreadable' || local.has(path) || isPrivatePath(path))
        return false;
      if (secretByName(path.slice(path.lastIndexOf('/') + 1)) !== undefined) return false;
      return !prefixes(path).some(
        (prefix) => kept.has(prefix) || rules.whyNot(prefix, prefix !== path) !== undefined,
      );
    })
    .map(({ path }) => path);
}

/** Above so many, and more than half of what is there, nobody deletes without having seen the list. */
const MASS = 20;

/** Throws `invalid_input` for a deletion that looks like a mistake, unless `previewed` is exactly its list. */
export function refuseMassDeletion(
  extras: readonly string[],
  remoteFiles: number,
  previewed: string | undefined,
): void {
  if (extras.length <= MASS || extras.length * 2 <= remoteFiles || previewed === listOf(extras))
    return;
  throw new InputError(
    'invalid_input',
    `delete would remove ${extras.length} of ${remoteFiles} files of the target. Nothing was sent or removed.`,
    {
      hint: 'Check localPath and remotePath. If it is meant, call with dryRun first, show what would go, then call again.',
    },
  );
}

/** The same text for the same files. */
export function listOf(extras: readonly string[]): string {
  return extras.join('\0');
}

/** Throws `too_large` with the biggest files named. */
export function refuseTooLarge(files: readonly LocalFile[]): void {
  const bytes = bytesOf(files);
  if (bytes <= MAX_BYTES && files.length <= MAX_FILES) return;
  const biggest = files
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, 5)
    .map((file) => `${JSON.stringify(file.path)} ${Math.ceil(file.bytes / 1e6)} MB`);
  throw new InputError(
    'too_large',
    `${count(files.length, 'file')}, ${Math.ceil(bytes / 1e6)} MB: more than one call sends (${MAX_FILES} files, ${MAX_BYTES / 1e6} MB). Biggest: ${biggest.join(', ')}.`,
    {
      hint: 'Narrow it with include or exclude, look with dryRun, and let the pod download big data itself.',
    },
  );
}

/** Throws `secret_refused` naming file and line, never the value. */
export function refuseSecrets(
  byName: readonly Skipped[],
  byContent: readonly (readonly [LocalFile, LocalHash])[],
  outcome = 'Nothing was sent.',
): void {
  const found = [
    ...byName.map(({ path, why }) => `${JSON.stringify(path)} (${why})`),
    ...byContent.flatMap(([file, { secret }]) =>
      secret === undefined
        ? []
        : [`${JSON.stringify(`${file.path}:${secret.line}`)} (${secret.kind})`],
    ),
  ];
  if (found.length === 0) return;
  const more = found.length > 8 ? ` and ${found.length - 8} more` : '';
  throw new InputError(
    'secret_refused',
    `What looks like a secret would be sent: ${found.slice(0, 8).join(', ')}${more}. ${outcome}`,
  );
}

const summed = new WeakMap<object, number>();

/** Of a list that nobody changes any more: an unchanged tree is the same list again. */
export function bytesOf(files: readonly { readonly bytes: number }[]): number {
  const bytes = summed.get(files) ?? totalBytes(files);
  summed.set(files, bytes);
  return bytes;
}

export function totalBytes(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** For people: `1 file, 49 kB`. */
export function amountOf(files: readonly { readonly bytes: number }[]): string {
  const bytes = totalBytes(files);
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const size = bytes / 1000 ** power;
  const unit = ['B', 'kB', 'MB', 'GB', 'TB'][power] ?? 'B';
  const digits = power === 0 || size >= 10 ? 0 : 1;
  return `${count(files.length, 'file')}, ${size.toFixed(digits)} ${unit}`;
}

function prefixes(path: string): readonly string[] {
  const list: string[] = [];
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
    list.push(path.slice(0, at));
  return [...list, path];
}

/** What is said of files that a deletion left. */
export function keptWords(kept: readonly string[]): readonly string[] {
  if (kept.length === 0) return [];
  return [
    `delete left ${count(kept.length, 'file')} on the pod: made or changed there, and not here. They are in skipped; a command removes what is not wanted.`,
  ];
}

const MADE_THERE = 'not deleted: made or changed on the pod';
/** Told last: what is not there matters less than what was left out. */
const EMPTY = 'empty folder: only files are sent';

/** What was left as it is, and why; `kept` by a deletion. */
export function skippedOf(kept: readonly string[], { skipped, empty }: Walked): readonly Skipped[] {
  return [
    ...kept.map((path) => ({ path, why: MADE_THERE })),
    ...skipped,
    ...(empty ?? []).map((path) => ({ path, why: EMPTY })),
  ];
}
