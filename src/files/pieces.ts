import { BLOCK_BYTES, type Blocks } from './block-hash.ts';
import type { PlannedFile } from './sync-plan.ts';

/** What one line of a stream announces. */
export const PIECE_BYTES = 4 << 20;

/** A part of a file that the pod lacks. Starts at a whole block. */
export interface Piece {
  /** 1-based position among the files. */
  readonly file: number;
  readonly at: number;
  readonly bytes: number;
  readonly isTail: boolean;
}

/** What of `file` differs from `base`; all of it where either is unknown. */
export function piecesOf(
  file: PlannedFile,
  number: number,
  base: Blocks | undefined,
  own: Blocks | undefined,
): readonly Piece[] {
  const tail = Math.floor((file.bytes - 1) / BLOCK_BYTES) * BLOCK_BYTES;
  const pieces: Piece[] = [];
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at += PIECE_BYTES)
      pieces.push({ file: number, at, bytes: Math.min(PIECE_BYTES, to - at), isTail: false });
  };
  if (base === undefined || own === undefined) add(0, tail);
  else {
    let from: number | undefined;
    for (const [index, digest] of own.digests.entries()) {
      const at = Math.min(tail, index * own.blockBytes);
      if (digest !== base.digests[index]) from ??= at;
      else if (from !== undefined) {
        add(from, at);
        from = undefined;
      }
    }
    if (from !== undefined) add(from, tail);
  }
  return [...pieces, { file: number, at: tail, bytes: file.bytes - tail, isTail: true }];
}
