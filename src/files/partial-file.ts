import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ManifestFile } from './manifest.ts';

export interface Wanted extends ManifestFile {
  readonly partial: string;
  /** Bytes that an earlier, broken pull left. */
  readonly have: number;
}

/** A file that arrives: takes its bytes in order and knows its hash. */
export interface PartialFile {
  left: number;
  write(part: Buffer): Promise<void>;
  /** The sha256 of the whole file. */
  close(): Promise<string>;
  abandon(): Promise<void>;
}

/** Opens a partial file behind what an earlier, broken pull left in it; those bytes count for the hash. */
export async function openPartial(file: Wanted): Promise<PartialFile> {
  const hash = createHash('sha256');
  if (file.have > 0)
    for await (const chunk of createReadStream(file.partial, { highWaterMark: 256 << 10 }))
      if (Buffer.isBuffer(chunk)) hash.update(chunk);
  const handle = await open(file.partial, file.have > 0 ? 'a' : 'w', 0o600);
  const opened: PartialFile = {
    left: file.bytes - file.have,
    async write(part) {
      for (let at = 0; at < part.length; )
        at += (await handle.write(part, at, part.length - at)).bytesWritten;
      hash.update(part);
      opened.left -= part.length;
    },
    async close() {
      await handle.close();
      return hash.digest('hex');
    },
    abandon: async () => handle.close(),
  };
  return opened;
}
