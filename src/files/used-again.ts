/** Memory to read into that leaves in pieces, and comes back. */
export interface UsedAgain {
  readonly next: () => Buffer;
  /** None of it was handed on. */
  free(memory: Buffer): void;
  /** So many bytes of it are handed on, in whatever pieces. */
  lend(memory: Buffer, bytes: number): void;
  /** These bytes are copied where they go. What was never lent is none of ours. */
  readonly taken: (piece: Buffer) => void;
}

/**
 * New memory for each mebibyte of a large file costs more than to read it. What never comes back is collected as usual: a
 * transport that does not tell, or that joined two pieces, costs time and nothing else.
 */
export function createUsedAgain(bytes: number): UsedAgain {
  const idle: Buffer[] = [];
  const lent = new WeakMap<ArrayBufferLike, { readonly memory: Buffer; left: number }>();
  return {
    next: () => idle.pop() ?? Buffer.allocUnsafeSlow(bytes),
    free(memory) {
      idle.push(memory);
    },
    lend(memory, count) {
      lent.set(memory.buffer, { memory, left: count });
    },
    taken(piece) {
      const loan = lent.get(piece.buffer);
      if (loan === undefined) return;
      loan.left -= piece.length;
      if (loan.left > 0) return;
      lent.delete(piece.buffer);
      idle.push(loan.memory);
    },
  };
}
