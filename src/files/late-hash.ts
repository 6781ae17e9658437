import { closeSync, fstatSync, lstatSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Begun, HashCache, LocalHash } from './local-hash.ts';
import { READ_ONLY } from './open-local.ts';
import { refuseSecrets } from './sync-plan.ts';
import { keyOf, type LocalFile } from './walk.ts';

/** Up to here a file is read whole, so that what is hashed and looked through is what goes out. */
const LATE_BYTES = 1 << 20;
/** From so many, or so much, reading each file once instead of twice is worth more than to refuse before anything is sent. */
const LATE_FILES = 500;
const LATE_TOTAL_BYTES = 16 << 20;

const NOTHING_PLACED = 'Nothing was put in place on the pod.';

/** Reads files on their way out: each is looked through for secrets whole before its first byte leaves. */
export interface LateHash {
  /**
   * `sha256` is undefined when the file is no longer the one that was found. Throws `secret_refused` with all that would be
   * refused among the files still to be read. `room`: as of `readInto`.
   */
  read(
    file: LocalFile,
    room: Buffer,
  ): { readonly content: Buffer; readonly sha256: string | undefined };
  /**
   * For a file too large for that: each piece is looked through before it leaves. `add` throws `secret_refused`; `end`
   * answers the sha256, undefined when the file is no longer the one that was found.
   */
  begin(
    file: LocalFile,
    inBlocks: boolean,
  ): {
    add(piece: Buffer): Promise<ReturnType<Begun['add']>>;
    end(): Promise<string | undefined>;
  };
  /** Of a file that was read. */
  sha256Of(path: string): string | undefined;
}

/** Those of `files` that may wait until they are sent; none when they are few. */
export function mayWait<File extends LocalFile>(files: readonly File[]): readonly File[] {
  const small = files.filter(({ bytes }) => bytes <= LATE_BYTES);
  const bytes = small.reduce((sum, file) => sum + file.bytes, 0);
  return small.length >= LATE_FILES || bytes >= LATE_TOTAL_BYTES ? small : [];
}

export function createLateHash(options: {
  readonly cache: Pick<HashCache, 'take' | 'begin'>;
  readonly files: readonly LocalFile[];
  readonly isAllowed: (file: LocalFile) => boolean;
  readonly warn: (file: LocalFile, hash: LocalHash) => void;
}): LateHash {
  const { cache, files, isAllowed, warn } = options;
  const hashes = new Map<string, string>();
  const isSecret = (file: LocalFile, hash: LocalHash | undefined): boolean =>
    hash?.secret !== undefined && !isAllowed(file);
  const refuse = (): never => {
    const found = files.flatMap((file) => {
      if (hashes.has(file.path) || file.bytes > LATE_BYTES) return [];
      const hash = lookAgain(file);
      return hash !== undefined && isSecret(file, hash) ? [[file, hash] as const] : [];
    });
    refuseSecrets([], found, NOTHING_PLACED);
    // What was found has gone since: all the more reason to stop.
    throw new Error('A file with a secret changed while it was read.');
  };
  const lookAgain = (file: LocalFile): LocalHash | undefined => {
    try {
      const content = readFileSync(file.absolute);
      return cache.take(file, content, keyOf(lstatSync(file.absolute, { bigint: true })));
    } catch {
      return undefined;
    }
  };
  return {
    read(file, room) {
      const { content, key } = readInto(file.absolute, room);
      const hash = cache.take(file, content, key);
      if (hash === undefined) return { content, sha256: undefined };
      if (isSecret(file, hash)) refuse();
      warn(file, hash);
      hashes.set(file.path, hash.sha256);
      return { content, sha256: hash.sha256 };
    },
    begin(file, inBlocks) {
      const begun = cache.begin(file, inBlocks);
      return {
        async add(piece) {
          const digests = begun.add(piece);
          if (begun.hasSecret() && !isAllowed(file)) {
            const hash = await begun.end();
            refuseSecrets([], hash === undefined ? [] : [[file, hash]], NOTHING_PLACED);
            throw new Error('A file with a secret changed while it was read.');
          }
          return digests;
        },
        async end() {
          const hash = await begun.end();
          if (hash === undefined) return undefined;
          warn(file, hash);
          hashes.set(file.path, hash.sha256);
          return hash.sha256;
        },
      };
    },
    sha256Of: (path) => hashes.get(path),
  };
}

/**
 * The file, or as much of it as `room` holds: a room with a byte to spare shows whether that is all. `key`: of the file that
 * was read, after that.
 */
export function readInto(
  absolute: string,
  room: Buffer,
): { readonly content: Buffer; readonly key: string } {
  const descriptor = openSync(absolute, READ_ONLY);
  try {
    let at = 0;
    for (;;) {
      const bytesRead = readSync(descriptor, room, at, room.length - at, null);
      at += bytesRead;
      // A piece that ends where the file was seen to end needs no second look.
      if (bytesRead > 0 && at < room.length - 1) continue;
      const key = keyOf(fstatSync(descriptor, { bigint: true }));
      return { content: room.subarray(0, at), key };
    }
  } finally {
    closeSync(descriptor);
  }
}
