import { Buffer } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import type { Redactor } from './redact.ts';

/** A new file (0600), written from byte `start` on, in which known secrets are masked and every byte keeps its place. */
export function maskedFile(file: string, redactor: Redactor, start = 0): Writable {
  let handle: FileHandle | undefined;
  let position = start;
  /** Masked as far as it goes; a value may begin here and end in what comes next. */
  let held = Buffer.alloc(0);
  const put = async (bytes: Buffer): Promise<void> => {
    let at = 0;
    while (handle !== undefined && at < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position);
      at += bytesWritten;
      position += bytesWritten;
    }
  };
  const settled = (work: Promise<void>, done: (failure?: Error | null) => void): void => {
    work.then(
      () => {
        done();
      },
      (failure: unknown) => {
        done(failure instanceof Error ? failure : new Error('The file could not be written.'));
      },
    );
  };
  return new Writable({
    construct(done) {
      const opening = async (): Promise<void> => {
        handle = await open(file, 'w', 0o600);
        await handle.truncate(start);
      };
      settled(opening(), done);
    },
    write(chunk: Buffer, _encoding, done) {
      const bytes = redactor.maskBytes(Buffer.concat([held, chunk]));
      const ready = Math.max(0, bytes.length - Math.max(0, redactor.longestBytes - 1));
      held = Buffer.from(bytes.subarray(ready));
      settled(put(bytes.subarray(0, ready)), done);
    },
    final(done) {
      settled(put(held), done);
    },
    destroy(failure, done) {
      const closing = async (): Promise<void> => handle?.close();
      closing().then(
        () => {
          done(failure);
        },
        () => {
          done(failure);
        },
      );
    },
  });
}
