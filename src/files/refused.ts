import { InputError, RemoteError } from '../core/errors.ts';
import type { FetchResult, Refusal } from '../core/files.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { hidden, selects } from './patterns.ts';
import type { RemoteEntry } from './pod-listing.ts';

export const UNSETTLED =
  'It changes while it is read: something still writes it. Fetch again when the job has ended.';

export const VANISHED = 'It was deleted or renamed on the pod while it was fetched.';

/** A link to a folder whose files the patterns take anyway, under their own names. */
export function isCovered(entry: RemoteEntry, patterns: readonly string[]): boolean {
  const { folder } = entry;
  return folder !== undefined && patterns.some((pattern) => selects(pattern)(`${folder}/any`));
}

/** Why a match is not fetched, and what to do about it. */
export function whyRefused(entry: RemoteEntry, patterns: readonly string[]): string {
  if (entry.kind === 'unreadable')
    return 'This login may not read it. Make it readable on the pod (chmod), then fetch again.';
  if (entry.kind !== 'link') return 'It is no regular file.';
  if (isCovered(entry, patterns))
    return 'It is a symbolic link to a folder whose files come under their own names.';
  if (entry.folder !== undefined)
    return 'It is a symbolic link to a folder. Replace it by a copy on the pod (cp -rL), or name the real folder.';
  return 'It is a symbolic link that leads out of the folder, or nowhere. Replace it by a copy on the pod (cp -L).';
}

/** Whether something would be lost with the pod although it was not fetched. Pipes, devices and dead links hold nothing. */
export function holdsData(entry: RemoteEntry, patterns: readonly string[]): boolean {
  if (entry.kind === 'unreadable') return true;
  return entry.kind === 'link' && entry.dangling !== true && !isCovered(entry, patterns);
}

/** What a look or a fetch saw and did not bring. */
export interface NotBrought {
  readonly odd: readonly RemoteEntry[];
  readonly refusedNames: number;
  readonly unsettled?: readonly string[];
  readonly vanished?: readonly string[];
}

/** Names, or patterns where a name cannot be said, of what would be lost with the pod: `destroy` asks for these too. */
export function heldBackOf(found: NotBrought, patterns: readonly string[]): readonly string[] {
  const held = found.odd.filter((entry) => holdsData(entry, patterns)).map(({ path }) => path);
  const unseen =
    found.refusedNames > 0 ? patterns : found.odd.flatMap((it) => hidden(it, patterns));
  return [...new Set([...held, ...(found.unsettled ?? []), ...unseen])];
}

export function refusedOf(
  found: NotBrought,
  patterns: readonly string[],
  maxListed: number,
): Pick<FetchResult, 'refused' | 'refusals'> {
  const { refusedNames, unsettled = [], vanished = [] } = found;
  const all = [
    ...unsettled.map((path) => ({ path, why: UNSETTLED, holdsData: true })),
    ...vanished.map((path) => ({ path, why: VANISHED, holdsData: false })),
    ...found.odd.map((entry) => ({
      path: entry.path,
      why: whyRefused(entry, patterns),
      holdsData: holdsData(entry, patterns),
    })),
  ];
  if (all.length === 0 && refusedNames === 0) return {};
  const refusals = new Map<string, Refusal>();
  for (const { why, holdsData: holds } of all) {
    const known = refusals.get(why);
    refusals.set(why, {
      why,
      count: (known?.count ?? 0) + 1,
      holdsData: holds || known?.holdsData === true,
    });
  }
  const refused = all.slice(0, maxListed).map(({ path, why }) => ({ path, why }));
  if (refusedNames > 0) {
    refused.push({ path: '', why: namesRefused(refusedNames) });
    refusals.set(NAMES, { why: NAMES, count: refusedNames, holdsData: true });
  }
  return { refused, refusals: [...refusals.values()] };
}

const NAMES = 'Its name cannot be a name here.';

export function namesRefused(count: number): string {
  return `${count} names there cannot be names here (not UTF-8, or not plain). Rename them on the pod, then fetch again.`;
}

/**
 * Nothing found is no success; with `strict` neither is a part of it. Throws `permission_denied` where it may be there and
 * cannot be read, else `path_missing`, or `checksum_mismatch` for what changed or went meanwhile.
 */
export function refuseNothing(
  found: NotBrought & { readonly files: readonly unknown[]; readonly missing: readonly string[] },
  patterns: readonly string[],
  strict: boolean,
): void {
  const { files, missing, odd, refusedNames, unsettled = [], vanished = [] } = found;
  const { refused = [] } = refusedOf(found, patterns, MAX_TOLD);
  if (files.length > 0 && !strict) return;
  const unread = odd.filter(({ kind }) => kind === 'unreadable').map((entry) => entry.path);
  if (unread.length > 0)
    throw new RemoteError(
      'permission_denied',
      `This login may not read ${unread.length} of the names on the pod that were asked for or lead to them. Nothing was fetched.`,
      { foreignText: quoteForeign(unread.slice(0, MAX_TOLD).join('\n'), 600) },
    );
  const told = refused.map(({ path, why }) => `${path}: ${why}`).join('\n');
  const foreign = told === '' ? {} : { foreignText: quoteForeign(told, 600) };
  if (files.length === 0)
    throw new InputError(
      'path_missing',
      odd.length + refusedNames === 0
        ? 'Nothing that was asked for is on the pod.'
        : 'Nothing that was asked for is on the pod as a file that could come home.',
      {
        hint: 'Look with dryRun and paths ["."], or read the job logs: it may have saved elsewhere.',
        ...foreign,
      },
    );
  if (missing.length > 0)
    throw new InputError(
      'path_missing',
      `Missing on the pod: ${missing.slice(0, MAX_TOLD).join(', ')}. Nothing was fetched.`,
      foreign,
    );
  if (unsettled.length + vanished.length > 0)
    throw new RemoteError(
      'checksum_mismatch',
      'What was asked for changed on the pod while it was fetched. Nothing was fetched.',
      { hint: 'Call again when the job has ended, or without strict.', ...foreign },
    );
  if (heldBackOf(found, patterns).length > 0)
    throw new InputError(
      'path_missing',
      'A part of what was asked for cannot come home as it is. Nothing was fetched.',
      {
        hint: 'Mend it on the pod as the quoted text says, or call again without strict.',
        ...foreign,
      },
    );
}

const MAX_TOLD = 10;
