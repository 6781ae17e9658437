import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { shellQuote } from '../core/shell-quote.ts';
import { dotted } from './pod-names.ts';

/** One write on the pod, and the grain of what is compared there by python3. */
export const BLOCK_BYTES = 128 << 10;
/** Without python3 every block costs the start of two programs. */
export const COARSE_BYTES = 8 << 20;
const DIGEST_LETTERS = 32;
const CHUNK = 1 << 20;
/** Hashed at the same time, on other threads. */
const AT_ONCE = 8;

/** Prints the first half of the sha256 of each block of each file, a line for each file, and `-` for what is no file. */
const PYTHON = `import hashlib, os, stat, sys
from concurrent.futures import ThreadPoolExecutor
size = int(sys.argv[1])
def one(fd, at):
    return hashlib.sha256(os.pread(fd, size, at)).hexdigest()[:${DIGEST_LETTERS}]
with ThreadPoolExecutor(2) as pool:
    for name in sys.argv[2:]:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            s = os.fstat(fd)
            if not stat.S_ISREG(s.st_mode):
                raise OSError
            print("".join(pool.map(lambda at: one(fd, at), range(0, s.st_size, size))), flush=True)
            os.close(fd)
        except OSError:
            print("-", flush=True)`;

/** Shell lines that print, for each of `names` below the current folder, what `parseBlocks` reads. */
export function blockLines(names: readonly string[], hasPython: boolean): readonly string[] {
  const words = names.map((name) => shellQuote(dotted(name)));
  if (words.length === 0) return [];
  if (hasPython)
    return [`python3 -c ${shellQuote(PYTHON)} ${BLOCK_BYTES} ${words.join(' ')} || exit 44`];
  return [
    'bb() { if [ -h "$1" ] || ! [ -f "$1" ]; then echo -; return; fi',
    'n=$(wc -c <"$1"); i=0; o=',
    `while [ $((i*${COARSE_BYTES})) -lt $((n)) ]; do`,
    `s=$(dd if="$1" bs=${COARSE_BYTES} skip=$i count=1 2>/dev/null | H -); o=$o$(printf '%.${DIGEST_LETTERS}s' "$s"); i=$((i+1)); done`,
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
    if (!/^[0-9a-f]*$/.test(line) || line.length % DIGEST_LETTERS !== 0) return undefined;
    return { blockBytes: hasPython ? BLOCK_BYTES : COARSE_BYTES, digests: split(line) };
  });
}

function split(line: string): readonly string[] {
  const digests: string[] = [];
  for (let at = 0; at < line.length; at += DIGEST_LETTERS)
    digests.push(line.slice(at, at + DIGEST_LETTERS));
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

/** Takes the pieces of a content in their order; every piece but the last is some whole blocks. */
export function createBlockHash(): {
  add(piece: Buffer): Promise<unknown>;
  blocks(): Promise<Blocks>;
} {
  const digests: Promise<string>[] = [];
  return {
    async add(piece) {
      const own: Promise<string>[] = [];
      for (let at = 0; at < piece.length; at += BLOCK_BYTES)
        own.push(digestOf(piece.subarray(at, at + BLOCK_BYTES)));
      digests.push(...own);
      return Promise.all(own);
    },
    blocks: async () => ({ blockBytes: BLOCK_BYTES, digests: await Promise.all(digests) }),
  };
}

/** The same of a local file. */
export async function localBlocks(
  absolute: string,
  blockBytes: number,
  signal: AbortSignal,
): Promise<Blocks> {
  await using handle = await open(absolute, 'r');
  const { size } = await handle.stat();
  const count = Math.ceil(size / blockBytes);
  const digests = new Array<string>(count).fill('');
  let next = 0;
  const work = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, blockBytes));
    for (let index = next++; index < count; index = next++) {
      signal.throwIfAborted();
      const end = Math.min(size, (index + 1) * blockBytes);
      const hash = blockBytes > CHUNK ? createHash('sha256') : undefined;
      for (let at = index * blockBytes; at < end; ) {
        const length = Math.min(buffer.length, end - at);
        const { bytesRead } = await handle.read(buffer, 0, length, at);
        if (bytesRead === 0) break;
        at += bytesRead;
        if (hash === undefined) digests[index] = await digestOf(buffer.subarray(0, bytesRead));
        else hash.update(buffer.subarray(0, bytesRead));
      }
      if (hash !== undefined) digests[index] = hash.digest('hex').slice(0, DIGEST_LETTERS);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { blockBytes, digests };
}

/** On another thread. */
async function digestOf(bytes: Buffer): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Buffer.from(digest).toString('hex').slice(0, DIGEST_LETTERS);
}
