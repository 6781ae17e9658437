import { shellQuote } from '../core/shell-quote.ts';
import type { HashParts } from './hash-parts.ts';
import { hashLines } from './place-hash.ts';
import { HASH_FUNCTION } from './pod.ts';
import { batches, dotted, foldersOf } from './pod-names.ts';
import { STAGING_PREFIX } from './sync-look.ts';
import type { PlannedFile } from './sync-plan.ts';
import { folderLines, treeLines } from './tree-listing.ts';

const STALE_SECONDS = 48 * 3600;
/** A file system's clock ticks every few milliseconds; one that does not in this many tries ticks by the second. */
const TICK_TRIES = 12;

export const PLACE_EXIT = { blocked: 48, folder: 31, move: 32, remove: 33 } as const;

export interface ListedAfter {
  readonly files: readonly string[];
  readonly folders: readonly string[];
  /** Only these of the folders. */
  readonly touched?: readonly string[] | undefined;
}
export interface Placing {
  readonly target: string;
  /** Name of the staging folder, which is the current one; absent when nothing was sent. */
  readonly staging: string | undefined;
  readonly files: readonly PlannedFile[];
  /** By path: a file in the staging folder with the hash of what was written there, as it was written. */
  readonly sums?: ReadonlyMap<string, string> | undefined;
  /** Of `files`, those that were hashed as they arrived. */
  readonly parts?: Pick<HashParts, 'has' | 'got' | 'digest' | 'program'>;
  /** The staging folder holds these files and nothing else, so that whole folders of it can be moved. */
  readonly alone: boolean;
  /** Relative names that are removed afterwards. */
  readonly extras: readonly string[];
  /** What is listed at the end: the same names as at the next look. */
  readonly listed: ListedAfter;
  /** Staging folders that nobody needs any more. */
  readonly sweep: readonly string[];
}

/**
 * Runs on the pod after everything has arrived: hashes it all, and only if every hash is as it was sent moves each file
 * into place by one rename, removes what is to be removed, sweeps, and lists what is there now. Prints `fence`, its time,
 * the list and the end mark, all for `readPlaced`; or `wrong` and the hashes it saw, having changed nothing.
 */
export function placeScript(placing: Placing): string {
  const { target, staging, files, extras, listed, sweep } = placing;
  const hasFiles = staging !== undefined && files.length > 0;
  const swept = [...(staging === undefined ? [] : [staging]), ...sweep];
  return [
    HASH_FUNCTION,
    'TZ=UTC0; export TZ; umask 022',
    `T=${shellQuote(target)}`,
    ...(hasFiles ? moveLines(placing) : []),
    ...(extras.length === 0
      ? []
      : [
          '( cd -- "$T" || exit 3; r() { rm -f -- "$@" || exit 33; }; e() { rmdir -- "$@" 2>/dev/null; }',
          ...batches('r', extras.map(dotted)),
          // Folders that home has no more go when nothing else is in them, the deepest first.
          ...batches('e', emptied(extras, listed.folders).map(dotted)),
          'exit 0; ) || exit $?',
        ]),
    ...(hasFiles ? FENCE : [`printf 'fence\\0\\0'`]),
    'cd -- "$T" || exit 3',
    ...(swept.length === 0
      ? []
      : [`rm -rf -- ${swept.map((name) => shellQuote(dotted(name))).join(' ')}`]),
    `n=; for d in ${STAGING_PREFIX}*; do if [ -d "$d" ]; then`,
    `n=\${n:-$(date +%s)}; t=$(stat -c %Y -- "$d" 2>/dev/null); if [ $((n - \${t:-$n})) -gt ${STALE_SECONDS} ]; then rm -rf -- "./$d"; fi; fi; done`,
    ...(listed.touched === undefined
      ? treeLines(listed.files, listed.folders)
      : folderLines(listed.touched)),
    `A; printf '\\0end\\0'`,
    'exit 0',
    '',
  ].join('\n');
}

function emptied(extras: readonly string[], kept: readonly string[]): readonly string[] {
  const here = new Set(kept);
  return foldersOf(extras)
    .filter((folder) => !here.has(folder))
    .toReversed();
}

/** Hashes everything, then moves it: a folder that the target lacks in one rename where it may, all else file by file. */
function moveLines({ files, alone, sums, parts }: Placing): readonly string[] {
  const words = files.map(({ path }) => dotted(path));
  const folders = foldersOf(files.map(({ path }) => path)).map(dotted);
  const moves = ([folder, names]: readonly [string, readonly string[]]): readonly string[] => [
    `d=${shellQuote(folder)}`,
    ...batches('b', names),
  ];
  const named = byFolder(words);
  const groups = [...named].flatMap(moves);
  const [first = ':', ...more] = batches('r', words, RENAMED_AT_ONCE);
  const each = [
    ...(folders.length < MANY_FOLDERS
      ? groups
      : [
          'r() { x=$(unset PERL5OPT PERL5LIB PERL_UNICODE',
          `exec perl -e ${shellQuote(RENAME)} "$T" "$@"); y=$?`,
          `if [ "$x" = begun ] && [ $y != 0 ]; then exit ${PLACE_EXIT.move}; fi; [ "$x" = begun ]; }`,
          `if ${first}; then :`,
          ...more.map((line) => `${line} || exit ${PLACE_EXIT.move}`),
          ...['else', ...groups, 'fi'],
        ]),
  ];
  return [
    ...hashLines({ files, sums, parts }),
    // Once more, since time has passed: nothing may be written through a link.
    '( cd -- "$T" || exit 3',
    `c() { for d do if [ -h "$d" ] || { [ -e "$d" ] && ! [ -d "$d" ]; }; then exit ${PLACE_EXIT.blocked}; fi; done; }`,
    `k() { mkdir -p -- "$@" || exit ${PLACE_EXIT.folder}; }`,
    ...batches('c', folders),
    ...(alone ? [] : batches('k', folders)),
    ') || exit $?',
    `m() { mv -f -- "$@" "$T/$d/" || exit ${PLACE_EXIT.move}; }`,
    ...(alone ? wholeLines(folders) : []),
    // A folder that is no longer here has moved with all that is in it.
    'b() { if [ -d "./$d" ]; then m "$@"; fi; }',
    ...(alone ? unlessMoved(folders, moves(['', named.get('') ?? []]), each) : each),
  ];
}

/** From so many on, one program that renames is faster than a `mv` for each folder. */
const MANY_FOLDERS = 8;
const RENAMED_AT_ONCE = 1500;
/** As `b` does, said before anything is moved: some have no perl, or one that does not start. What rename refuses, `mv` may copy, or says why not. */
const RENAME =
  '$| = 1; print "begun"; $t = shift; for (@ARGV) { ($d) = m{^(.*)/}s; rename($_, "$t/$_") or !-d $d or system("mv", "-f", "--", $_, "$t/$d/") == 0 or exit 1 }';

/** `each` moves every file; only `first` is needed where all folders have moved whole. */
function unlessMoved(
  folders: readonly string[],
  first: readonly string[],
  each: readonly string[],
): readonly string[] {
  const highest = folders.filter((folder) => !folder.slice(2).includes('/'));
  return [
    'l=; z() { for d do if [ -d "$d" ]; then l=1; fi; done; }',
    ...batches('z', highest),
    ...['if [ -z "$l" ]; then', ...first, 'else', ...each, 'fi'],
  ];
}

/** Parents come before children, so that what stays is only what the target has. */
function wholeLines(folders: readonly string[]): readonly string[] {
  return [
    'w() { n=$#',
    'while [ "$n" -gt 0 ]; do n=$((n-1)); f=$1; shift',
    'if [ -d "$f" ] && ! [ -e "$T/$f" ] && ! [ -h "$T/$f" ]; then set -- "$@" "$f"; fi; done',
    'if [ $# -gt 0 ]; then m "$@"; fi; }',
    ...[...byFolder(folders)].flatMap(([folder, words]) => [
      `d=${shellQuote(folder)}`,
      ...batches('w', words),
    ]),
  ];
}

/** Names by the folder that holds them; of both, what is after the first `./`. */
function byFolder(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const word of words) {
    const folder = word.slice(2, Math.max(2, word.lastIndexOf('/')));
    const group = groups.get(folder);
    if (group === undefined) groups.set(folder, [word]);
    else group.push(word);
  }
  return groups;
}

/**
 * Two files made one after the other until their times differ: what is changed after that has another time than the first,
 * and everything that was moved before it has none that is later.
 */
const FENCE = [
  "i=0; f=; nl='\n'; printf x >.gpu-lease-a",
  `while [ $i -lt ${TICK_TRIES} ]; do i=$((i+1)); printf x >.gpu-lease-b`,
  's=$(stat -c %z .gpu-lease-a .gpu-lease-b 2>/dev/null) || break',
  'if [ "${s%%"$nl"*}" != "${s#*"$nl"}" ]; then f=${s%%"$nl"*}; break; fi; done',
  `printf 'fence\\0%s\\0' "$f"`,
];
