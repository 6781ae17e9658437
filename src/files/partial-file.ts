import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { addSpan, gapsOf, parseSpans, reachOf, type Span, spanLine } from './spans.ts';

/** What arrived whole, and which file of this machine it is: a rename keeps the identity, another writer does not. */
export interface Arrived {
  readonly sha256: string;
  readonly partial: string;
  readonly identity: string;
}

/** Changes when another file takes the name or anything writes into it; a rename leaves it as it is. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(':');
}

/** A large file that arrives in pieces of any order, from several streams at once. */
export interface PartialFile {
  /** Writes `parts` at `offset`, without the zeros that a hole holds as well. */
  write(offset: number, parts: readonly Buffer[]): Promise<void>;
  /** Whether every byte is there. */
  isWhole(): boolean;
  /** The sha256 of the whole file, once every byte is there. */
  finish(): Promise<Arrived>;
  /** Keeps what came for another time. */
  close(): Promise<void>;
}

/** A kill costs at most so many bytes of each stream. */
const LOG_EVERY_BYTES = 4 << 20;
const READ_BYTES = 1 << 20;
const HOLE_BYTES = 64 << 10;
const ZEROS = Buffer.alloc(1 << 20);

export function journalOf(partial: string): string {
  return `${partial}.got`;
}

/** What an earlier, broken pull left of a file of `bytes` bytes. */
export async function readJournal(partial: string, bytes: number): Promise<readonly Span[]> {
  return parseSpans(await readFile(journalOf(partial), 'utf8').catch(() => ''), bytes);
}

export async function removePartial(partial: string): Promise<void> {
  await rm(partial, { force: true });
  await rm(journalOf(partial), { force: true });
}

/** Opens a partial file with what its journal says is in it; those bytes are read here again for the hash. */
export async function openPartial(partial: string, bytes: number): Promise<PartialFile> {
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT, 0o600);
  const begun = await begin(handle, partial, bytes).catch(async (failure: unknown) => {
    await handle.close();
    throw failure;
  });
  const { journal } = begun;
  let { spans } = begun;
  const hash = createHash('sha256');
  let hashed = 0;
  let following: Promise<void> | undefined;
  let unlogged: readonly Span[] = [];

  const log = async (): Promise<void> => {
    const lines = unlogged.map(spanLine).join('');
    unlogged = [];
    if (lines !== '') await journal.write(lines);
  };
  /** Hashes on as far as all is there, from the disk's cache: pieces may have come out of order. */
  const follow = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let end = reachOf(spans, hashed); end > hashed; end = reachOf(spans, hashed)) {
      const { bytesRead } = await handle.read(
        buffer,
        0,
        Math.min(READ_BYTES, end - hashed),
        hashed,
      );
      if (bytesRead === 0) throw new Error('A partial file was cut short by something else.');
      hash.update(buffer.subarray(0, bytesRead));
      hashed += bytesRead;
    }
  };
  const startFollowing = (): void => {
    if (following !== undefined || reachOf(spans, hashed) === hashed) return;
    following = follow().finally(() => {
      following = undefined;
    });
    // Told to whoever finishes: then it is tried again.
    following.catch(() => undefined);
  };
  startFollowing();

  const partialFile: PartialFile = {
    async write(offset, parts) {
      const end = await writeSparse(handle, offset, parts);
      if (offset === hashed && following === undefined) {
        for (const part of parts) hash.update(part);
        hashed = end;
      }
      spans = addSpan(spans, { start: offset, end });
      unlogged = addSpan(unlogged, { start: offset, end });
      if (unlogged.reduce((sum, span) => sum + span.end - span.start, 0) >= LOG_EVERY_BYTES)
        await log();
      startFollowing();
    },
    isWhole: () => gapsOf(spans, bytes).length === 0,
    async finish() {
      try {
        await log();
        await following;
        await follow();
        if (hashed !== bytes || gapsOf(spans, bytes).length > 0)
          throw new Error('A partial file was finished before it was whole.');
        const identity = identityOf(await handle.stat({ bigint: true }));
        return { sha256: hash.digest('hex'), partial, identity };
      } finally {
        await partialFile.close();
      }
    },
    async close() {
      await log().catch(() => undefined);
      await following?.catch(() => undefined);
      await handle.close();
      await journal.close();
    },
  };
  return partialFile;
}

async function begin(
  handle: FileHandle,
  partial: string,
  bytes: number,
): Promise<{ readonly spans: readonly Span[]; readonly journal: FileHandle }> {
  const spans = await readJournal(partial, bytes);
  const isAsItWas = (await handle.stat()).size === bytes;
  if (!isAsItWas) {
    await handle.truncate(0);
    await rm(journalOf(partial), { force: true });
    await handle.truncate(bytes);
  }
  return {
    spans: isAsItWas ? spans : [],
    journal: await open(journalOf(partial), 'a', 0o600),
  };
}

/** Runs of zeros stay holes: the file was made at its full size. Answers where it ended. */
async function writeSparse(
  handle: FileHandle,
  offset: number,
  parts: readonly Buffer[],
): Promise<number> {
  let at = offset;
  let run: Buffer[] = [];
  let zeros: Buffer[] = [];
  const flush = async (): Promise<void> => {
    if (run.length > 0) await writeAll(handle, run, at);
    at += lengthOf(run);
    run = [];
  };
  for (const part of parts) {
    if (isZero(part)) {
      zeros.push(part);
      continue;
    }
    if (lengthOf(zeros) >= HOLE_BYTES) {
      await flush();
      at += lengthOf(zeros);
    } else run.push(...zeros);
    zeros = [];
    run.push(part);
  }
  if (lengthOf(zeros) < HOLE_BYTES) run.push(...zeros.splice(0));
  await flush();
  return at + lengthOf(zeros);
}

async function writeAll(
  handle: FileHandle,
  parts: readonly Buffer[],
  offset: number,
): Promise<void> {
  const { bytesWritten } = await handle.writev(parts, offset);
  let skip = bytesWritten;
  let at = offset + bytesWritten;
  // A disk that is nearly full takes a part; the next write says why.
  for (const part of parts) {
    let from = Math.min(skip, part.length);
    skip -= from;
    while (from < part.length) {
      const one = await handle.write(part, from, part.length - from, at);
      from += one.bytesWritten;
      at += one.bytesWritten;
    }
  }
}

function isZero(part: Buffer): boolean {
  return (
    part[0] === 0 && part.length <= ZEROS.length && part.equals(ZEROS.subarray(0, part.length))
  );
}

function lengthOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
