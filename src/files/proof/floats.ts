/** Whether all numbers in a chunk are finite. Chunks must hold whole items. Unknown types are taken as finite. */
export function allFinite(type: string, chunk: Buffer): boolean {
  switch (type) {
    case 'F64':
      return exponentsFine(chunk, 8, 6, 0x7ff0, 0x7ff0);
    case 'F32':
      return exponentsFine(chunk, 4, 2, 0x7f80, 0x7f80);
    case 'BF16':
      return exponentsFine(chunk, 2, 0, 0x7f80, 0x7f80);
    case 'F16':
      return exponentsFine(chunk, 2, 0, 0x7c00, 0x7c00);
    default:
      return true;
  }
}

/** A float is NaN or infinite exactly when all bits of its exponent are set; they lie in its two top bytes. */
function exponentsFine(
  chunk: Buffer,
  width: number,
  top: number,
  mask: number,
  forbidden: number,
): boolean {
  const end = chunk.length - (chunk.length % width);
  for (let at = top; at < end; at += width)
    if ((chunk.readUInt16LE(at) & mask) === forbidden) return false;
  return true;
}
