import { shellQuote } from '../core/shell-quote.ts';
import { HASH_FUNCTION } from './pod.ts';

/* How names travel to a pod and back. Names that sha256sum would escape travel back as `@index`. */

const BATCH_NAMES = 150;
const BATCH_BYTES = 60_000;

/** Calls of the shell function `name` with all `words`, a safe number at a time. */
export function batches(
  name: string,
  words: readonly string[],
  size = BATCH_NAMES,
): readonly string[] {
  const lines: string[] = [];
  let line: string[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (line.length > 0) lines.push(`${name} ${line.join(' ')}`);
    line = [];
    bytes = 0;
  };
  for (const word of words) {
    const quoted = shellQuote(word);
    if (line.length >= size || bytes + quoted.length > BATCH_BYTES) flush();
    line.push(quoted);
    bytes += quoted.length + 1;
  }
  flush();
  return lines;
}

/** `./name`, so that no tool takes a name for an option. */
export function dotted(relative: string): string {
  return `./${relative}`;
}

export interface RemoteFact {
  readonly sha256?: string;
  readonly executable: boolean;
  /** Something that is not a regular file stands at this name. */
  readonly conflict: boolean;
}

/** Names that sha256sum would escape. */
export const isOdd = (relative: string): boolean => /[\n\r\\]/.test(relative);

/**
 * A script that, in `folder`, reports sha256 and executable bit of those of `files` that are regular files, what stands in
 * the way of the others, and links among `folders`. Never reads a FIFO or a device. Output is for `parseFacts`. `faster`:
 * of `fastHash`.
 */
export function factsScript(
  folder: string,
  files: readonly string[],
  folders: readonly string[],
  faster: readonly string[] = [],
): string {
  return [
    HASH_FUNCTION,
    ...faster,
    `cd ${shellQuote(folder)} 2>/dev/null || exit 0`,
    ...factsLines(files, folders),
    'exit 0',
    '',
  ].join('\n');
}

/** The lines of `factsScript` that look; they run in the folder, after `HASH_FUNCTION`. */
export function factsLines(
  files: readonly string[],
  folders: readonly string[],
): readonly string[] {
  const plain = files.filter((file) => !isOdd(file));
  const odd = files.flatMap((file, index) => (isOdd(file) ? [{ file, index }] : []));
  return [
    'h() { n=$#',
    'while [ "$n" -gt 0 ]; do n=$((n-1)); f=$1; shift',
    `if [ -d "$f" ]; then printf 'D %s\\n' "$f"`,
    `elif [ -f "$f" ] && ! [ -h "$f" ]; then set -- "$@" "$f"; if [ -x "$f" ]; then printf '+ %s\\n' "$f"; fi`,
    'fi; done',
    'if [ $# -gt 0 ]; then G "$@" 2>/dev/null </dev/null; fi; }',
    `o() { if [ -d "$2" ]; then printf 'D %s\\n' "$1"`,
    `elif [ -f "$2" ] && ! [ -h "$2" ]; then if [ -x "$2" ]; then printf '+ %s\\n' "$1"; fi`,
    `s=$(G <"$2") && printf '%.64s  %s\\n' "$s" "$1"; fi; }`,
    `c() { for d do if [ -h "$d" ]; then printf 'L %s\\n' "$d"; elif [ -e "$d" ] && ! [ -d "$d" ]; then printf 'D %s\\n' "$d"; fi; done; }`,
    ...batches('c', folders.filter((name) => !isOdd(name)).map(dotted)),
    ...batches('h', plain.map(dotted)),
    ...odd.map(({ file, index }) => batches('o', [`@${index}`, dotted(file)]).join('\n')),
  ];
}

/** What `factsScript` printed, by relative name. `blocked` are folders that are links or not folders. */
export function parseFacts(
  output: Buffer,
  files: readonly string[],
): { readonly facts: ReadonlyMap<string, RemoteFact>; readonly blocked: readonly string[] } {
  const asked = new Set(files);
  const hashes = new Map<string, string>();
  const executables = new Set<string>();
  const conflicts = new Set<string>();
  const blocked: string[] = [];
  for (const line of output.toString('utf8').split('\n')) {
    const match = /^([0-9a-f]{64}|[+DL]) [ *]?(.+)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    const [, kind, word] = match;
    const index = /^@(\d+)$/.exec(word)?.[1];
    const name = index === undefined ? word.replace(/^\.\//, '') : files[Number(index)];
    if (name === undefined) continue;
    if (kind === 'L' || (kind === 'D' && !asked.has(name))) blocked.push(name);
    else if (!asked.has(name)) continue;
    else if (kind === '+') executables.add(name);
    else if (kind === 'D') conflicts.add(name);
    else hashes.set(name, kind);
  }
  const facts = new Map<string, RemoteFact>();
  for (const name of files) {
    const sha256 = hashes.get(name);
    if (sha256 === undefined && !conflicts.has(name)) continue;
    facts.set(name, {
      ...(sha256 === undefined ? {} : { sha256 }),
      executable: executables.has(name),
      conflict: conflicts.has(name),
    });
  }
  return { facts, blocked };
}

/** Every folder that holds one of the files, parents before children, without the root. */
export function foldersOf(files: readonly string[]): readonly string[] {
  const folders = new Set<string>();
  for (const file of files)
    for (let at = file.indexOf('/'); at >= 0; at = file.indexOf('/', at + 1))
      folders.add(file.slice(0, at));
  return [...folders].toSorted();
}
