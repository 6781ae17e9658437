import { InputError } from '../core/errors.ts';
import type { FetchResult } from '../core/files.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { selects } from './patterns.ts';
import type { RemoteEntry } from './pod-listing.ts';

export const UNSETTLED =
  'It changes while it is read: something still writes it. Fetch again when the job has ended.';

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

export function refusedOf(
  found: {
    readonly odd: readonly RemoteEntry[];
    readonly refusedNames: number;
    readonly unsettled?: readonly string[];
  },
  patterns: readonly string[],
  maxListed: number,
): Pick<FetchResult, 'refused'> {
  const refused = [
    ...(found.unsettled ?? []).map((path) => ({ path, why: UNSETTLED })),
    ...found.odd.map((entry) => ({ path: entry.path, why: whyRefused(entry, patterns) })),
  ].slice(0, maxListed);
  if (found.refusedNames > 0) refused.push({ path: '', why: namesRefused(found.refusedNames) });
  return refused.length === 0 ? {} : { refused };
}

export function namesRefused(count: number): string {
  return `${count} names there cannot be names here (not UTF-8, or not plain). Rename them on the pod, then fetch again.`;
}

/** Nothing found is no success; with `strict` neither is a part of it. */
export function refuseNothing(
  found: number,
  missing: readonly string[],
  strict: boolean,
  odd: readonly { readonly path: string }[],
): void {
  if (found === 0)
    throw new InputError('path_missing', 'Nothing that was asked for is on the pod.', {
      hint: 'Look with dryRun and paths ["."], or read the job logs: it may have saved elsewhere.',
      ...(odd.length === 0
        ? {}
        : {
            foreignText: quoteForeign(
              `not regular files: ${odd.map((entry) => entry.path).join(', ')}`,
              600,
            ),
          }),
    });
  if (strict && missing.length > 0)
    throw new InputError(
      'path_missing',
      `Missing on the pod: ${missing.slice(0, 10).join(', ')}. Nothing was fetched.`,
    );
}
