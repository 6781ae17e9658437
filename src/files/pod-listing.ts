import { shellQuote } from '../core/shell-quote.ts';
import { dotted } from './pod-names.ts';
import { isPlainRelative } from './remote-target.ts';

export interface RemoteEntry {
  /** Relative to the listed folder. */
  readonly path: string;
  readonly bytes: number;
  /** Changes whenever the content may have: time of last change, inode. Compared, never interpreted. */
  readonly stamp: string;
  readonly kind: 'file' | 'link' | 'other';
}
export interface Listing {
  readonly entries: readonly RemoteEntry[];
  /** Names that no honest file has, or that this machine cannot hold. */
  readonly refusedNames: number;
}

/**
 * A script that lists everything below `starts` (relative names; '' is the folder itself), never following a link. GNU
 * find where it is, else sh and stat, since find is no part of coreutils. `prune`: folder names that are not entered.
 */
export function listScript(
  folder: string,
  starts: readonly string[],
  prune: readonly string[],
): string {
  const names = starts.map((start) => shellQuote(start === '' ? '.' : dotted(start))).join(' ');
  const all = ['.gpu-lease*', ...prune];
  const pruned = all.map((name) => `-name ${shellQuote(name)}`).join(' -o ');
  const cases = all.map((name) => `*/${name.endsWith('*') ? name : shellQuote(name)}`).join('|');
  return [
    `cd ${shellQuote(folder)} 2>/dev/null || exit 44`,
    `if find /dev/null -printf '' >/dev/null 2>&1; then`,
    'g() { if [ -e "$1" ] || [ -h "$1" ]; then',
    `find "$1" \\( -type d \\( ${pruned} \\) -prune \\) -o ! -type d -printf '%y %s %T@/%C@/%i\\0%p\\0' 2>/dev/null; fi; }`,
    'else',
    'e() { if [ -h "$1" ]; then k=l; elif [ -f "$1" ]; then k=f; else k=o; fi',
    `printf '%s %s\\0%s\\0' "$k" "$(stat -c '%s %Y/%Z/%i' -- "$1")" "$1"; }`,
    `w() { case $1 in ${cases}) return;; esac`,
    'for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do',
    'if [ -h "$f" ]; then e "$f"; elif [ -d "$f" ]; then w "$f"; elif [ -e "$f" ]; then e "$f"; fi; done; }',
    'g() { if [ -h "$1" ]; then e "$1"; elif [ -d "$1" ]; then w "$1"; elif [ -e "$1" ]; then e "$1"; fi; }',
    'fi',
    `for s in ${names}; do g "$s"; done`,
    'exit 0',
    '',
  ].join('\n');
}

/** Reads what `listScript` printed; a broken last record is dropped, a name that could escape is counted. */
export function parseListing(output: Buffer): Listing {
  const entries = new Map<string, RemoteEntry>();
  let refusedNames = 0;
  let at = 0;
  const next = (): Buffer | undefined => {
    const end = output.indexOf(0, at);
    if (end < 0) return undefined;
    const field = output.subarray(at, end);
    at = end + 1;
    return field;
  };
  for (let head = next(); head !== undefined; head = next()) {
    const raw = next();
    if (raw === undefined) break;
    const facts = /^(\S) (\d{1,15}) (\S+)$/.exec(head.toString('latin1'));
    const name = raw.toString('utf8').replace(/^\.\//, '');
    if (
      facts?.[2] === undefined ||
      facts[3] === undefined ||
      !Buffer.from(name).equals(stripDot(raw)) ||
      !isPlainRelative(name)
    ) {
      refusedNames += 1;
      continue;
    }
    const kind = facts[1] === 'f' ? 'file' : facts[1] === 'l' ? 'link' : 'other';
    entries.set(name, { path: name, bytes: Number(facts[2]), stamp: facts[3], kind });
  }
  return {
    entries: [...entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    refusedNames,
  };
}

function stripDot(raw: Buffer): Buffer {
  return raw.length > 2 && raw[0] === 0x2e && raw[1] === 0x2f ? raw.subarray(2) : raw;
}
