import { appendFile, rename, stat } from 'node:fs/promises';
import type { Clock } from '../core/call.ts';

const MOST_BYTES = 1_000_000;

/**
 * Lines of the watcher, one after the other, in a file that only its owner reads. A file of 1 MB becomes `FILE.1`, and the one
 * before goes. What cannot be written is lost: a full disk ends no watch.
 */
export function createLogFile({
  file,
  clock,
  redact,
}: {
  readonly file: string;
  readonly clock: Clock;
  readonly redact: (text: string) => string;
}): (text: string) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  const write = async (line: string): Promise<void> => {
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    if (size >= MOST_BYTES) await rename(file, `${file}.1`);
    await appendFile(file, line, { mode: 0o600 });
  };
  return async (text) => {
    const words = redact(text).replaceAll(/[\u0000-\u001f\u007f]+/g, ' ');
    const line = `${clock.now().toISOString()} ${words}\n`;
    last = last.then(async () => write(line)).catch(() => undefined);
    return last;
  };
}
