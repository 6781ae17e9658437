import { createHash, hash as hashOf } from 'node:crypto';
import { closeSync, lstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { DELTA_BYTES, readWhole } from './block-hash.ts';
import { type Entry, forgetHashes, readHashes, writeHashes } from './hash-store.ts';
import { goneIsNothing, openFile, READ_ONLY } from './open-local.ts';
import { countLines, type SecretFinding, secretIn } from './secrets.ts';
import { createStreamHash, isShellName, type StreamHash } from './stream-hash.ts';
import { fileOf, keyOf, type LocalFile } from './walk.ts';

/** Writing ten thousand entries costs more than to hash this much again after a restart. */
const MOST_UNSAVED_BYTES = 4 << 20;
const MOST_UNSAVED_FILES = 500;

export interface LocalHash {
  readonly sha256: string;
  readonly secret?: SecretFinding | undefined;
  /** Holds a carriage return before a line end. */
  readonly crlf: boolean;
}
const CHUNK = 1 << 20;
/** Below this one synchronous read is many times cheaper than four turns of the thread pool. */
export const SMALL_BYTES = 128 << 10;
/** A file touched this shortly before it was hashed may change again without a new time stamp. */
const UNSURE_MS = 2000;

export interface HashCache {
  /** What is remembered of the file as it is. */
  known(file: LocalFile): LocalHash | undefined;
  /** `inBlocks`: the hashes of its blocks are remembered as well, from the same read. */
  hash(file: LocalFile, signal: AbortSignal, inBlocks?: boolean): Promise<LocalHash>;
  /** Read once more, whatever is remembered: the file as it was at one moment, or is still. Undefined: it is gone. */
  hashAgain(file: LocalFile, signal: AbortSignal): Promise<Again | undefined>;
  /** Of what was just read of a file with this key; undefined when it is no longer the file that was found. */
  take(file: LocalFile, content: Buffer, key: string): LocalHash | undefined;
  /** Of a content that is read as it is sent. `end` answers undefined when it is no longer the file that was found. */
  begin(file: LocalFile, inBlocks: boolean): Begun;
  /** What is known of `files`, and of no others. */
  save(files: readonly LocalFile[]): Promise<void>;
}
export interface Again {
  readonly file: LocalFile;
  readonly hash: Omit<Entry, 'key'>;
}
export interface Begun extends Pick<StreamHash, 'add' | 'hasSecret'> {
  end(): Promise<LocalHash | undefined>;
}

/**
 * sha256 of files of one folder, remembered by device, inode, size and both times in nanoseconds. A file that changed
 * within two seconds of being hashed is hashed again next time, so an edit within one tick is never missed.
 */
export async function openHashCache(options: {
  readonly home: string;
  readonly root: string;
  readonly clock: Clock;
}): Promise<HashCache> {
  const file = path.join(
    options.home,
    'sync-cache',
    `${createHash('sha256').update(options.root).digest('hex').slice(0, 32)}.json`,
  );
  const memory = await readHashes(file);
  const known = (local: LocalFile): Entry | undefined => {
    const entry = memory.entries.get(local.path);
    return entry?.key === local.key ? entry : undefined;
  };
  const note = (local: LocalFile, startedMs: number, { key, hash }: Fresh): void => {
    if (startedMs - local.touchedMs <= UNSURE_MS || key !== local.key) return;
    memory.entries.set(local.path, { key, ...hash });
    memory.unsavedBytes += local.bytes;
    memory.unsavedFiles += 1;
  };
  const nowMs = (): number => options.clock.now().getTime();
  async function read(
    local: LocalFile,
    signal: AbortSignal,
    inBlocks: boolean,
  ): Promise<LocalHash> {
    const startedMs = nowMs();
    const fresh =
      local.bytes <= SMALL_BYTES
        ? await hashSmall(local.absolute, signal)
        : await hashFile(local.absolute, signal, inBlocks && local.bytes >= DELTA_BYTES);
    note(local, startedMs, fresh);
    return fresh.hash;
  }
  return {
    known: (local) => known(local),
    hash: async (local, signal, inBlocks = false) =>
      known(local) ?? (await read(local, signal, inBlocks)),
    async hashAgain(local, signal) {
      memory.entries.delete(local.path);
      const startedMs = nowMs();
      const again = await hashToEnd(local, signal);
      if (again !== undefined) note(again.file, startedMs, { ...again, key: again.file.key });
      return again;
    },
    take(local, content, key) {
      if (key !== local.key) return undefined;
      const startedMs = nowMs();
      const hash = lookThrough(local.absolute, content);
      note(local, startedMs, { hash, key });
      return hash;
    },
    begin(local, inBlocks) {
      const startedMs = nowMs();
      const stream = createStreamHash(local.absolute, inBlocks);
      return {
        add: stream.add,
        hasSecret: stream.hasSecret,
        async end() {
          const hash = await stream.end();
          if (keyNow(local.absolute) !== local.key) return undefined;
          note(local, startedMs, { hash, key: local.key });
          return hash;
        },
      };
    },
    async save(files) {
      const { entries, unsavedBytes, unsavedFiles } = memory;
      if (unsavedBytes < MOST_UNSAVED_BYTES && unsavedFiles < MOST_UNSAVED_FILES) return;
      const next = new Map<string, Entry>();
      for (const local of files) {
        const entry = entries.get(local.path);
        if (entry !== undefined) next.set(local.path, entry);
      }
      // Only a cache: a folder that cannot be written costs time, not correctness.
      await writeHashes(file, next).catch(() => {
        forgetHashes(file);
      });
    },
  };
}

interface Fresh {
  readonly hash: Omit<Entry, 'key'>;
  readonly key: string;
}

async function hashSmall(absolute: string, signal: AbortSignal): Promise<Fresh> {
  // Lets others run between files.
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
  const descriptor = openSync(absolute, READ_ONLY);
  try {
    const hash = lookThrough(absolute, readFileSync(descriptor));
    return { hash, key: keyOf(lstatSync(absolute, { bigint: true })) };
  } finally {
    closeSync(descriptor);
  }
}

/** Of a content that was read whole. */
function lookThrough(absolute: string, content: Buffer): Fresh['hash'] {
  const secret = secretIn(absolute, content);
  return {
    sha256: hashOf('sha256', content, 'hex'),
    crlf: isShellName(absolute) && content.includes('\r\n'),
    ...(secret === undefined
      ? {}
      : { secret: { kind: secret.kind, line: 1 + countLines(content.subarray(0, secret.at)) } }),
  };
}

async function hashFile(absolute: string, signal: AbortSignal, inBlocks: boolean): Promise<Fresh> {
  const hash = createStreamHash(absolute, inBlocks);
  await using handle = await openFile(absolute);
  // The next piece is read while this one is looked at.
  let [buffer, other] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  let reading = readWhole(handle, buffer);
  for (;;) {
    const bytesRead = await reading;
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    [buffer, other] = [other, buffer];
    signal.throwIfAborted();
    reading = readWhole(handle, buffer);
    // Its bytes are overwritten by the next read but one.
    hash.add(chunk);
  }
  return { hash: await hash.end(), key: keyOf(await handle.stat({ bigint: true })) };
}

/** A writer that is faster than this reader is not waited for. */
const MOST_GROWN_BYTES = 256 << 20;

/** To where the file ends in the moment of its end, however it grew meanwhile. Undefined: it is gone. */
async function hashToEnd(local: LocalFile, signal: AbortSignal): Promise<Again | undefined> {
  await using handle = await openFile(local.absolute).catch(goneIsNothing);
  if (handle === undefined) return undefined;
  const hash = createStreamHash(local.absolute, false);
  const buffer = Buffer.allocUnsafe(CHUNK);
  const atMost = (await handle.stat()).size + MOST_GROWN_BYTES;
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const bytesRead = await readWhole(handle, buffer);
    hash.add(buffer.subarray(0, bytesRead));
    at += bytesRead;
    const stats = await handle.stat({ bigint: true });
    if (Number(stats.size) <= at || at > atMost)
      return { file: fileOf(local.absolute, local.path, stats), hash: await hash.end() };
  }
}

function keyNow(absolute: string): string | undefined {
  try {
    return keyOf(lstatSync(absolute, { bigint: true }));
  } catch (failure) {
    goneIsNothing(failure);
    return undefined;
  }
}
