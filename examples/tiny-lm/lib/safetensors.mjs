import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';

const TYPES = { F32: Float32Array, I32: Int32Array };

/**
 * A safetensors file: 8 bytes of header length (little endian), the header as JSON, then the raw tensors.
 * `tensors`: name -> { shape, data }; `metadata`: string -> string.
 */
export function encodeSafetensors(tensors, metadata) {
  const header = { __metadata__: metadata };
  const parts = [];
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = data instanceof Int32Array ? 'I32' : 'F32';
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  // Tensors start at a multiple of 8; the format allows trailing spaces for that.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...parts]);
}

/** The reverse. Throws for a file that is cut short or does not add up. */
export function decodeSafetensors(bytes) {
  if (bytes.length < 8) throw new Error('not a safetensors file: shorter than its length field');
  const length = Number(bytes.readBigUInt64LE(0));
  if (length > bytes.length - 8) throw new Error('not a safetensors file: header is cut short');
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(
    bytes.subarray(8, 8 + length).toString('utf8'),
  );
  const body = bytes.subarray(8 + length);
  let end = 0;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const Type = TYPES[dtype];
    const [from, to] = data_offsets;
    if (!Type || to > body.length || to - from !== 4 * shape.reduce((a, b) => a * b, 1))
      throw new Error(`not a safetensors file: tensor ${name} does not add up`);
    const copy = new Uint8Array(body.subarray(from, to));
    tensors[name] = { shape, data: new Type(copy.buffer) };
    end = Math.max(end, to);
  }
  if (end !== body.length) throw new Error('not a safetensors file: bytes left over');
  return { tensors, metadata };
}

export function readSafetensors(file) {
  return decodeSafetensors(readFileSync(file));
}

/** Temporary file, flush, rename, flush of the folder: after a crash there is the old file or the new one, never half. */
export function writeAtomic(file, bytes) {
  const temporary = `${file}.tmp`;
  const handle = openSync(temporary, 'w');
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
  const folder = openSync(path.dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
