import { shellQuote } from '../core/shell-quote.ts';
import type { Wanted } from './manifest.ts';
import { select } from './patterns.ts';
import type { Pod } from './pod.ts';
import type { RemoteEntry } from './pod-listing.ts';
import { batches, dotted } from './pod-names.ts';
import { isPlainRelative, isPrivatePath } from './remote-target.ts';

/**
 * The entries, where each wanted link to a regular file inside the root is that file under the name of the link, and a
 * link to a folder inside it names the folder. Links that lead out, or nowhere, stay links.
 */
export async function followLinks(
  pod: Pod,
  { root, patterns, exclude }: Wanted,
  entries: readonly RemoteEntry[],
): Promise<readonly RemoteEntry[]> {
  const links = select(entries, patterns, exclude).odd.filter(({ kind }) => kind === 'link');
  if (links.length === 0) return entries;
  const names = links.map(({ path }) => path);
  const output = await pod.must(linkScript(root, names), {
    timeoutSeconds: 300,
    what: 'follow its links',
  });
  const fields = output.toString('utf8').split('\0');
  const followed = new Map<string, RemoteEntry>();
  for (const [index, link] of links.entries()) {
    const [kind, target = '', facts = ''] = fields.slice(index * 3, index * 3 + 3);
    if (kind === 'dangling') followed.set(link.path, { ...link, dangling: true });
    if (!isPlainRelative(target) || isPrivatePath(target) || target.includes('\uFFFD')) continue;
    const [, bytes, stamp] = /^(\d{1,15}) (\S+)$/.exec(facts) ?? [];
    if (kind === 'folder') followed.set(link.path, { ...link, folder: target });
    else if (kind === 'file' && bytes !== undefined && stamp !== undefined)
      followed.set(link.path, {
        path: link.path,
        kind: 'file',
        bytes: Number(bytes),
        stamp: `${stamp} ${target}`,
        source: target,
      });
  }
  return entries.map((entry) => followed.get(entry.path) ?? entry);
}

/** For each name three fields: `file`, `folder`, `dangling` or `none`; the real path below the folder; size and stamp. */
function linkScript(folder: string, names: readonly string[]): string {
  return [
    `cd ${shellQuote(folder)} || exit 3`,
    'R=$(pwd -P)',
    'l() { for f do k=none t= s=; [ -e "$f" ] || k=dangling',
    // A newline at the end of a name would be lost in the substitution.
    'T=$(readlink -f -- "$f" 2>/dev/null; printf x); T=${T%?x}',
    'case $T in "$R"/*) if [ -f "$T" ] && [ -r "$T" ]; then k=file t=${T#"$R"/}; s=$(stat -c "%s %Y/%Z/%i" -- "$T")',
    'elif [ -d "$T" ]; then k=folder t=${T#"$R"/}; fi;; esac',
    `printf '%s\\0%s\\0%s\\0' "$k" "$t" "$s"; done; }`,
    ...batches('l', names.map(dotted)),
    'exit 0',
    '',
  ].join('\n');
}
