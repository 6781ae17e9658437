const FIRST_BYTES = 64 << 10;
const SLAB_BYTES = 1 << 20;
const LEAST_BYTES = 32 << 10;
/**
 * So many take turns. ssh2 keeps some packets for a while, those of a key exchange the longest, during which nothing else
 * comes: by the time that a slab is used again, none of it is kept.
 */
const SLABS = 4;

export interface Slabs {
  /** Where to read to next. */
  readonly next: () => Buffer;
  /** So many bytes were read to it. */
  fill(bytes: number): void;
  /** Whether slabs are used again. Those from before never are. */
  readonly reuse: (mayReuse: boolean) => void;
}

/** Memory to read a socket into, piece by piece: thousands of small buffers would cost more to collect than to fill. */
export function createSlabs(): Slabs {
  let ring: Buffer[] | undefined;
  let turn = 0;
  let slab: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  let at = 0;
  const another = (): Buffer => {
    if (ring === undefined) return Buffer.allocUnsafeSlow(SLAB_BYTES);
    turn = (turn + 1) % SLABS;
    return (ring[turn] ??= Buffer.allocUnsafeSlow(SLAB_BYTES));
  };
  return {
    next() {
      if (slab.length - at < LEAST_BYTES) {
        slab = another();
        at = 0;
      }
      return slab.subarray(at);
    },
    fill(bytes) {
      at += bytes;
    },
    reuse(mayReuse) {
      if (mayReuse === (ring !== undefined)) return;
      ring = mayReuse ? [] : undefined;
      // What is read after this lies elsewhere.
      at = slab.length;
    },
  };
}
