import { createHash } from 'node:crypto';
import { closeSync, fstatSync, lstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { SMALL_BYTES as SYNC_BYTES } from './local-hash.ts';
import { type Arrived, identityOf, openPartial, type PartialFile } from './partial-file.ts';
import { type Piece, SMALL_BYTES, type Wanted } from './pull-work.ts';

/** Where pieces go: small files at once, large ones as they come. Knows which are whole, and their hashes. */
export interface PullStore {
  readonly arrived: ReadonlyMap<Wanted, Arrived>;
  readonly receive: (piece: Piece, offset: number, parts: readonly Buffer[]) => Promise<void>;
  /** A file that is there already, whole, from an earlier pull. */
  adopt(file: Wanted): Promise<void>;
  /** Files whose every byte is on the disk are hashed to the end; the others keep what they have. */
  close(): Promise<void>;
}

export function createPullStore(): PullStore {
  const arrived = new Map<Wanted, Arrived>();
  const opened = new Map<Wanted, Promise<PartialFile>>();

  const largeOf = async (file: Wanted): Promise<PartialFile> => {
    const known = opened.get(file) ?? openPartial(file.partial, file.bytes);
    opened.set(file, known);
    return known;
  };
  const finish = async (file: Wanted, large: PartialFile): Promise<void> => {
    opened.delete(file);
    arrived.set(file, await large.finish());
  };
  return {
    arrived,
    async receive({ file }, offset, parts) {
      if (file.bytes <= SMALL_BYTES) {
        arrived.set(file, await writeSmall(file, parts));
        return;
      }
      const large = await largeOf(file);
      await large.write(offset, parts);
      if (large.isWhole() && opened.has(file)) await finish(file, large);
    },
    async adopt(file) {
      if (file.bytes <= SMALL_BYTES) {
        const sha256 = createHash('sha256').update(readFileSync(file.partial)).digest('hex');
        const identity = identityOf(lstatSync(file.partial, { bigint: true }));
        arrived.set(file, { sha256, partial: file.partial, identity });
        return;
      }
      const large = await largeOf(file);
      if (large.isWhole()) await finish(file, large);
    },
    async close() {
      for (const [file, large] of [...opened]) {
        opened.delete(file);
        await (await large.catch(() => undefined))?.close();
      }
    },
  };
}

/** Synchronous where that is many times cheaper than four turns of the thread pool. */
async function writeSmall(file: Wanted, parts: readonly Buffer[]): Promise<Arrived> {
  const { partial } = file;
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const sha256 = hash.digest('hex');
  if (file.bytes > SYNC_BYTES) {
    await using handle = await open(partial, 'w', 0o600);
    for (const part of parts) await handle.writeFile(part);
    return { sha256, partial, identity: identityOf(await handle.stat({ bigint: true })) };
  }
  const descriptor = openSync(partial, 'w', 0o600);
  try {
    for (const part of parts)
      for (let at = 0; at < part.length; ) at += writeSync(descriptor, part, at);
    return { sha256, partial, identity: identityOf(fstatSync(descriptor, { bigint: true })) };
  } finally {
    closeSync(descriptor);
  }
}
