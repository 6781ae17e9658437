import { createHash, type Hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { LateHash } from './late-hash.ts';
import { SMALL_BYTES } from './local-hash.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { LocalFile } from './walk.ts';

const BLOCK = 512;
const CHUNK = 1 << 20;
/** Small files are joined, so that a tree of ten thousand is not ten thousand writes. */
const JOIN_BYTES = 256 << 10;
/** No hash of anything. */
const CHANGED = 'changed';

/**
 * The files as members of a GNU tar stream without its end (long names as `L` records, raw UTF-8, which busybox reads too), with `sent` told the
 * sha256 of the bytes that really went out. A file that changed since it was found goes out as zeros, or cut or padded, and
 * its hash then differs from the planned one; one without a planned hash is read by `late`.
 */
export async function* packFiles(
  files: readonly PlannedFile[],
  sent: (path: string, sha256: string) => void,
  { late, signal }: { readonly late: Pick<LateHash, 'read'>; readonly signal: AbortSignal },
): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  for (const file of files) {
    signal.throwIfAborted();
    parts.push(...headersOf(file));
    size += BLOCK;
    if (file.sha256 === '' || file.bytes <= SMALL_BYTES) {
      const { content, sha256 } = wholeOf(file, late);
      parts.push(content);
      size += content.length;
      sent(file.path, sha256);
    } else {
      const hash = createHash('sha256');
      for await (const chunk of contentOf(file, hash, signal)) {
        parts.push(chunk);
        yield Buffer.concat(parts);
        parts = [];
        size = 0;
      }
      sent(file.path, hash.digest('hex'));
    }
    parts.push(paddingOf(file.bytes));
    if (size >= JOIN_BYTES) {
      yield Buffer.concat(parts);
      parts = [];
      size = 0;
    }
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

/** A member of our own; `name` is short. */
export function packText(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const head = header({
    name: Buffer.from(name),
    mode: 0o600,
    bytes: content.length,
    seconds: 0,
    type: '0',
  });
  return Buffer.concat([head, content, paddingOf(content.length)]);
}

/** Ends the stream. */
export const END_OF_TAR = Buffer.alloc(2 * BLOCK);

/** What nobody has looked through stays at home. */
function wholeOf(
  file: PlannedFile,
  late: Pick<LateHash, 'read'>,
): { readonly content: Buffer; readonly sha256: string } {
  if (file.sha256 === '') {
    const { content, sha256 } = late.read(file);
    return sha256 === undefined ? changed(file) : { content, sha256 };
  }
  const content = readFileSync(file.absolute);
  const sha256 = createHash('sha256').update(content).digest('hex');
  return sha256 === file.sha256 ? { content, sha256 } : changed(file);
}

function changed({ bytes }: LocalFile): { readonly content: Buffer; readonly sha256: string } {
  return { content: Buffer.alloc(bytes), sha256: CHANGED };
}

async function* contentOf(
  file: LocalFile,
  hash: Hash,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  let left = file.bytes;
  await using handle = await open(file.absolute, 'r');
  while (left > 0) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    const chunk = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
    left -= chunk.length;
    hash.update(chunk);
    yield chunk;
  }
}

/** The time of last change that the file has on the pod. */
export function sentSeconds(file: LocalFile): number {
  return Math.max(0, Number(file.stats.mtimeNs / 1_000_000_000n));
}

function headersOf(file: LocalFile): readonly Buffer[] {
  const name = Buffer.from(`./${file.path}`);
  const own = header({
    name,
    mode: file.executable ? 0o755 : 0o644,
    bytes: file.bytes,
    seconds: sentSeconds(file),
    type: '0',
  });
  if (name.length < 100) return [own];
  const long = Buffer.concat([name, Buffer.alloc(1)]);
  return [
    header({
      name: Buffer.from('././@LongLink'),
      mode: 0o644,
      bytes: long.length,
      seconds: 0,
      type: 'L',
    }),
    long,
    paddingOf(long.length),
    own,
  ];
}

function header(entry: {
  readonly name: Buffer;
  readonly mode: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly type: '0' | 'L';
}): Buffer {
  const block = Buffer.alloc(BLOCK);
  entry.name.copy(block, 0, 0, Math.min(entry.name.length, 99));
  block.write(octal(entry.mode, 7), 100, 'latin1');
  block.write(octal(0, 7), 108, 'latin1');
  block.write(octal(0, 7), 116, 'latin1');
  writeSize(block, entry.bytes);
  block.write(octal(entry.seconds, 11), 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(entry.type, 156, 'latin1');
  block.write('ustar  \0', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Eleven octal digits hold 8 GiB; above, GNU's binary form. */
function writeSize(block: Buffer, bytes: number): void {
  if (bytes < 8 ** 11) {
    block.write(octal(bytes, 11), 124, 'latin1');
    return;
  }
  block.writeUInt8(0x80, 124);
  block.writeBigUInt64BE(BigInt(bytes), 128);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function paddingOf(bytes: number): Buffer {
  return Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);
}
