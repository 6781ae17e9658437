import { z } from 'zod';
import type { Proof } from '../../core/files.ts';
import { type Bytes, broken, unchecked } from './bytes.ts';
import { checkFinite } from './floats.ts';

const MAX_HEADER_BYTES = 100_000_000;
/** Eighty thousand tensors; a longer header is allowed but takes too much memory to be read. */
const MAX_PARSED_BYTES = 8 << 20;
const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
};
const tensorSchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());

export interface Tensor extends z.output<typeof tensorSchema> {
  readonly name: string;
}

/** The tensors of a header, and where their data begins. Throws `Broken` or `Unchecked`. */
export async function readSafetensors(
  bytes: Bytes,
): Promise<{ readonly base: number; readonly tensors: readonly Tensor[] }> {
  const length = (await bytes.at(0, 8)).readBigUInt64LE();
  if (length < 2n || length > BigInt(MAX_HEADER_BYTES) || length + 8n > BigInt(bytes.size))
    throw broken('its header is longer than the file or than is allowed');
  if (length > BigInt(MAX_PARSED_BYTES)) throw unchecked('its header is too long to be read here');
  const header = await bytes.at(8, Number(length));
  refuseNesting(header);
  return { base: 8 + Number(length), tensors: readHeader(header.toString('utf8')) };
}

/** Header, spans that meet without gap or overlap up to the last byte, at least one tensor, every float finite. */
export async function proveSafetensors(
  bytes: Bytes,
  limit: Proof = 'loaded',
): Promise<'structure' | 'loaded'> {
  const { base, tensors } = await readSafetensors(bytes);
  if (tensors.length === 0) throw broken('it holds no tensor');
  let expected = 0;
  for (const { dtype, shape, data_offsets } of tensors.toSorted(
    (a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  )) {
    const [start, end] = data_offsets;
    const bits = Object.hasOwn(BITS, dtype) ? BITS[dtype] : undefined;
    if (bits === undefined) throw broken('a tensor has an unknown type');
    if (start !== expected || end < start) throw broken('tensors overlap or leave a gap');
    if ((shape.reduce((product, size) => product * size, 1) * bits) / 8 !== end - start)
      throw broken('a tensor has another size than its shape says');
    expected = end;
  }
  if (base + expected !== bytes.size)
    throw broken(
      base + expected > bytes.size ? 'the file is cut short' : 'bytes follow the last tensor',
    );
  if (limit === 'structure') return 'structure';
  for (const [index, { name, dtype, data_offsets }] of tensors.entries())
    await checkFinite(dtype, bytes.chunks(base + data_offsets[0], base + data_offsets[1]), () =>
      broken(
        `tensor ${wordOf(name, index)} holds NaN or infinity. If it may (a mask), fetch again with verify "structure"`,
      ),
    );
  return 'loaded';
}

/** A header is an object of objects with two short lists each; anything else would fill the memory when it is parsed. */
function refuseNesting(header: Buffer): void {
  let depth = 0;
  let objects = 0;
  let lists = 0;
  let isText = false;
  for (let at = 0; at < header.length; at += 1) {
    const byte = header[at];
    if (byte === 0x5c) at += 1;
    else if (byte === 0x22) isText = !isText;
    else if (isText) continue;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (byte === 0x7b) objects += 1;
      else lists += 1;
      if (depth > 3 || lists > objects * 2) throw broken('its header is not what safetensors says');
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
}

/** A name out of the file only when it cannot be taken for words; else its place in the header. */
function wordOf(name: string, index: number): string {
  return /^[\w.-]{1,100}$/.test(name) ? name : `number ${index + 1}`;
}

function readHeader(text: string): readonly Tensor[] {
  try {
    const entries = Object.entries(headerSchema.parse(JSON.parse(text)));
    return entries
      .filter(([name]) => name !== '__metadata__')
      .map(([name, tensor]) => ({ name, ...tensorSchema.parse(tensor) }));
  } catch {
    throw broken('its header is not what safetensors says');
  }
}
