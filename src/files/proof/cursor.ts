import { type Bytes, broken } from './bytes.ts';

const WINDOW = 64 << 10;
const MAX_TAKEN = 16 << 20;

export interface Cursor {
  take(length: number): Promise<Buffer>;
  u8(): Promise<number>;
  u16(): Promise<number>;
  u32(): Promise<number>;
  u64(): Promise<number>;
  /** A base-128 number of at most ten bytes, as protobuf and thrift write it; -1 for all that are negative. */
  varint(): Promise<number>;
  skip(length: number): void;
  position(): number;
  isAtEnd(): boolean;
}

/** Reads forward through a window, since headers are a hundred thousand short fields; never beyond `end`. */
export function createCursor(bytes: Bytes, start: number, end = bytes.size): Cursor {
  let at = start;
  let windowAt = start;
  let window: Buffer = Buffer.alloc(0);
  const take = async (length: number): Promise<Buffer> => {
    if (at + length > end) throw broken('the file is cut short');
    if (length > MAX_TAKEN) throw broken('a count in its header is damaged');
    if (at < windowAt || at + length > windowAt + window.length) {
      windowAt = at;
      window = await bytes.at(at, Math.max(length, Math.min(WINDOW, end - at)));
    }
    const part = window.subarray(at - windowAt, at - windowAt + length);
    at += length;
    return part;
  };
  /** Beyond 2^53 a number is no longer exact, and no file is that long: damaged either way. */
  const whole = (value: bigint): number => {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken('a number in its header is damaged');
    return Number(value);
  };
  return {
    take,
    u8: async (): Promise<number> => (await take(1)).readUInt8(0),
    u16: async (): Promise<number> => (await take(2)).readUInt16LE(0),
    u32: async (): Promise<number> => (await take(4)).readUInt32LE(0),
    u64: async (): Promise<number> => whole((await take(8)).readBigUInt64LE(0)),
    async varint(): Promise<number> {
      let value = 0n;
      for (let shift = 0n; shift < 70n; shift += 7n) {
        const byte = (await take(1)).readUInt8(0);
        value |= BigInt(byte & 0x7f) << shift;
        // Negative numbers are 64 bits wide; nobody here needs their value.
        if (byte < 0x80) return value >= 1n << 63n ? -1 : whole(value);
      }
      throw broken('a number in its header is damaged');
    },
    skip(length: number): void {
      if (length < 0 || at + length > end) throw broken('the file is cut short');
      at += length;
    },
    position: (): number => at,
    isAtEnd: (): boolean => at >= end,
  };
}
