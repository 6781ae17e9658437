import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** What is wrong with a file, in our own words: never text out of the file. */
export class Broken extends Error {}

export function broken(why: string): Broken {
  return new Broken(why);
}

/** What cannot be judged here, though nothing is known to be wrong: the file stays at `hash`. */
export class Unchecked extends Error {}

export function unchecked(why: string): Unchecked {
  return new Unchecked(why);
}

/** A file, read in pieces; nothing here loads a whole checkpoint into memory. */
export interface Bytes extends AsyncDisposable {
  readonly size: number;
  /** Exactly `length` bytes; throws `Broken` when the file ends before. */
  at(offset: number, length: number): Promise<Buffer>;
  /** The bytes from `start` to before `end`, in chunks of at most 256 KiB that are multiples of 16 but for the last. */
  chunks(start?: number, end?: number): AsyncGenerator<Buffer, void, undefined>;
}

const CHUNK = 256 << 10;
/** More than this is never wanted at once; a header that asks for it lies. */
const MAX_AT_ONCE = 32 << 20;

/** Below this one synchronous read is many times cheaper than five turns of the thread pool. */
const SMALL_BYTES = 128 << 10;

export async function openBytes(file: string, signal: AbortSignal): Promise<Bytes> {
  if (statSync(file).size <= SMALL_BYTES) return bytesOf(readFileSync(file));
  const handle = await open(file, 'r');
  const { size } = await handle.stat();
  const read = async (offset: number, length: number): Promise<Buffer> => {
    signal.throwIfAborted();
    if (offset < 0 || length < 0 || offset + length > size) throw broken('the file is cut short');
    if (length > MAX_AT_ONCE) throw broken('a header asks for more than is sane');
    const buffer = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(buffer, done, length - done, offset + done);
      if (bytesRead === 0) throw broken('the file is cut short');
      done += bytesRead;
    }
    return buffer;
  };
  return {
    size,
    at: read,
    async *chunks(start = 0, end = size) {
      for (let at = start; at < end; at += CHUNK) yield await read(at, Math.min(CHUNK, end - at));
    },
    async [Symbol.asyncDispose]() {
      await handle.close();
    },
  };
}

function bytesOf(content: Buffer): Bytes {
  const size = content.length;
  return {
    size,
    async at(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size) throw broken('the file is cut short');
      return Promise.resolve(Buffer.from(content.subarray(offset, offset + length)));
    },
    async *chunks(start = 0, end = size) {
      if (end > size) throw broken('the file is cut short');
      if (start < end) yield await Promise.resolve(content.subarray(start, end));
    },
    async [Symbol.asyncDispose]() {
      return Promise.resolve();
    },
  };
}

/** Reads to the end; for checks that happen on the way. */
export async function drain(chunks: AsyncGenerator<Buffer, void, undefined>): Promise<void> {
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next());
}
