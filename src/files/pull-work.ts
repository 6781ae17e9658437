import { shellQuote } from '../core/shell-quote.ts';
import { dotted } from './pod-names.ts';

/** One file that is pulled. */
export interface Wanted {
  /** Relative to the root on the pod. */
  readonly source: string;
  readonly bytes: number;
  /** Where it arrives on this machine. */
  readonly partial: string;
}

/** Some bytes of one file, as they come in a stream. */
export interface Piece {
  readonly file: Wanted;
  readonly offset: number;
  readonly bytes: number;
}

/** What a pod is asked for at once: it answers with exactly the bytes of the pieces, in order. */
export interface Work {
  readonly script: string;
  readonly pieces: readonly Piece[];
}

/** Up to here a file travels whole in a batch and is held in memory until it is there. */
export const SMALL_BYTES = 1 << 20;
export const BLOCK_BYTES = 1 << 20;
const BATCH_NAMES = 400;
const BATCH_WORD_BYTES = 50_000;
const BATCH_BYTES = 4 << 20;
/** The stream ends here: a file is no longer what it was, so the bytes after it would be taken for its own. */
export const CUT_SHORT = 46;
export const NO_ROOT = 3;

/**
 * The functions that `Work` calls, in the folder `root`. `q` sends many small files and fills up what one of them lacks
 * with zeros, so that the next batch begins where it should. `p` sends blocks of a large one.
 */
export function pullPrelude(root: string): string {
  return [
    'LC_ALL=C; export LC_ALL',
    `cd ${shellQuote(root)} || exit ${NO_ROOT}`,
    'F=; if dd if=/dev/null of=/dev/null iflag=fullblock count=0 2>/dev/null; then F=iflag=fullblock; fi',
    'q() { n=$1; shift; { cat -- "$@" 2>/dev/null </dev/null; head -c "$n" /dev/zero; } | head -c "$n"; }',
    `p() { if ! [ -f "$5" ] || [ -h "$5" ]; then exit ${CUT_SHORT}; fi`,
    `if [ "$2" -gt 0 ]; then dd if="$5" bs=${BLOCK_BYTES} skip="$1" count="$2" $F 2>/dev/null </dev/null || exit ${CUT_SHORT}; fi`,
    `if [ "$3" -gt 0 ]; then dd if="$5" bs=${BLOCK_BYTES} skip="$(($1+$2))" count=1 $F 2>/dev/null </dev/null | head -c "$3"; fi`,
    `s=$(stat -c %s -- "$5" 2>/dev/null </dev/null) && [ "$s" -ge "$4" ] || exit ${CUT_SHORT}; }`,
    '',
  ].join('\n');
}

/** Small files in batches. `alone`: each in a batch of its own, so that one that changes spoils no other. */
export function batchesOf(files: readonly Wanted[], alone: boolean): Work[] {
  const works: Work[] = [];
  let batch: Wanted[] = [];
  let words: string[] = [];
  let bytes = 0;
  let wordBytes = 0;
  const flush = (): void => {
    if (batch.length > 0)
      works.push({
        script: `q ${bytes} ${words.join(' ')}\n`,
        pieces: batch.map((file) => ({ file, offset: 0, bytes: file.bytes })),
      });
    batch = [];
    words = [];
    bytes = 0;
    wordBytes = 0;
  };
  for (const file of files) {
    const word = shellQuote(dotted(file.source));
    const isFull =
      batch.length >= (alone ? 1 : BATCH_NAMES) ||
      bytes + file.bytes > BATCH_BYTES ||
      wordBytes + word.length > BATCH_WORD_BYTES;
    if (isFull) flush();
    batch.push(file);
    words.push(word);
    bytes += file.bytes;
    wordBytes += Buffer.byteLength(word);
  }
  flush();
  return works;
}

/** A part of a large file; `offset` is a multiple of `BLOCK_BYTES`. */
export function rangeOf(file: Wanted, offset: number, bytes: number): Work {
  const blocks = Math.floor(bytes / BLOCK_BYTES);
  const word = shellQuote(dotted(file.source));
  const script = `p ${offset / BLOCK_BYTES} ${blocks} ${bytes % BLOCK_BYTES} ${offset + bytes} ${word}\n`;
  return { script, pieces: [{ file, offset, bytes }] };
}
