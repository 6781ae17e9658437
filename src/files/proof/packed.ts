import { crc32 } from 'node:zlib';
import { type Bytes, broken, unchecked } from './bytes.ts';
import { createCursor } from './cursor.ts';

const ZSTD = 0xfd2fb528;
const MAX_XZ_INDEX = 16 << 20;

/** Every frame and every block of it up to the last byte. The content is not unpacked, so its checksum is not compared. */
export async function proveZstd(bytes: Bytes): Promise<'structure'> {
  const cursor = createCursor(bytes, 0);
  let frames = 0;
  while (!cursor.isAtEnd()) {
    const magic = await cursor.u32();
    if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) {
      cursor.skip(await cursor.u32());
      continue;
    }
    if (magic !== ZSTD)
      throw broken(frames === 0 ? 'it is no zstd file' : 'bytes follow the last frame');
    frames += 1;
    const flags = await cursor.u8();
    if ((flags & 0x08) !== 0) throw broken('a frame of it is damaged');
    const isSingle = (flags & 0x20) !== 0;
    const sizes = [isSingle ? 1 : 0, 2, 4, 8];
    cursor.skip((isSingle ? 0 : 1) + ([0, 1, 2, 4][flags & 3] ?? 0) + (sizes[flags >> 6] ?? 0));
    for (let isLast = false; !isLast; ) {
      const head = (await cursor.take(3)).readUIntLE(0, 3);
      isLast = (head & 1) === 1;
      const kind = (head >> 1) & 3;
      if (kind === 3) throw broken('a block of it is damaged');
      cursor.skip(kind === 1 ? 1 : head >> 3);
    }
    if ((flags & 0x04) !== 0) cursor.skip(4);
  }
  if (frames === 0) throw broken('it holds no frame');
  return 'structure';
}

/**
 * Each stream's header, index and footer with their checksums, and blocks that fill the space between them exactly. The
 * content is not unpacked.
 */
export async function proveXz(bytes: Bytes): Promise<'structure'> {
  let end = bytes.size;
  let streams = 0;
  while (end > 0) {
    const padding = await bytes.at(Math.max(0, end - 4), Math.min(4, end));
    if (streams > 0 && padding.length === 4 && padding.readUInt32LE(0) === 0) {
      end -= 4;
      continue;
    }
    end = await streamBefore(bytes, end);
    streams += 1;
  }
  if (streams === 0) throw broken('it is no xz file');
  return 'structure';
}

/** Where the stream that ends at `end` begins. */
async function streamBefore(bytes: Bytes, end: number): Promise<number> {
  if (end < 32 || (await bytes.at(0, 6)).toString('latin1') !== '\xfd7zXZ\0')
    throw broken(end < 32 ? 'the file is cut short' : 'it is no xz file');
  const footer = await bytes.at(end - 12, 12);
  if (footer.toString('latin1', 10) !== 'YZ') throw broken('the file is cut short');
  if (crc32(footer.subarray(4, 10)) !== footer.readUInt32LE(0)) throw broken('its end is damaged');
  const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
  if (indexBytes > MAX_XZ_INDEX) throw unchecked('its index is too long to be read here');
  const index = await bytes.at(end - 12 - indexBytes, indexBytes);
  if (index[0] !== 0 || crc32(index.subarray(0, -4)) !== index.readUInt32LE(indexBytes - 4))
    throw broken('its index is damaged');
  let at = 1;
  const varint = (): number => {
    let value = 0;
    for (let power = 1; ; power *= 128) {
      const byte = index[at];
      at += 1;
      if (byte === undefined || power > 2 ** 49) throw broken('its index is damaged');
      value += (byte & 0x7f) * power;
      if (byte < 0x80) return value;
    }
  };
  let packed = 0;
  for (let records = varint(); records > 0; records -= 1) {
    packed += Math.ceil(varint() / 4) * 4;
    varint();
  }
  const start = end - 12 - indexBytes - packed - 12;
  const header = await bytes.at(start, 12);
  if (
    header.toString('latin1', 0, 6) !== '\xfd7zXZ\0' ||
    crc32(header.subarray(6, 8)) !== header.readUInt32LE(8)
  )
    throw broken('a stream of it is damaged');
  if (!header.subarray(6, 8).equals(footer.subarray(8, 10))) throw broken('its end is damaged');
  return start;
}
