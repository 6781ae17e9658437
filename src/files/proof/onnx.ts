import type { Neighbour } from './beside.ts';
import { type Bytes, broken } from './bytes.ts';
import { type Cursor, createCursor } from './cursor.ts';

const MAX_DEPTH = 32;
const MAX_FIELDS = 20_000_000;
/** Bits of one value by ONNX's data type, for those whose raw data is plain. */
const BITS: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
};

interface Facts {
  fields: number;
  irVersion: number;
  nodes: number;
  graphs: number;
}

/**
 * The protobuf of a model: its version, a graph with nodes, every field inside of the one around it, tensors whose raw data
 * has the size of their shape, and data in other files: beside this one only, and long enough.
 */
export async function proveOnnx(bytes: Bytes, beside: Neighbour): Promise<'structure'> {
  const facts: Facts = { fields: 0, irVersion: 0, nodes: 0, graphs: 0 };
  const cursor = createCursor(bytes, 0);
  while (!cursor.isAtEnd()) {
    const { field, wire } = await tagOf(cursor, facts);
    if (field === 1 && wire === 0) facts.irVersion = await cursor.varint();
    else if (field === 7 && wire === 2) {
      facts.graphs += 1;
      await walkGraph(bytes, await within(bytes, cursor), facts, beside, 0);
    } else await skipField(cursor, wire);
  }
  if (facts.irVersion < 1 || facts.irVersion > 1000) throw broken('it is no ONNX model');
  if (facts.graphs !== 1 || facts.nodes === 0) throw broken('its graph is missing or empty');
  return 'structure';
}

async function walkGraph(
  bytes: Bytes,
  cursor: Cursor,
  facts: Facts,
  beside: Neighbour,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw broken('its graphs lie too deep in each other');
  while (!cursor.isAtEnd()) {
    const { field, wire } = await tagOf(cursor, facts);
    if (wire !== 2 || (field !== 1 && field !== 5)) await skipField(cursor, wire);
    else if (field === 5) await checkTensor(bytes, await within(bytes, cursor), facts, beside);
    else {
      facts.nodes += 1;
      await walkNode(bytes, await within(bytes, cursor), facts, beside, depth);
    }
  }
}

/** A node's attributes may hold tensors (5, 10) and graphs (6, 11). */
async function walkNode(
  bytes: Bytes,
  cursor: Cursor,
  facts: Facts,
  beside: Neighbour,
  depth: number,
): Promise<void> {
  while (!cursor.isAtEnd()) {
    const { field, wire } = await tagOf(cursor, facts);
    if (field !== 5 || wire !== 2) {
      await skipField(cursor, wire);
      continue;
    }
    const attribute = await within(bytes, cursor);
    while (!attribute.isAtEnd()) {
      const inner = await tagOf(attribute, facts);
      if (inner.wire === 2 && (inner.field === 5 || inner.field === 10))
        await checkTensor(bytes, await within(bytes, attribute), facts, beside);
      else if (inner.wire === 2 && (inner.field === 6 || inner.field === 11))
        await walkGraph(bytes, await within(bytes, attribute), facts, beside, depth + 1);
      else await skipField(attribute, inner.wire);
    }
  }
}

async function checkTensor(
  bytes: Bytes,
  cursor: Cursor,
  facts: Facts,
  beside: Neighbour,
): Promise<void> {
  let values = 1;
  let type = 0;
  let raw: number | undefined;
  let isOutside = false;
  const outside = new Map<string, string>();
  while (!cursor.isAtEnd()) {
    const { field, wire } = await tagOf(cursor, facts);
    if (field === 1 && wire === 0) values *= await cursor.varint();
    else if (field === 1 && wire === 2) {
      const packed = await within(bytes, cursor);
      while (!packed.isAtEnd()) values *= await packed.varint();
    } else if (field === 2 && wire === 0) type = await cursor.varint();
    else if (field === 9 && wire === 2) {
      raw = await cursor.varint();
      cursor.skip(raw);
    } else if (field === 13 && wire === 2) {
      const [key, value] = await pairOf(await within(bytes, cursor), facts);
      if (outside.size < 16) outside.set(key, value);
    } else if (field === 14 && wire === 0) isOutside = (await cursor.varint()) === 1;
    else await skipField(cursor, wire);
  }
  const bits = BITS[type];
  const size = bits === undefined ? undefined : (values * bits) / 8;
  if (isOutside) await checkOutside(outside, size, beside);
  else if (raw !== undefined && raw > 0 && size !== undefined && size !== raw)
    throw broken('a tensor has another size than its shape says');
}

async function checkOutside(
  outside: ReadonlyMap<string, string>,
  size: number | undefined,
  beside: Neighbour,
): Promise<void> {
  const location = outside.get('location') ?? '';
  const parts = location.split('/');
  if (
    location === '' ||
    location.startsWith('/') ||
    /[\\\0:]/.test(location) ||
    parts.includes('..')
  )
    throw broken('it takes tensor data from a path outside of its folder');
  await using there = await beside(location);
  if (there === undefined) throw broken('the file with its tensor data is not beside it');
  const offset = Number(outside.get('offset') ?? '0');
  const length = Number(outside.get('length') ?? String(size ?? 0));
  if (!(offset >= 0 && length >= 0 && offset + length <= there.size))
    throw broken('the file with its tensor data is cut short');
  if (size !== undefined && size !== length)
    throw broken('a tensor has another size than its shape says');
}

async function pairOf(cursor: Cursor, facts: Facts): Promise<readonly [string, string]> {
  const pair = ['', ''];
  while (!cursor.isAtEnd()) {
    const { field, wire } = await tagOf(cursor, facts);
    if (wire !== 2) await skipField(cursor, wire);
    else {
      const length = await cursor.varint();
      if (length > 4096 || length < 0) throw broken('a name in it is damaged');
      const text = (await cursor.take(length)).toString('utf8');
      if (field === 1 || field === 2) pair[field - 1] = text;
    }
  }
  return [pair[0] ?? '', pair[1] ?? ''];
}

async function tagOf(
  cursor: Cursor,
  facts: Facts,
): Promise<{ readonly field: number; readonly wire: number }> {
  facts.fields += 1;
  if (facts.fields > MAX_FIELDS) throw broken('it holds too many fields');
  const tag = await cursor.varint();
  const field = Math.floor(tag / 8);
  if (field < 1) throw broken('it is no ONNX model, or it is damaged');
  return { field, wire: tag % 8 };
}

/** The message under the cursor, as a cursor that ends where it ends. */
async function within(bytes: Bytes, cursor: Cursor): Promise<Cursor> {
  const length = await cursor.varint();
  const start = cursor.position();
  cursor.skip(length);
  return createCursor(bytes, start, start + length);
}

async function skipField(cursor: Cursor, wire: number): Promise<void> {
  if (wire === 0) await cursor.varint();
  else if (wire === 1) cursor.skip(8);
  else if (wire === 2) cursor.skip(await cursor.varint());
  else if (wire === 5) cursor.skip(4);
  else throw broken('it is no ONNX model, or it is damaged');
}
