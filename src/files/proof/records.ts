import { type Bytes, broken } from './bytes.ts';

const CASTAGNOLI = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1)
    value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

/** CRC-32C as TFRecord masks it. */
export function maskedCrc(data: Buffer, from = 0xffffffff): number {
  const crc = ~crcOf(data, from) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function crcOf(data: Buffer, from: number): number {
  let crc = from;
  for (const byte of data) crc = (CASTAGNOLI[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  return crc;
}

/** Records of TFRecord or TensorBoard events: each length and content with its CRC. At least one, the last one whole. */
export async function proveRecords(bytes: Bytes): Promise<'structure'> {
  let at = 0;
  while (at < bytes.size) {
    const head = await bytes.at(at, 12);
    if (head.readUInt32LE(8) !== maskedCrc(head.subarray(0, 8)))
      throw broken(at === 0 ? 'it holds no records' : 'a record is damaged');
    const end = at + 12 + Number(head.readBigUInt64LE(0));
    if (end + 4 > bytes.size) throw broken('the last record is cut short');
    let crc = 0xffffffff;
    for await (const chunk of bytes.chunks(at + 12, end)) crc = crcOf(chunk, crc);
    if ((await bytes.at(end, 4)).readUInt32LE(0) !== maskedCrc(Buffer.alloc(0), crc))
      throw broken('a record is damaged');
    at = end + 4;
  }
  return 'structure';
}

/** Arrow's file form: the magic at both ends and a footer that fits. The footer is not opened. */
export async function proveArrow(bytes: Bytes): Promise<'structure'> {
  const head = (await bytes.at(0, Math.min(6, bytes.size))).toString('latin1');
  if (head.startsWith('FEA1')) return feather(bytes, 'FEA1');
  if (head !== 'ARROW1') throw broken('it is no Arrow file');
  return feather(bytes, 'ARROW1');
}

async function feather(bytes: Bytes, magic: string): Promise<'structure'> {
  const size = magic.length + 4;
  const tail = await bytes.at(Math.max(0, bytes.size - size), Math.min(size, bytes.size));
  if (tail.length < size || tail.toString('latin1', 4) !== magic)
    throw broken('the file is cut short');
  const footer = tail.readUInt32LE(0);
  if (footer === 0 || footer + size + magic.length > bytes.size)
    throw broken('its footer is damaged');
  return 'structure';
}
