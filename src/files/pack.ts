import { createHash, type Hash, hash } from 'node:crypto';
import { type LateHash, readInto } from './late-hash.ts';
import { SMALL_BYTES } from './local-hash.ts';
import { goneIsNothing, openFile } from './open-local.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { UsedAgain } from './used-again.ts';
import type { LocalFile } from './walk.ts';

const BLOCK = 512;
const CHUNK = 1 << 20;
/** What small files are read into: memory of its own for each would cost more than reading it. */
export const SLAB_BYTES = 512 << 10;
/** No hash of anything. */
const CHANGED = 'changed';

interface Packing {
  readonly late: Pick<LateHash, 'read'>;
  /** Of `SLAB_BYTES` each. */
  readonly memory: Pick<UsedAgain, 'next' | 'lend'>;
  readonly signal: AbortSignal;
}

/**
 * The files as members of a GNU tar stream without its end (long names as `L` records, raw UTF-8, which busybox reads too), with `sent` told the
 * sha256 of the bytes that really went out. A file that changed or went since it was found goes out as zeros, or cut or
 * padded, and its hash then differs from the planned one; one without a planned hash is read by `late`.
 */
export async function* packFiles(
  files: readonly PlannedFile[],
  sent: (path: string, sha256: string) => void,
  { late, memory, signal }: Packing,
): AsyncGenerator<Buffer, void, undefined> {
  const isWhole = (file: PlannedFile): boolean => file.sha256 === '' || file.bytes <= SMALL_BYTES;
  // Of what was in this memory before, nothing is handed on: every byte of it is written.
  let slab: Buffer | undefined;
  let at = 0;
  const full = function* (): Generator<Buffer, void, undefined> {
    if (slab === undefined) return;
    if (slab.length === SLAB_BYTES) memory.lend(slab, at);
    yield slab.subarray(0, at);
    slab = undefined;
    at = 0;
  };
  for (const file of files) {
    signal.throwIfAborted();
    const whole = isWhole(file);
    const room = roomFor(file, whole);
    if (slab !== undefined && at + room > slab.length) yield* full();
    slab ??= room <= SLAB_BYTES ? memory.next() : Buffer.allocUnsafeSlow(room);
    at = writeHeaders(slab, at, file);
    if (whole) {
      sent(file.path, readWhole(file, slab.subarray(at, at + file.bytes + 1), late));
      at += file.bytes;
      slab.fill(0, at, at + paddingBytes(file.bytes));
      at += paddingBytes(file.bytes);
    } else {
      yield* full();
      const hash = createHash('sha256');
      yield* contentOf(file, hash, signal);
      sent(file.path, hash.digest('hex'));
      const padding = paddingBytes(file.bytes);
      if (padding > 0) yield Buffer.alloc(padding);
    }
  }
  yield* full();
}

/** A member of our own; `name` is short. */
export function packText(name: string, text: string): Buffer {
  const content = Buffer.from(text);
  const member = Buffer.alloc(BLOCK + content.length + paddingBytes(content.length));
  const entry = {
    mode: 0o600,
    bytes: content.length,
    seconds: 0,
    type: '0',
  } as const;
  writeHeader(member, 0, { ...entry, name });
  content.copy(member, BLOCK);
  return member;
}

/** Ends the stream. */
export const END_OF_TAR = Buffer.alloc(2 * BLOCK);

/**
 * The content into `room`, which has a byte more than that: answers its hash. What nobody has looked through, or is no
 * longer what was planned, stays at home.
 */
function readWhole(file: PlannedFile, room: Buffer, late: Pick<LateHash, 'read'>): string {
  const isLate = file.sha256 === '';
  try {
    const { content, sha256 } = isLate ? late.read(file, room) : hashInto(file, room);
    const isPlanned = content.length === file.bytes && (isLate || sha256 === file.sha256);
    if (isPlanned && sha256 !== undefined) return sha256;
  } catch (failure) {
    goneIsNothing(failure);
  }
  room.fill(0);
  return CHANGED;
}

function hashInto(
  file: PlannedFile,
  room: Buffer,
): { readonly content: Buffer; readonly sha256: string } {
  const { content: all } = readInto(file.absolute, room);
  const content = file.mayHaveGrown === true ? all.subarray(0, file.bytes) : all;
  return {
    content,
    sha256: hash('sha256', content, 'hex'),
  };
}

async function* contentOf(
  file: LocalFile,
  hash: Hash,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  let left = file.bytes;
  await using handle = await openFile(file.absolute).catch(goneIsNothing);
  while (left > 0) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
    const read = await handle?.read(buffer, 0, buffer.length, null);
    const bytesRead = read?.bytesRead ?? 0;
    const chunk = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
    left -= chunk.length;
    hash.update(chunk);
    yield chunk;
  }
}

/** The time of last change that the file has on the pod. */
export function sentSeconds(file: LocalFile): number {
  return file.modifiedSeconds;
}

/** What a file takes of a slab, at most; a byte more than it has shows that it grew. */
function roomFor(file: LocalFile, whole: boolean): number {
  return 5 * BLOCK + 4 * file.path.length + (whole ? file.bytes + 1 : 0);
}

/** Answers where the content begins. */
function writeHeaders(slab: Buffer, at: number, file: LocalFile): number {
  const name = `./${file.path}`;
  const nameBytes = Buffer.byteLength(name);
  let end = at;
  if (nameBytes > MOST_NAME_BYTES) {
    const bytes = nameBytes + 1;
    end = writeHeader(slab, end, { ...LONG_NAME, bytes });
    slab.fill(0, end, end + bytes + paddingBytes(bytes));
    slab.write(name, end);
    end += bytes + paddingBytes(bytes);
  }
  return writeHeader(slab, end, {
    name,
    mode: file.executable ? 0o755 : 0o644,
    bytes: file.bytes,
    seconds: sentSeconds(file),
    type: '0',
  });
}

const MOST_NAME_BYTES = 99;
const LONG_NAME = { name: '././@LongLink', mode: 0o644, seconds: 0, type: 'L' } as const;
const AT = { mode: 100, size: 124, seconds: 136, sum: 148, type: 156 } as const;
const ZERO = '0'.charCodeAt(0);
/** What all headers have: no owner, and spaces where the sum will stand. */
const SAME = Buffer.alloc(BLOCK);
SAME.write('0000000', 108, 'latin1');
SAME.write('0000000', 116, 'latin1');
SAME.write('        ', AT.sum, 'latin1');
SAME.write('ustar  ', 257, 'latin1');
const SUM_OF_SAME = SAME.reduce((sum, byte) => sum + byte, 0);

/** Of a name that is too long, as much as fits: the long one stands before it. */
function writeHeader(
  slab: Buffer,
  at: number,
  entry: {
    readonly name: string;
    readonly mode: number;
    readonly bytes: number;
    readonly seconds: number;
    readonly type: '0' | 'L';
  },
): number {
  SAME.copy(slab, at);
  slab.write(entry.name, at, MOST_NAME_BYTES);
  let sum = SUM_OF_SAME + writeOctal(slab, at + AT.mode, entry.mode, 7);
  sum += writeSize(slab, at + AT.size, entry.bytes);
  sum += writeOctal(slab, at + AT.seconds, entry.seconds, 11);
  const type = entry.type.charCodeAt(0);
  slab[at + AT.type] = type;
  sum += type;
  for (let byte = at; byte < at + MOST_NAME_BYTES && slab[byte] !== 0; byte += 1)
    sum += slab[byte] ?? 0;
  writeOctal(slab, at + AT.sum, sum, 6);
  slab[at + AT.sum + 6] = 0;
  return at + BLOCK;
}

/** Eleven octal digits hold 8 GiB; above, GNU's binary form. Answers the sum of what it wrote. */
function writeSize(slab: Buffer, at: number, bytes: number): number {
  if (bytes < 8 ** 11) return writeOctal(slab, at, bytes, 11);
  slab.writeUInt8(0x80, at);
  slab.writeBigUInt64BE(BigInt(bytes), at + 4);
  return slab.subarray(at, at + 12).reduce((sum, byte) => sum + byte, 0);
}

/** Answers the sum of the digits as they are written. */
function writeOctal(slab: Buffer, at: number, value: number, digits: number): number {
  let left = value;
  let sum = 0;
  for (let digit = digits - 1; digit >= 0; digit -= 1) {
    const rest = left % 8;
    slab[at + digit] = ZERO + rest;
    sum += ZERO + rest;
    left = (left - rest) / 8;
  }
  return sum;
}

function paddingBytes(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK;
}
