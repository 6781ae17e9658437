import { type Bytes, broken } from './bytes.ts';

const BLOCK = 0x314159265359n;
const END = 0x177245385090n;
const MARK_BITS = 48;
const WINDOW = 256 << 10;

interface Mark {
  /** In bits from the start of the file. */
  readonly at: number;
  readonly isEnd: boolean;
  readonly crc: number;
}

/**
 * The marks of its blocks, which lie at any bit, and the checksum over their checksums at the end of each stream. The
 * content is not unpacked, so what is wrong inside a block is not seen.
 */
export async function proveBzip2(bytes: Bytes): Promise<'structure'> {
  let start = 0;
  let sum = 0;
  let isOpen = false;
  for await (const mark of marksOf(bytes)) {
    if (!isOpen) {
      // What follows a stream up to the next must be the four bytes that begin it.
      if (mark.at !== start * 8 + 32) throw broken('the file is damaged');
      if (!/^BZh[1-9]$/.test((await bytes.at(start, 4)).toString('latin1')))
        throw broken(start === 0 ? 'it is no bzip2 file' : 'bytes follow its end');
      isOpen = true;
      sum = 0;
    }
    if (!mark.isEnd) sum = (((sum << 1) | (sum >>> 31)) ^ mark.crc) >>> 0;
    else {
      if (sum !== mark.crc) throw broken('a block of it is missing or damaged');
      start = Math.ceil((mark.at + MARK_BITS + 32) / 8);
      isOpen = false;
    }
  }
  if (start === 0 && !isOpen) throw broken('it is no bzip2 file, or it is cut short');
  if (isOpen) throw broken('the file is cut short');
  if (start !== bytes.size) throw broken('bytes follow its end');
  return 'structure';
}

/** For each of the eight shifts the five bytes that lie whole within a mark. */
const NEEDLES = [BLOCK, END].flatMap((mark) =>
  Array.from({ length: 8 }, (_, shift) => {
    const bits = mark << BigInt(8 - shift);
    const all = Buffer.alloc(8);
    all.writeBigUInt64BE(bits << 8n);
    return { shift, mark, needle: all.subarray(shift === 0 ? 0 : 1, 6) };
  }),
);

async function* marksOf(bytes: Bytes): AsyncGenerator<Mark, void, undefined> {
  for (let from = 0; from < bytes.size; from += WINDOW) {
    // Reads a little beyond, so that a mark over the border is met once, by the window it begins in.
    const buffer = await bytes.at(from, Math.min(WINDOW + 16, bytes.size - from));
    const found: Mark[] = [];
    for (const { shift, mark, needle } of NEEDLES) {
      const lead = shift === 0 ? 0 : 1;
      for (let hit = buffer.indexOf(needle); hit >= 0; hit = buffer.indexOf(needle, hit + 1)) {
        const first = hit - lead;
        if (first < 0 || first >= WINDOW || first * 8 + shift + 80 > buffer.length * 8) continue;
        const bits = bitsAt(buffer, first, shift);
        if (bits >> 32n === mark)
          found.push({
            at: (from + first) * 8 + shift,
            isEnd: mark === END,
            crc: Number(bits & 0xffffffffn),
          });
      }
    }
    yield* found.toSorted((a, b) => a.at - b.at);
  }
}

/** 80 bits that begin `shift` bits into the byte at `first`. */
function bitsAt(buffer: Buffer, first: number, shift: number): bigint {
  let value = 0n;
  for (let byte = 0; byte < 11; byte += 1)
    value = (value << 8n) | BigInt(buffer[first + byte] ?? 0);
  return (value >> BigInt(8 - shift)) & ((1n << 80n) - 1n);
}
