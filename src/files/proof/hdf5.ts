import { type Bytes, broken, unchecked } from './bytes.ts';

const SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
const MAX_HEADER_CHUNK = 16 << 20;

interface Superblock {
  /** Where addresses count from. The end alone counts from the start of the file. */
  readonly base: number;
  readonly end: number;
  readonly root: number;
  /** Addresses of the root group's tree and heap, where the superblock tells them. */
  readonly cached: readonly number[];
}

/**
 * The superblock (versions 0 to 3), the end of file it tells, and the header of the root group; checksums where the
 * version has them. Datasets are not opened. What was not closed by its writer is refused.
 */
export async function proveHdf5(bytes: Bytes): Promise<'structure'> {
  const start = await findSignature(bytes);
  const version = (await bytes.at(start + 8, 1)).readUInt8(0);
  if (version > 3) throw unchecked('it has a newer superblock');
  const block = version < 2 ? await oldBlock(bytes, start, version) : await newBlock(bytes, start);
  if (block.end > bytes.size) throw broken('the file is cut short');
  await checkRoot(bytes, block);
  for (const [index, address] of block.cached.entries())
    if ((await bytes.at(block.base + address, 4)).toString('latin1') !== ['TREE', 'HEAP'][index])
      throw broken('its root group is damaged');
  return 'structure';
}

/** At 0, or behind a block of the user at 512, 1024, 2048 and so on. */
async function findSignature(bytes: Bytes): Promise<number> {
  for (let at = 0; at + 9 <= bytes.size; at = at === 0 ? 512 : at * 2)
    if ((await bytes.at(at, 8)).equals(SIGNATURE)) return at;
  throw broken('it is no HDF5 file');
}

async function oldBlock(bytes: Bytes, start: number, version: number): Promise<Superblock> {
  const head = await bytes.at(start, 24);
  const width = widthOf(head.readUInt8(13));
  const first = start + (version === 1 ? 28 : 24);
  // Base, free space, end, driver; then the root entry: name, header, kind of what is cached, reserved, two addresses.
  const fields = await bytes.at(first, width * 6 + 8 + 16);
  const base = address(fields, 0, width);
  const kind = fields.readUInt32LE(width * 6);
  const scratch = width * 6 + 8;
  return {
    base,
    end: address(fields, width * 2, width),
    root: address(fields, width * 5, width),
    cached:
      kind === 1 && width === 8
        ? [address(fields, scratch, width), address(fields, scratch + width, width)]
        : [],
  };
}

async function newBlock(bytes: Bytes, start: number): Promise<Superblock> {
  const head = await bytes.at(start, 12);
  const width = widthOf(head.readUInt8(9));
  if ((head.readUInt8(11) & 1) === 1) throw broken('its writer did not close it');
  const all = await bytes.at(start, 12 + width * 4 + 4);
  if (all.readUInt32LE(12 + width * 4) !== lookup3(all.subarray(0, 12 + width * 4)))
    throw broken('its superblock is damaged');
  return {
    base: address(all, 12, width),
    end: address(all, 12 + width * 2, width),
    root: address(all, 12 + width * 3, width),
    cached: [],
  };
}

async function checkRoot(bytes: Bytes, { base, root }: Superblock): Promise<void> {
  const at = base + root;
  const head = await bytes.at(at, 16);
  if (head.toString('latin1', 0, 4) !== 'OHDR') {
    // Version 1: messages that fill the block, each with a size.
    const size = head.readUInt32LE(8);
    if (head[0] !== 1 || size > MAX_HEADER_CHUNK) throw broken('its root group is damaged');
    const block = await bytes.at(at + 16, size);
    let next = 0;
    while (next + 8 <= size) next += 8 + block.readUInt16LE(next + 2);
    if (next > size) throw broken('its root group is damaged');
    return;
  }
  const flags = head.readUInt8(5);
  const sizeAt = 6 + ((flags & 0x20) === 0 ? 0 : 16) + ((flags & 0x10) === 0 ? 0 : 4);
  const width = 1 << (flags & 3);
  const size = Number(
    width === 8
      ? (await bytes.at(at + sizeAt, 8)).readBigUInt64LE(0)
      : (await bytes.at(at + sizeAt, width)).readUIntLE(0, width),
  );
  if (size > MAX_HEADER_CHUNK) throw broken('its root group is damaged');
  const block = await bytes.at(at, sizeAt + width + size + 4);
  if (block.readUInt32LE(block.length - 4) !== lookup3(block.subarray(0, -4)))
    throw broken('its root group is damaged');
}

function widthOf(width: number): 2 | 4 | 8 {
  if (width === 2 || width === 4 || width === 8) return width;
  throw broken('its superblock is damaged');
}

function address(buffer: Buffer, at: number, width: 2 | 4 | 8): number {
  const value = width === 8 ? Number(buffer.readBigUInt64LE(at)) : buffer.readUIntLE(at, width);
  if (!Number.isSafeInteger(value)) throw broken('an address in it is damaged');
  return value;
}

/** Jenkins' lookup3 with 0 as its start, the checksum of HDF5's metadata. */
export function lookup3(data: Buffer): number {
  let a = (0xdeadbeef + data.length) | 0;
  let b = a;
  let c = a;
  const rot = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  const word = (at: number): number => {
    let value = 0;
    for (let byte = 0; byte < 4; byte += 1) value |= (data[at + byte] ?? 0) << (8 * byte);
    return value;
  };
  let at = 0;
  for (; data.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    a = ((a - c) ^ rot(c, 4)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rot(a, 6)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rot(b, 8)) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ rot(c, 16)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ rot(a, 19)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ rot(b, 4)) | 0;
    b = (b + a) | 0;
  }
  if (data.length === at) return c >>> 0;
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  c = ((c ^ b) - rot(b, 14)) | 0;
  a = ((a ^ c) - rot(c, 11)) | 0;
  b = ((b ^ a) - rot(a, 25)) | 0;
  c = ((c ^ b) - rot(b, 16)) | 0;
  a = ((a ^ c) - rot(c, 4)) | 0;
  b = ((b ^ a) - rot(a, 14)) | 0;
  c = ((c ^ b) - rot(b, 24)) | 0;
  return c >>> 0;
}
