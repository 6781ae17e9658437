import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Never through a link that took the place of a file, and without waiting for whoever writes into a pipe. */
export const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const GONE = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO'];

/** Whether a failure says that there is no file of that name any more: nothing is, or a folder, a link or a socket. */
export function isGone(failure: unknown): boolean {
  return (
    failure instanceof Error &&
    'code' in failure &&
    typeof failure.code === 'string' &&
    GONE.includes(failure.code)
  );
}

/** Of a file that went: nothing. Anything else is thrown. */
export function goneIsNothing(failure: unknown): undefined {
  if (!isGone(failure)) throw failure;
}

/** Something else took the place of a file. */
class NoFile extends Error {
  readonly code = 'ENOENT';
  readonly path: string;

  constructor(absolute: string) {
    super('There is no file of that name any more.');
    this.path = absolute;
  }
}

/** For reading. Throws what `isGone` knows when there is no file of that name any more. */
export async function openFile(absolute: string): Promise<FileHandle> {
  const handle = await open(absolute, READ_ONLY);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new NoFile(absolute);
}
