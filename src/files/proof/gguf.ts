import { type Bytes, broken } from './bytes.ts';

/** Bytes of one value of each metadata type; strings (8) and arrays (9) are read apart. */
const VALUE_BYTES: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const STRING = 8;
const ARRAY = 9;
const MAX_ITEMS = 10_000_000;
const WINDOW = 1 << 20;

/** Magic, version, counts, all metadata and tensor records, and every tensor's start inside the file. */
export async function proveGguf(bytes: Bytes): Promise<'structure'> {
  if ((await bytes.at(0, 4)).toString('latin1') !== 'GGUF') throw broken('it is no GGUF file');
  const cursor = createCursor(bytes, 4);
  const version = await cursor.u32();
  if (version < 2 || version > 3) throw broken('it has an unknown GGUF version');
  const tensors = await cursor.count();
  const pairs = await cursor.count();
  if (tensors === 0) throw broken('it holds no tensor');
  let alignment = 32;
  for (let index = 0; index < pairs; index += 1) {
    const key = await cursor.string();
    const type = await cursor.u32();
    if (key === 'general.alignment' && type === 4) alignment = Math.max(1, await cursor.u32());
    else await skipValue(cursor, type);
  }
  let last = 0;
  for (let index = 0; index < tensors; index += 1) {
    await cursor.string();
    const dimensions = await cursor.u32();
    if (dimensions > 8) throw broken('a tensor record is damaged');
    for (let dimension = 0; dimension < dimensions; dimension += 1) await cursor.u64();
    await cursor.u32();
    last = Math.max(last, await cursor.u64());
  }
  const start = Math.ceil(cursor.position() / alignment) * alignment;
  if (start + last >= bytes.size) throw broken('the file is cut short: tensor data is missing');
  return 'structure';
}

type Cursor = ReturnType<typeof createCursor>;

async function skipValue(cursor: Cursor, type: number): Promise<void> {
  if (type === STRING) {
    await cursor.string();
    return;
  }
  if (type !== ARRAY) {
    cursor.skip(width(type));
    return;
  }
  const inner = await cursor.u32();
  const count = await cursor.count();
  if (inner === ARRAY) throw broken('its metadata is damaged');
  if (inner === STRING) for (let index = 0; index < count; index += 1) await cursor.string();
  else cursor.skip(width(inner) * count);
}

function width(type: number): number {
  const bytes = VALUE_BYTES[type];
  if (bytes === undefined || bytes === 0) throw broken('its metadata is damaged');
  return bytes;
}

/** Reads forward through a window, since a vocabulary is a hundred thousand short strings. */
function createCursor(bytes: Bytes, start: number) {
  let at = start;
  let window: Buffer = Buffer.alloc(0);
  let windowAt = start;
  const take = async (length: number): Promise<Buffer> => {
    if (at < windowAt || at + length > windowAt + window.length) {
      windowAt = at;
      window = await bytes.at(at, Math.max(length, Math.min(WINDOW, bytes.size - at)));
    }
    const part = window.subarray(at - windowAt, at - windowAt + length);
    at += length;
    return part;
  };
  const u64 = async (): Promise<number> => Number((await take(8)).readBigUInt64LE(0));
  return {
    u32: async (): Promise<number> => (await take(4)).readUInt32LE(0),
    u64,
    async count(): Promise<number> {
      const value = await u64();
      if (value > MAX_ITEMS) throw broken('a count in its header is damaged');
      return value;
    },
    async string(): Promise<string> {
      const length = await u64();
      if (length > bytes.size) throw broken('the file is cut short');
      return (await take(length)).toString('utf8');
    },
    skip(length: number): void {
      at += length;
    },
    position: (): number => at,
  };
}
