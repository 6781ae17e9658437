import { type Bytes, broken } from './bytes.ts';
import { type Cursor, createCursor } from './cursor.ts';

/** Bytes of one value of each metadata type; strings (8) and arrays (9) are read apart. */
const VALUE_BYTES: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const STRING = 8;
const ARRAY = 9;
const MAX_ITEMS = 10_000_000;
const MAX_NAME_BYTES = 64 << 10;
const MAX_ALIGNMENT = 1 << 20;

/** By tensor type: values in a block, and bytes of a block. */
const BLOCKS: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  16: [256, 66],
  17: [256, 74],
  18: [256, 98],
  19: [256, 50],
  20: [32, 18],
  21: [256, 110],
  22: [256, 82],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  29: [256, 56],
  30: [1, 2],
};

/** Magic, version, counts, all metadata and tensor records, and every tensor's bytes inside the file. */
export async function proveGguf(bytes: Bytes): Promise<'structure'> {
  if ((await bytes.at(0, 4)).toString('latin1') !== 'GGUF') throw broken('it is no GGUF file');
  const cursor = createCursor(bytes, 4);
  const version = await cursor.u32();
  if (version < 2 || version > 3) throw broken('it has an unknown GGUF version');
  const tensors = await countOf(cursor);
  const pairs = await countOf(cursor);
  if (tensors === 0) throw broken('it holds no tensor');
  let alignment = 32;
  for (let index = 0; index < pairs; index += 1) {
    const key = await nameOf(cursor);
    const type = await cursor.u32();
    if (key === 'general.alignment' && type === 4) alignment = await cursor.u32();
    else await skipValue(cursor, type);
  }
  if (alignment < 1 || alignment > MAX_ALIGNMENT) throw broken('its metadata is damaged');
  let needed = 0;
  for (let index = 0; index < tensors; index += 1)
    needed = Math.max(needed, await endOfTensor(cursor, alignment));
  const start = Math.ceil(cursor.position() / alignment) * alignment;
  if (start + needed > bytes.size) throw broken('the file is cut short: tensor data is missing');
  return 'structure';
}

/** Where the data of the tensor under the cursor ends, from the start of all data. */
async function endOfTensor(cursor: Cursor, alignment: number): Promise<number> {
  await nameOf(cursor);
  const dimensions = await cursor.u32();
  if (dimensions > 8) throw broken('a tensor record is damaged');
  let values = 1;
  for (let dimension = 0; dimension < dimensions; dimension += 1) values *= await cursor.u64();
  const block = BLOCKS[await cursor.u32()];
  const offset = await cursor.u64();
  if (offset % alignment !== 0) throw broken('a tensor record is damaged');
  // A newer type has a size that is not known here; it has at least one byte.
  if (block === undefined) return offset + 1;
  return offset + Math.ceil(values / block[0]) * block[1];
}

async function countOf(cursor: Cursor): Promise<number> {
  const value = await cursor.u64();
  if (value > MAX_ITEMS) throw broken('a count in its header is damaged');
  return value;
}

async function nameOf(cursor: Cursor): Promise<string> {
  const length = await cursor.u64();
  if (length > MAX_NAME_BYTES) throw broken('a name in its header is damaged');
  return (await cursor.take(length)).toString('utf8');
}

async function skipValue(cursor: Cursor, type: number): Promise<void> {
  if (type === STRING) {
    cursor.skip(await cursor.u64());
    return;
  }
  if (type !== ARRAY) {
    cursor.skip(width(type));
    return;
  }
  const inner = await cursor.u32();
  const count = await countOf(cursor);
  if (inner === ARRAY) throw broken('its metadata is damaged');
  if (inner !== STRING) cursor.skip(width(inner) * count);
  else for (let index = 0; index < count; index += 1) cursor.skip(await cursor.u64());
}

function width(type: number): number {
  const bytes = VALUE_BYTES[type];
  if (bytes === undefined || bytes === 0) throw broken('its metadata is damaged');
  return bytes;
}
