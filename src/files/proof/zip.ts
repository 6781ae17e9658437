import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import { type Bytes, broken, drain, unchecked } from './bytes.ts';

export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
}

const MAX_ENTRIES = 200_000;
const MAX_DIRECTORY_BYTES = 32 << 20;
/** Deflate packs a thousand to one at most; what says more lies. */
const MAX_RATIO = 1100;
/** Beyond this much, content that packed a hundred to one is no result of a training. */
const BOMB_BYTES = 1 << 30;
const BOMB_RATIO = 100;
const BOMB = 'it unpacks to so much that it looks like a bomb';

/** Throws `Broken` when so many bytes out of so few are a bomb. */
export function refuseBomb(bytes: number, packedBytes: number): void {
  if (bytes > BOMB_BYTES && bytes > packedBytes * BOMB_RATIO) throw broken(BOMB);
}

/** The central directory, checked for escapes, duplicates and bombs. */
export async function readZip(bytes: Bytes): Promise<readonly ZipEntry[]> {
  const { start, size, count } = await findDirectory(bytes);
  if (count * 46 > size || start + size > bytes.size)
    throw broken('the archive directory is damaged');
  if (count > MAX_ENTRIES || size > MAX_DIRECTORY_BYTES)
    throw unchecked('the archive lists too many files to be read here');
  const directory = await bytes.at(start, size);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let at = 0;
  while (entries.length < count) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
      throw broken('the archive directory is damaged');
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (next > directory.length) throw broken('the archive directory is damaged');
    const entry = wide(
      {
        name: directory.toString('utf8', at + 46, at + 46 + nameLength),
        method: directory.readUInt16LE(at + 10),
        crc: directory.readUInt32LE(at + 16),
        packedBytes: directory.readUInt32LE(at + 20),
        bytes: directory.readUInt32LE(at + 24),
        offset: directory.readUInt32LE(at + 42),
      },
      directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength),
    );
    if (escapes(entry.name)) throw broken('the archive holds a path that leads out of it');
    if (names.has(entry.name)) throw broken('the archive holds one name twice');
    if (entry.bytes > entry.packedBytes * MAX_RATIO + 1024) throw broken(BOMB);
    names.add(entry.name);
    entries.push(entry);
    at = next;
  }
  refuseBomb(
    entries.reduce((sum, entry) => sum + entry.bytes, 0),
    bytes.size,
  );
  let taken = 0;
  for (const { offset, packedBytes } of entries.toSorted((a, b) => a.offset - b.offset)) {
    // Members that share bytes are how a small archive holds more than all disks.
    if (offset < taken) throw broken('members of the archive overlap');
    taken = offset + 30 + packedBytes;
  }
  if (taken > start) throw broken('members of the archive overlap its directory');
  return entries;
}

/** The unpacked bytes of one entry; throws `Broken` when size or CRC differ. */
export async function* readZipEntry(
  bytes: Bytes,
  entry: ZipEntry,
): AsyncGenerator<Buffer, void, undefined> {
  const local = await bytes.at(entry.offset, 30);
  if (local.readUInt32LE(0) !== 0x04034b50) throw broken('an archive member is missing');
  const start = entry.offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (start + entry.packedBytes > bytes.size) throw broken('the file is cut short');
  const packed = bytes.chunks(start, start + entry.packedBytes);
  let crc = 0;
  let count = 0;
  for await (const chunk of unpack(packed, entry.method)) {
    count += chunk.length;
    if (count > entry.bytes) break;
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (count !== entry.bytes || crc !== entry.crc) throw broken('an archive member is damaged');
}

export async function proveZip(bytes: Bytes): Promise<'loaded'> {
  const entries = await readZip(bytes);
  if (entries.length === 0) throw broken('the archive is empty');
  for (const entry of entries) await drain(readZipEntry(bytes, entry));
  return 'loaded';
}

async function* unpack(
  packed: AsyncIterable<Buffer>,
  method: number,
): AsyncGenerator<Buffer, void, undefined> {
  if (method === 0) {
    yield* packed;
    return;
  }
  if (method !== 8) throw unchecked('an archive member is packed in a way that is not opened here');
  const inflate = createInflateRaw({ chunkSize: 256 << 10 });
  const source = Readable.from(packed);
  source.on('error', (thrown) => inflate.destroy(thrown));
  source.pipe(inflate);
  try {
    for await (const chunk of inflate) if (Buffer.isBuffer(chunk)) yield chunk;
  } catch {
    throw broken('an archive member is damaged');
  } finally {
    source.destroy();
  }
}

async function findDirectory(
  bytes: Bytes,
): Promise<{ readonly start: number; readonly size: number; readonly count: number }> {
  const tailBytes = Math.min(bytes.size, 65_557);
  const tail = await bytes.at(bytes.size - tailBytes, tailBytes);
  const at = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (at < 0 || at + 22 > tail.length) throw broken('the archive has no end: it is cut short');
  const count = tail.readUInt16LE(at + 10);
  const size = tail.readUInt32LE(at + 12);
  const start = tail.readUInt32LE(at + 16);
  if (count !== 0xffff && size !== 0xffffffff && start !== 0xffffffff)
    return { start, size, count };
  const locator = bytes.size - tailBytes + at - 20;
  const pointer = await bytes.at(locator, 20);
  if (pointer.readUInt32LE(0) !== 0x07064b50) return { start, size, count };
  const record = await bytes.at(Number(pointer.readBigUInt64LE(8)), 56);
  if (record.readUInt32LE(0) !== 0x06064b50) throw broken('the archive directory is damaged');
  return {
    count: Number(record.readBigUInt64LE(32)),
    size: Number(record.readBigUInt64LE(40)),
    start: Number(record.readBigUInt64LE(48)),
  };
}

/** Zip64: fields that do not fit lie in the extra field, in this order. */
function wide(entry: ZipEntry, extra: Buffer): ZipEntry {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    const fields = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    let next = 0;
    const take = (value: number): number => {
      if (value !== 0xffffffff) return value;
      if (next + 8 > fields.length) throw broken('the archive directory is damaged');
      next += 8;
      return Number(fields.readBigUInt64LE(next - 8));
    };
    const bytes = take(entry.bytes);
    const packedBytes = take(entry.packedBytes);
    return { ...entry, bytes, packedBytes, offset: take(entry.offset) };
  }
  return entry;
}

function escapes(name: string): boolean {
  return (
    name === '' ||
    name.startsWith('/') ||
    name.includes('\\') ||
    name.includes('\0') ||
    name.split('/').includes('..')
  );
}
