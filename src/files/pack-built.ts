import type { FileHandle } from 'node:fs/promises';
import { BLOCK_BYTES, type Blocks, digestsOf, readWhole } from './block-hash.ts';
import type { LateHash } from './late-hash.ts';
import type { PlannedFile } from './sync-plan.ts';
import type { UsedAgain } from './used-again.ts';

/** So much is read at once. */
export const CHUNK = 1 << 20;

export interface Way {
  /** 1-based position among the files. */
  readonly number: number;
  /** Of the old file in place, if there is one that may be patched. */
  readonly base: Promise<Blocks | undefined> | undefined;
  /** Whether nothing needs to be made when all blocks are those of the old file. */
  readonly mayBeAlike: boolean;
  readonly late: LateHash;
  /** Of `CHUNK` bytes each. */
  readonly memory: UsedAgain;
  /** Ends every line. */
  readonly token: string;
}
export interface Packed {
  /** Of a file that had no hash; undefined also when it is no longer the file that was found. */
  readonly sha256: string | undefined;
  /** Nothing was yielded, since no block differs from the old file. */
  readonly isAlike: boolean;
}

/**
 * One file for `buildScript`, read once: what differs from the old one, all of it where there is none. It is hashed and looked
 * through while the pod still digests the old file; throws `secret_refused` before the piece that holds a secret leaves.
 */
export async function* packBuilt(
  file: PlannedFile,
  handle: FileHandle,
  { number, base: asked, mayBeAlike, late, memory, token }: Way,
  signal: AbortSignal,
): AsyncGenerator<Buffer, Packed, undefined> {
  const line = (...words: readonly (string | number)[]): Buffer =>
    Buffer.from(`${[...words, token].join(' ')}\n`);
  let answered: { readonly base: Blocks | undefined } | undefined =
    asked === undefined ? { base: undefined } : undefined;
  const answering = asked?.then((base) => {
    answered = { base };
  });
  // Awaited at the end, or never when something breaks before.
  answering?.catch(() => undefined);
  const hash = file.sha256 === '' ? late.begin(file, asked !== undefined) : undefined;
  const digests: string[] = [];
  const state = { isBegun: false };
  const begin = function* (): Generator<Buffer, void, undefined> {
    if (state.isBegun) return;
    state.isBegun = true;
    yield line('b', number, answered?.base === undefined ? 0 : 1);
  };
  /** Up to here it is decided what goes out. */
  let decided = 0;
  const catchUp = async function* (to: number): AsyncGenerator<Buffer, void, undefined> {
    for (const [from, end] of runsOf(digests, decided, to, answered?.base)) {
      yield* begin();
      yield line('w', from, end - from);
      yield* readAgain(handle, from, end, signal);
    }
    decided = to;
  };
  // One piece behind: where a secret goes over the edge of two, neither has left when it is found.
  let held: readonly Buffer[] = [];
  let buffer = memory.next();
  let reading = readWhole(handle, buffer);
  reading.catch(() => undefined);
  for (let at = 0; at < file.bytes; ) {
    signal.throwIfAborted();
    const bytesRead = Math.min(await reading, file.bytes - at);
    // A file that shrank: its stamp tells afterwards.
    const piece =
      bytesRead === 0
        ? Buffer.alloc(Math.min(CHUNK, file.bytes - at))
        : buffer.subarray(0, bytesRead);
    const next = memory.next();
    reading = readWhole(handle, next);
    reading.catch(() => undefined);
    const own = (await hash?.add(piece)) ?? (asked === undefined ? [] : digestsOf(piece));
    for (const digest of own) digests.push(digest);
    let leaving = 0;
    if (answered !== undefined) {
      yield* catchUp(at);
      yield* held;
      const { base } = answered;
      const runs = runsOf(digests, at, at + piece.length, base);
      held = runs.flatMap(([from, end]) => [
        line('w', from, end - from),
        piece.subarray(from - at, end - at),
      ]);
      if (held.length > 0) yield* begin();
      decided = at + piece.length;
      leaving = runs.reduce((sum, [from, end]) => sum + end - from, 0);
    }
    at += piece.length;
    if (leaving > 0) memory.lend(buffer, leaving);
    else memory.free(buffer);
    buffer = next;
  }
  await reading;
  memory.free(buffer);
  yield* held;
  await answering;
  yield* catchUp(file.bytes);
  const sha256 = await hash?.end();
  const count = Math.ceil(file.bytes / BLOCK_BYTES);
  const isAlike = !state.isBegun && mayBeAlike && answered?.base?.digests.length === count;
  if (!isAlike) {
    yield* begin();
    yield line('e', number, file.bytes);
  }
  return { sha256, isAlike };
}

/** From where to where the content differs from `base`; all of it where nothing is known. Starts at a whole block. */
function runsOf(
  digests: readonly string[],
  start: number,
  end: number,
  base: Blocks | undefined,
): readonly (readonly [number, number])[] {
  if (start >= end) return [];
  if (base === undefined) return [[start, end]];
  const runs: [number, number][] = [];
  for (let from = start; from < end; from += BLOCK_BYTES) {
    const index = from / BLOCK_BYTES;
    if (digests[index] === base.digests[index]) continue;
    const to = Math.min(end, from + BLOCK_BYTES);
    const last = runs.at(-1);
    if (last?.[1] === from) last[1] = to;
    else runs.push([from, to]);
  }
  return runs;
}

async function* readAgain(
  handle: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  for (let at = start; at < end; ) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    // As above.
    const chunk = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
    at += chunk.length;
    yield chunk;
  }
}
