import { shellQuote } from '../core/shell-quote.ts';
import { HASH_FUNCTION } from './pod.ts';
import { batches, dotted } from './pod-names.ts';
import { sourceOf } from './pod-source.ts';

/** From here the search for the fastest program is worth its time. */
const MANY_BYTES = 8 << 20;
const LARGE_BYTES = 256 << 10;
const BATCH_NAMES = 600;
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Prints `sha256  name` of each argument, of standard input when there is none. */
const PYTHON = `import hashlib, os, sys
for n in sys.argv[1:] or [0]:
    try:
        h = hashlib.sha256()
        with open(n, "rb", 0) as f:
            b = f.read(1048576)
            while b:
                h.update(b)
                b = f.read(1048576)
        sys.stdout.buffer.write(h.hexdigest().encode() + b"  " + os.fsencode(n or "-") + b"\\n")
    except OSError:
        pass`;

/** Makes `G` the fastest there is: openssl and python3 use what the processor has for SHA-256; sha256sum of many images does not and is up to nine times slower. `openssl` prints `sha256 *name`. */
const FAST = [
  `case "$(openssl dgst -sha256 -r </dev/null 2>/dev/null)" in ${EMPTY}*) G() { openssl dgst -sha256 -r "$@"; };;`,
  `*) if [ "$(python3 -I -S -c 'import hashlib; print(hashlib.sha256().hexdigest())' 2>/dev/null)" = ${EMPTY} ]; then`,
  `G() { python3 -I -S -c ${shellQuote(PYTHON)} "$@"; }; fi;; esac`,
];

/** Shell lines, after `HASH_FUNCTION`, for those who are about to hash so much with `G`. */
export function fastHash(bytes: number): readonly string[] {
  return bytes >= MANY_BYTES ? FAST : [];
}

/**
 * A script that hashes, small ones first and else in this order, those of `files` that are regular files below `folder`. Never reads a FIFO or a
 * device. Output is for `parseFacts` with the sources of the files as names.
 */
export function hashScript(
  folder: string,
  files: readonly { readonly path: string; readonly source?: string; readonly bytes: number }[],
): string {
  const names = files.map(sourceOf);
  const isOdd = (name: string): boolean => /[\n\r\\]/.test(name);
  const plain = files.filter((file) => !isOdd(sourceOf(file)));
  const large = plain.filter(({ bytes }) => bytes >= LARGE_BYTES);
  const wordsOf = (some: typeof files): readonly string[] =>
    some.map((file) => dotted(sourceOf(file)));
  return [
    HASH_FUNCTION,
    `cd ${shellQuote(folder)} 2>/dev/null || exit 0`,
    `o() { if [ -f "$2" ] && ! [ -h "$2" ]; then s=$(H - <"$2") && printf '%.64s  %s\\n' "$s" "$1"; fi; }`,
    ...names.flatMap((name, index) =>
      isOdd(name) ? batches('o', [`@${index}`, dotted(name)]) : [],
    ),
    'h() { n=$#',
    'while [ "$n" -gt 0 ]; do n=$((n-1)); f=$1; shift',
    'if [ -f "$f" ] && ! [ -h "$f" ]; then set -- "$@" "$f"; fi; done',
    'if [ $# -gt 0 ]; then G "$@" 2>/dev/null </dev/null; fi; }',
    ...batches('h', wordsOf(plain.filter(({ bytes }) => bytes < LARGE_BYTES)), BATCH_NAMES),
    ...fastHash(large.reduce((sum, { bytes }) => sum + bytes, 0)),
    ...batches('h', wordsOf(large)),
    'exit 0',
    '',
  ].join('\n');
}
