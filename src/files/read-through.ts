import { readWhole } from './block-hash.ts';
import { goneIsNothing, openFile } from './open-local.ts';
import type { Parcel } from './send.ts';
import type { PlannedFile } from './sync-plan.ts';

/** By path: the hashes of files that are not sent while they are read. One that changed or went has none. */
export async function readThrough(
  files: readonly PlannedFile[],
  parcel: Pick<Parcel, 'late' | 'resume' | 'isThere'>,
  signal: AbortSignal,
  onRead?: (path: string, bytes: number) => void,
): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (const file of files) {
    const hash = parcel.late.begin(file, parcel.resume || parcel.isThere(file.path));
    await using handle = await openFile(file.absolute).catch(goneIsNothing);
    if (handle === undefined) continue;
    for (let bytes = 0; ; ) {
      signal.throwIfAborted();
      const bytesRead = await readWhole(handle, buffer);
      if (bytesRead === 0) break;
      await hash.add(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
      onRead?.(file.path, bytes);
    }
    const sha256 = await hash.end();
    if (sha256 !== undefined) hashes.set(file.path, sha256);
  }
  return hashes;
}

export interface Ahead {
  /** Settles when this many bytes of a file were looked through; at once for files of others. Throws `secret_refused`. */
  readonly whenRead: (path: string, bytes: number) => Promise<void>;
  readonly hashes: Promise<ReadonlyMap<string, string>>;
  stop(): Promise<void>;
}

/** Reads files through, one after the other, while somebody else sends what of them was looked through. */
export function readAhead(
  files: readonly PlannedFile[],
  parcel: Pick<Parcel, 'late' | 'resume' | 'isThere'>,
  signal: AbortSignal,
): Ahead {
  const stop = new AbortController();
  const read = new Map(files.map(({ path }) => [path, 0]));
  let waiting: (() => void)[] = [];
  let isOver = false;
  const wake = (): void => {
    const those = waiting;
    waiting = [];
    for (const goOn of those) goOn();
  };
  const either = AbortSignal.any([signal, stop.signal]);
  const hashes = readThrough(files, parcel, either, (path, bytes) => {
    read.set(path, bytes);
    wake();
  }).finally(() => {
    isOver = true;
    wake();
  });
  // Whoever waits for it hears of it; perhaps nobody does any more.
  hashes.catch(() => undefined);
  return {
    async whenRead(path, bytes) {
      // One that got shorter never has so many.
      while (!isOver && (read.get(path) ?? Infinity) < bytes)
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      if (isOver) await hashes;
    },
    hashes,
    async stop() {
      stop.abort();
      await hashes.catch(() => undefined);
    },
  };
}
