import { shellQuote } from '../core/shell-quote.ts';
import { dotted } from './pod-names.ts';
import { isPlainRelative } from './remote-target.ts';

export interface RemoteEntry {
  /** Relative to the listed folder. */
  readonly path: string;
  readonly bytes: number;
  /** Changes whenever the content may have: times of last change, inode. Read by `changedAt` alone. */
  readonly stamp: string;
  /** `unreadable`: a file or a whole folder that this login may not read. */
  readonly kind: 'file' | 'link' | 'unreadable' | 'other';
  /** Of a link that was followed: the file it stands for, relative to the listed folder. */
  readonly source?: string;
  /** Of a link to a folder inside the listed folder: that folder, relative. */
  readonly folder?: string;
  /** A link to nothing. */
  readonly dangling?: true;
}
export interface Listing {
  readonly entries: readonly RemoteEntry[];
  /** Names that no honest file has, or that this machine cannot hold. */
  readonly refusedNames: number;
  /** When the listing was begun, by the clock of the pod. Unknown: before everything. */
  readonly nowSeconds: number;
}

/** When the file came to be what it is, in seconds by the clock of the pod: no program sets this time. Unknown: now. */
export function changedAt(stamp: string): number {
  const seconds = Number(stamp.split('/')[1]);
  return Number.isNaN(seconds) ? Infinity : seconds;
}

/** The time of last change that its writer gave it, in seconds. Unknown: NaN. */
export function modifiedAt(stamp: string): number {
  return Number(stamp.split('/')[0]);
}

/**
 * Whether nothing can have changed since without another stamp: the last change was long enough before the listing, for
 * clocks that tick in whole seconds as well.
 */
export function isSettled(stamp: string, nowSeconds: number): boolean {
  return changedAt(stamp) + UNSURE_SECONDS < nowSeconds;
}
const UNSURE_SECONDS = 2;

/** Exit codes of the script: no such folder; something below could not be listed. */
export const NO_FOLDER = 44;
export const NOT_ALL = 45;

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
    `cd ${shellQuote(folder)} 2>/dev/null || exit ${NO_FOLDER}`,
    `printf 'n %s 0\\0.\\0' "$(date +%s 2>/dev/null || echo 0)"`,
    `if find /dev/null -printf '' >/dev/null 2>&1; then`,
    'g() { if [ -e "$1" ] || [ -h "$1" ]; then',
    `find "$1" -ignore_readdir_race \\( -type d \\( ${pruned} \\) -prune \\) -o ${UNREADABLE} -o ! -type d -printf '%y ${FACTS}' || c=${NOT_ALL}; else a "$1"; fi; }`,
    'else',
    'e() { if [ -h "$1" ]; then k=l; elif ! [ -r "$1" ]; then k=u; elif [ -f "$1" ]; then k=f; else k=o; fi',
    `printf '%s %s\\0%s\\0' "$k" "$(stat -c '%s %Y/%Z/%i' -- "$1")" "$1"; }`,
    `w() { case $1 in ${cases}) return;; esac`,
    'if ! [ -r "$1" ] || ! [ -x "$1" ]; then e "$1"; return; fi',
    'for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do',
    'if [ -h "$f" ]; then e "$f"; elif [ -d "$f" ]; then w "$f"; elif [ -e "$f" ]; then e "$f"; fi; done; }',
    'g() { if [ -h "$1" ]; then e "$1"; elif [ -d "$1" ]; then w "$1"; elif [ -e "$1" ]; then e "$1"; else a "$1"; fi; }',
    'fi',
    // What stands in a folder that may not be entered looks absent.
    'a() { p=$1; while :; do case $p in ./*/*) p=${p%/*};; *) return;; esac',
    `if [ -d "$p" ]; then [ -x "$p" ] || printf 'u 0 0/0/0\\0%s\\0' "$p"; return; fi; done; }`,
    'c=0',
    `for s in ${names}; do g "$s"; done`,
    'exit $c',
    '',
  ].join('\n');
}

const FACTS = '%s %T@/%C@/%i\\0%p\\0';
/** Not silence: what this login may not read is no less the only copy. */
const UNREADABLE = `\\( -type d \\( ! -readable -o ! -executable \\) -printf 'u ${FACTS}' -prune \\) -o \\( -type f ! -readable -printf 'u ${FACTS}' \\)`;

const KINDS: Readonly<Record<string, RemoteEntry['kind']>> = {
  f: 'file',
  l: 'link',
  u: 'unreadable',
};

/** Reads what `listScript` printed; a broken last record is dropped, a name that could escape is counted. */
export function parseListing(output: Buffer): Listing {
  const entries = new Map<string, RemoteEntry>();
  let refusedNames = 0;
  let nowSeconds = 0;
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
    if (facts?.[1] === 'n') {
      nowSeconds = Number(facts[2]);
      continue;
    }
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
    const kind = KINDS[facts[1] ?? ''] ?? 'other';
    entries.set(name, { path: name, bytes: Number(facts[2]), stamp: facts[3], kind });
  }
  return {
    entries: [...entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    refusedNames,
    nowSeconds,
  };
}

function stripDot(raw: Buffer): Buffer {
  return raw.length > 2 && raw[0] === 0x2e && raw[1] === 0x2f ? raw.subarray(2) : raw;
}
