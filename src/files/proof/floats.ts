/** Whether all numbers in a chunk are finite. Chunks must hold whole items. Unknown types are taken as finite. */
export function allFinite(type: string, chunk: Buffer): boolean {
  switch (type) {
    case 'F64':
      return exponentsFine(chunk, 8, 6, 0x7ff0);
    case 'F32':
    case 'C64':
      return exponentsFine(chunk, 4, 2, 0x7f80);
    case 'BF16':
      return exponentsFine(chunk, 2, 0, 0x7f80);
    case 'F16':
      return exponentsFine(chunk, 2, 0, 0x7c00);
    case 'F8_E5M2':
      return chunk.every((byte) => (byte & 0x7c) !== 0x7c);
    case 'F8_E4M3':
      return !chunk.includes(0x7f) && !chunk.includes(0xff);
    default:
      return true;
  }
}

/** Reads to the end, and throws what `wrong` makes when a number is not finite, wherever the chunks are cut. */
export async function checkFinite(
  type: string,
  chunks: AsyncIterable<Buffer>,
  wrong: () => Error,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (type === '') continue;
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = all.length - (all.length % WIDEST);
    if (!allFinite(type, all.subarray(0, whole))) throw wrong();
    rest = Buffer.from(all.subarray(whole));
  }
  if (!allFinite(type, rest)) throw wrong();
}

const WIDEST = 8;

/** A float is NaN or infinite exactly when all bits of its exponent are set; they lie in its two top bytes. */
function exponentsFine(chunk: Buffer, width: number, top: number, mask: number): boolean {
  const end = chunk.length - (chunk.length % width);
  for (let at = top; at < end; at += width)
    if ((chunk.readUInt16LE(at) & mask) === mask) return false;
  return true;
}
