import type { ListedAfter } from './place-script.ts';
import { foldersOf } from './pod-names.ts';
import { isApart, patched } from './printed.ts';
import type { Look } from './sync-look.ts';
import type { SyncState } from './sync-state.ts';
import { listsFolders, parseTree, type TreeListing } from './tree-listing.ts';

/** The same names as at the next look. */
export function listedAgain(
  { asked }: Pick<Look, 'asked'>,
  files: readonly { readonly path: string }[],
): ListedAfter {
  const names = files.map((file) => file.path);
  // Where whole folders are listed, nobody asks for the names of files.
  return listsFolders(asked.files) && listsFolders(names)
    ? asked
    : { files: names, folders: foldersOf(names) };
}

/** What the pod is to list at the end, and how that is read: when little is changed, the folders of these names alone. */
export function listAfter(
  { printed, entries }: SyncState,
  listed: ListedAfter,
  changed: readonly string[],
): { readonly listed: ListedAfter; readonly read: (output: Buffer) => TreeListing } {
  const among = new Set(listed.folders);
  const touched = ['', ...foldersOf(changed).filter((folder) => among.has(folder))];
  const isLittle = listsFolders(listed.files) && touched.length * 2 < listed.folders.length;
  if (!isLittle || !isApart(printed))
    return { listed, read: (output) => parseTree(output, entries) };
  return {
    listed: { ...listed, touched },
    read: (output) => patched(printed, listed.folders, touched, output, entries),
  };
}
