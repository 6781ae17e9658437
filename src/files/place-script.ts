import { createHash } from 'node:crypto';
import { shellQuote } from '../core/shell-quote.ts';
import { sentSeconds } from './pack.ts';
import { HASH_FUNCTION } from './pod.ts';
import { batches, dotted, foldersOf, isOdd } from './pod-names.ts';
import { BIG_BYTES } from './send-big.ts';
import { STAGING_PREFIX } from './sync-look.ts';
import type { PlannedFile } from './sync-plan.ts';
import { treeLines } from './tree-listing.ts';

const STALE_SECONDS = 48 * 3600;
/** A file system's clock ticks every few milliseconds; one that does not in this many tries ticks by the second. */
const TICK_TRIES = 12;

export const PLACE_EXIT = { blocked: 48, folder: 31, move: 32, remove: 33 } as const;
/** Before what is listed of files that did not arrive as sent. */
export const WRONG = 'wrong';

export interface Placing {
  readonly target: string;
  /** Name of the staging folder, which is the current one; absent when nothing was sent. */
  readonly staging: string | undefined;
  readonly files: readonly PlannedFile[];
  /** Relative names that are removed afterwards. */
  readonly extras: readonly string[];
  /** What is listed at the end: the same names as at the next look. */
  readonly listed: { readonly files: readonly string[]; readonly folders: readonly string[] };
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
  return [
    HASH_FUNCTION,
    'TZ=UTC0; export TZ; umask 022',
    `T=${shellQuote(target)}`,
    ...(hasFiles ? moveLines(files) : []),
    ...(extras.length === 0
      ? []
      : [
          '( cd -- "$T" || exit 3; r() { rm -f -- "$@" || exit 33; }',
          ...batches('r', extras.map(dotted)),
          ') || exit $?',
        ]),
    ...(hasFiles ? FENCE : [`printf 'fence\\0\\0'`]),
    'cd -- "$T" || exit 3',
    ...(staging === undefined ? [] : [`rm -rf -- ${shellQuote(dotted(staging))}`]),
    ...(sweep.length === 0
      ? []
      : [`rm -rf -- ${sweep.map((name) => shellQuote(dotted(name))).join(' ')}`]),
    `n=$(date +%s); for d in ${STAGING_PREFIX}*; do if [ -d "$d" ]; then`,
    `t=$(stat -c %Y -- "$d" 2>/dev/null); if [ $((n - \${t:-$n})) -gt ${STALE_SECONDS} ]; then rm -rf -- "./$d"; fi; fi; done`,
    ...treeLines(listed.files, listed.folders),
    `A; printf '\\0end\\0'`,
    'exit 0',
    '',
  ].join('\n');
}

/** `p` names every file once: first to be hashed, then to be moved. */
function moveLines(files: readonly PlannedFile[]): readonly string[] {
  const names = files.map(({ path }) => path);
  const calls: string[] = [];
  const wanted: string[] = [];
  const groups = new Map<string, PlannedFile[]>();
  for (const file of files) {
    const folder = file.path.slice(0, Math.max(0, file.path.lastIndexOf('/')));
    const group = groups.get(folder);
    if (group === undefined) groups.set(folder, [file]);
    else group.push(file);
  }
  for (const [folder, group] of groups) {
    calls.push(`d=${shellQuote(folder)}`);
    const plain = group.filter((file) => isPlain(file.path, file.bytes));
    calls.push(
      ...batches(
        'b',
        plain.map(({ path }) => dotted(path)),
      ),
    );
    for (const { path, sha256 } of plain) wanted.push(`${sha256}  ${dotted(path)}\n`);
    for (const file of group) {
      const word = shellQuote(dotted(file.path));
      if (isPlain(file.path, file.bytes)) continue;
      wanted.push(`${file.sha256}\n`);
      if (file.bytes < BIG_BYTES) calls.push(`q ${word}`);
      else calls.push(`g ${word} ${file.executable ? '755' : '644'} ${sentSeconds(file)}`);
    }
  }
  const digest = createHash('sha256').update(wanted.join('')).digest('hex');
  return [
    ...(files.some(({ bytes }) => bytes >= BIG_BYTES) ? FAST_HASH : []),
    'p() {',
    ...calls,
    '}',
    'b() { H "$@"; }',
    `q() { s=$(H - <"$1") && printf '%.64s\\n' "$s"; }`,
    // These came piece by piece, without what tar sets.
    'g() { chmod "$2" "$1"; touch -c -d "@$3" "$1" 2>/dev/null',
    `s=$(G <"$1") && printf '%.64s\\n' "$s"; }`,
    'p >.gpu-lease-got',
    'x=$(H - <.gpu-lease-got)',
    `if [ "\${x%% *}" != ${digest} ]; then printf '${WRONG}\\0'; cat .gpu-lease-got; exit 0; fi`,
    // Once more, since time has passed: nothing may be written through a link.
    '( cd -- "$T" || exit 3',
    `c() { for d do if [ -h "$d" ] || { [ -e "$d" ] && ! [ -d "$d" ]; }; then exit ${PLACE_EXIT.blocked}; fi; done; }`,
    `k() { mkdir -p -- "$@" || exit ${PLACE_EXIT.folder}; }`,
    ...batches('c', foldersOf(names).map(dotted)),
    ...batches('k', foldersOf(names).map(dotted)),
    ') || exit $?',
    `b() { mv -f -- "$@" "$T/$d/" || exit ${PLACE_EXIT.move}; }`,
    'q() { b "$@"; }',
    'g() { b "$1"; }',
    'p',
  ];
}

function isPlain(name: string, bytes: number): boolean {
  return bytes < BIG_BYTES && !isOdd(name);
}

/** `G` reads stdin. openssl uses what the processor has for it; sha256sum of most images does not. */
const FAST_HASH = [
  'G() { H -; }',
  'if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then G() { openssl dgst -sha256 -r; }; fi',
];

/**
 * Two files made one after the other until their times differ: what is changed after that has another time than the first,
 * and everything that was moved before it has none that is later.
 */
const FENCE = [
  'printf x >.gpu-lease-a; i=0; f=; a=$(stat -c %z .gpu-lease-a 2>/dev/null)',
  `while [ -n "$a" ] && [ $i -lt ${TICK_TRIES} ]; do i=$((i+1)); printf x >.gpu-lease-b`,
  'if [ "$(stat -c %z .gpu-lease-b 2>/dev/null)" != "$a" ]; then f=$a; break; fi; done',
  `printf 'fence\\0%s\\0' "$f"`,
];
