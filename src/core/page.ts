import { z } from 'zod';

export const DEFAULT_PAGE_BYTES = 10_000;
export const MAX_PAGE_BYTES = 40_000;
/** The longest any tool call waits. Hosts cut calls at 60 s. */
export const MAX_WAIT_SECONDS = 45;

export const offsetSchema = z.int().nonnegative();
export const maxBytesSchema = z.int().min(1).max(MAX_PAGE_BYTES).default(DEFAULT_PAGE_BYTES);

/** One piece of a transcript or log. Offsets count bytes from the first one ever written and never change their meaning. */
export const pageSchema = z.object({
  output: z.string(),
  offset: z.int().nonnegative(),
  nextOffset: z.int().nonnegative(),
  hasMore: z.boolean(),
});
export type Page = Readonly<z.output<typeof pageSchema>>;

/**
 * How many bytes of `bytes` (cut out of a longer stream) make whole characters: a UTF-8 sequence cut at the end is
 * left for the next page. Bytes that are no UTF-8 count as they are, so that a reader always moves on.
 */
export function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back && byte < 0xf8 && bytes.length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
