/** Longer noise of a login shell is forgotten piece by piece; the token line is far shorter. */
const MAX_NOISE_BYTES = 64 * 1024;

/**
 * Drops what a login shell printed before our script began. `push` answers the bytes that belong to the script, and
 * `word` holds what stood after the token on its line.
 */
export function createPreamble(token: string): {
  push(chunk: Buffer): Buffer | undefined;
  readonly word: string | undefined;
  /** What was printed while the token has not come. */
  readonly noise: string;
} {
  let held = Buffer.alloc(0);
  let word: string | undefined;
  return {
    get word() {
      return word;
    },
    get noise() {
      return held.toString('utf8');
    },
    push(chunk) {
      if (word !== undefined) return chunk;
      held = Buffer.concat([held, chunk]);
      const at = held.indexOf(token);
      const end = at < 0 ? -1 : held.indexOf(0x0a, at);
      if (end < 0) {
        if (at < 0 && held.length > MAX_NOISE_BYTES)
          held = held.subarray(held.length - token.length);
        return undefined;
      }
      word = held.toString('utf8', at + token.length, end).trim();
      const rest = held.subarray(end + 1);
      held = Buffer.alloc(0);
      return rest;
    },
  };
}

/** Keeps the first `maxBytes` of what is added, and counts the rest. */
export function createBoundedBuffer(maxBytes: number): {
  readonly add: (chunk: Buffer) => void;
  readonly droppedBytes: number;
  bytes(): Buffer;
} {
  const kept: Buffer[] = [];
  let size = 0;
  let droppedBytes = 0;
  return {
    get droppedBytes() {
      return droppedBytes;
    },
    add(chunk) {
      const room = Math.max(0, maxBytes - size);
      if (room > 0) kept.push(chunk.subarray(0, room));
      size += Math.min(room, chunk.length);
      droppedBytes += Math.max(0, chunk.length - room);
    },
    bytes: () => Buffer.concat(kept),
  };
}
