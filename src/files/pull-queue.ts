import { isPacked } from './compressible.ts';
import {
  BLOCK_BYTES,
  batchesOf,
  type Piece,
  rangeOf,
  SMALL_BYTES,
  type Wanted,
  type Work,
} from './pull-work.ts';
import { gapsOf, type Span } from './spans.ts';

export interface PullQueue {
  /** The next question, of at most about `mostBytes`. `only`: nothing else is handed out. */
  next(mostBytes: number, only?: 'packed' | 'plain'): Work | undefined;
  /** What was asked for and did not come is asked for again. */
  giveBack(pieces: readonly Piece[]): void;
  /** Nothing more of these files is asked for. */
  drop(files: ReadonlySet<Wanted>): void;
  readonly leftBytes: number;
}

interface Large {
  readonly file: Wanted;
  gaps: readonly Span[];
}

/** What is still to be asked for: small files in batches first, then the gaps of large ones from front to back. */
export function createPullQueue(
  wanted: readonly { readonly file: Wanted; readonly have: readonly Span[] }[],
  alone: boolean,
): PullQueue {
  const small = wanted.filter(({ file }) => file.bytes <= SMALL_BYTES).map(({ file }) => file);
  let batches = [
    ...batchesOf(
      small.filter(({ source }) => !isPacked(source)),
      alone,
    ),
    ...batchesOf(
      small.filter(({ source }) => isPacked(source)),
      alone,
    ),
  ];
  let large: Large[] = wanted
    .filter(({ file }) => file.bytes > SMALL_BYTES)
    .map(({ file, have }) => ({ file, gaps: gapsOf(have, file.bytes).map(aligned) }));

  const fits = (source: string, only: 'packed' | 'plain' | undefined): boolean =>
    only === undefined || isPacked(source) === (only === 'packed');
  return {
    next(mostBytes, only) {
      const at = batches.findIndex(({ pieces }) => fits(pieces[0]?.file.source ?? '', only));
      if (at >= 0) return batches.splice(at, 1)[0];
      large = large.filter(({ gaps }) => gaps.length > 0);
      const one = large.find(({ file }) => fits(file.source, only));
      const gap = one?.gaps[0];
      if (one === undefined || gap === undefined) return undefined;
      const blocks = Math.max(1, Math.floor(mostBytes / BLOCK_BYTES));
      const end = Math.min(gap.end, gap.start + blocks * BLOCK_BYTES);
      one.gaps =
        end < gap.end ? [{ start: end, end: gap.end }, ...one.gaps.slice(1)] : one.gaps.slice(1);
      return rangeOf(one.file, gap.start, end - gap.start);
    },
    giveBack(pieces) {
      const files = new Set<Wanted>();
      for (const { file, offset, bytes } of pieces) {
        if (file.bytes <= SMALL_BYTES) {
          files.add(file);
          continue;
        }
        const gap = aligned({ start: offset, end: offset + bytes });
        const known = large.find((one) => one.file === file);
        if (known === undefined) large.unshift({ file, gaps: [gap] });
        else known.gaps = [gap, ...known.gaps];
      }
      batches = [...batchesOf([...files], alone), ...batches];
    },
    drop(files) {
      const left = batches.flatMap(({ pieces }) => pieces.map(({ file }) => file));
      if (left.some((file) => files.has(file)))
        batches = batchesOf(
          left.filter((file) => !files.has(file)),
          alone,
        );
      large = large.filter(({ file }) => !files.has(file));
    },
    get leftBytes() {
      let left = 0;
      for (const { pieces } of batches) for (const { bytes } of pieces) left += bytes;
      for (const { gaps } of large) for (const { start, end } of gaps) left += end - start;
      return left;
    },
  };
}

/** Blocks are read whole on the pod, so a gap begins at one. */
function aligned({ start, end }: Span): Span {
  return { start: start - (start % BLOCK_BYTES), end };
}
