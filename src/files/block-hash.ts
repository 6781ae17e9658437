import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { shellQuote } from '../core/shell-quote.ts';
import { openFile } from './open-local.ts';
import { dotted } from './pod-names.ts';

/** One write on the pod, and the grain of what is compared there by python3. */
export const BLOCK_BYTES = 128 << 10;
/** Without python3 every block costs the start of two programs. */
export const COARSE_BYTES = 8 << 20;
/** Of a crc32: it finds what differs fast, and is no proof. The sha256 of the whole file is. */
const FINE_LETTERS = 8;
/** Of a sha256, which every pod can make. */
const COARSE_LETTERS = 32;
const CHUNK = 1 << 20;

/** Prints the crc32 of each block of each file, a line for each file, and `-` for what is no file. */
const PYTHON = `import os, stat, sys, zlib
from concurrent.futures import ThreadPoolExecutor
size = int(sys.argv[1])
def some(fd, at):
    b = memoryview(os.pread(fd, 8 * size, at))
    return "".join("%08x" % (zlib.crc32(b[i:i + size]) & 0xffffffff) for i in range(0, len(b), size))
with ThreadPoolExecutor(2) as pool:
    for name in sys.argv[2:]:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            s = os.fstat(fd)
            if not stat.S_ISREG(s.st_mode):
                raise OSError
            print("".join(pool.map(lambda at: some(fd, at), range(0, s.st_size, 8 * size))), flush=True)
            os.close(fd)
        except OSError:
            print("-", flush=True)`;

/** python3 did not do it. */
export const NO_BLOCKS = 44;

/** Shell lines that print, for each of `names` below the current folder, what `parseBlocks` reads. */
export function blockLines(names: readonly string[], hasPython: boolean): readonly string[] {
  const words = names.map((name) => shellQuote(dotted(name)));
  if (words.length === 0) return [];
  if (hasPython)
    return [
      `python3 -I -S -c ${shellQuote(PYTHON)} ${BLOCK_BYTES} ${words.join(' ')} || exit ${NO_BLOCKS}`,
    ];
  return [
    'bb() { if [ -h "$1" ] || ! [ -f "$1" ]; then echo -; return; fi',
    'n=$(wc -c <"$1"); i=0; o=',
    `while [ $((i*${COARSE_BYTES})) -lt $((n)) ]; do`,
    `s=$(dd if="$1" bs=${COARSE_BYTES} skip=$i count=1 2>/dev/null | H -); o=$o$(printf '%.${COARSE_LETTERS}s' "$s"); i=$((i+1)); done`,
    'echo "$o"; }',
    ...words.map((word) => `bb ${word}`),
  ];
}

/** From here the old file on the pod is taken as a base and only blocks that differ are sent. */
export const DELTA_BYTES = 8 << 20;

export interface Blocks {
  readonly blockBytes: number;
  readonly digests: readonly string[];
}

/** What `blockLines` printed; undefined for what is no file. */
export function parseBlocks(
  output: Buffer,
  count: number,
  hasPython: boolean,
): readonly (Blocks | undefined)[] {
  const lines = output.toString('latin1').split('\n');
  return Array.from({ length: count }, (_, index) => {
    const line = lines[index] ?? '-';
    const letters = hasPython ? FINE_LETTERS : COARSE_LETTERS;
    if (!/^[0-9a-f]*$/.test(line) || line.length % letters !== 0) return undefined;
    const blockBytes = hasPython ? BLOCK_BYTES : COARSE_BYTES;
    return { blockBytes, digests: split(line, letters) };
  });
}

function split(line: string, letters: number): readonly string[] {
  const digests: string[] = [];
  for (let at = 0; at < line.length; at += letters) digests.push(line.slice(at, at + letters));
  return digests;
}

/** Of contents that were sent lately, by their sha256: what the pod holds of them need not be hashed there again. */
const kept = new Map<string, Blocks>();
/** 128 GiB. */
const MOST_BLOCKS = 1 << 20;

export function rememberBlocks(sha256: string, blocks: Blocks): void {
  kept.delete(sha256);
  kept.set(sha256, blocks);
  let count = 0;
  for (const { digests } of kept.values()) count += digests.length;
  for (const [oldest, { digests }] of kept) {
    if (count <= MOST_BLOCKS) return;
    kept.delete(oldest);
    count -= digests.length;
  }
}

export function blocksOf(sha256: string | undefined, blockBytes: number): Blocks | undefined {
  const blocks = sha256 === undefined ? undefined : kept.get(sha256);
  return blocks?.blockBytes === blockBytes ? blocks : undefined;
}

/** The digests of the blocks of a piece that begins with a whole one. */
export function digestsOf(piece: Buffer): readonly string[] {
  const digests: string[] = [];
  for (let at = 0; at < piece.length; at += BLOCK_BYTES)
    digests.push(
      crc32(piece.subarray(at, at + BLOCK_BYTES))
        .toString(16)
        .padStart(FINE_LETTERS, '0'),
    );
  return digests;
}

/** The digests of the blocks of a local file, as the pod makes them with blocks of that size. */
export async function localBlocks(
  absolute: string,
  blockBytes: number,
  signal: AbortSignal,
): Promise<Blocks> {
  await using handle = await openFile(absolute);
  const digests: string[] = [];
  const buffer = Buffer.allocUnsafe(CHUNK);
  let hash = createHash('sha256');
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const bytesRead = await readWhole(handle, buffer);
    const piece = buffer.subarray(0, bytesRead);
    at += bytesRead;
    if (blockBytes === BLOCK_BYTES) digests.push(...digestsOf(piece));
    else {
      hash.update(piece);
      if (at % blockBytes === 0 ? bytesRead > 0 : bytesRead < CHUNK) {
        digests.push(hash.digest('hex').slice(0, COARSE_LETTERS));
        hash = createHash('sha256');
      }
    }
    if (bytesRead < CHUNK) return { blockBytes, digests };
  }
}

/** Fills the buffer, unless the file ends. */
export async function readWhole(handle: FileHandle, buffer: Buffer): Promise<number> {
  let at = 0;
  while (at < buffer.length) {
    const { bytesRead } = await handle.read(buffer, at, buffer.length - at, null);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}
