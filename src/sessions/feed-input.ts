import type { Readable, Writable } from 'node:stream';

/**
 * As `source.pipe(channel)`; `taken` is told of each chunk when the channel has copied all of it, and of none that it had to
 * drop.
 */
export function feedInput(
  source: Readable,
  channel: Writable,
  taken: (chunk: Buffer) => void,
): void {
  source.on('data', (chunk: Buffer) => {
    // Nobody reads on: what waits stays where it is.
    if (channel.destroyed || channel.writableEnded) {
      source.pause();
      return;
    }
    const hasRoom = channel.write(chunk, (failure) => {
      if (!failure) taken(chunk);
    });
    if (hasRoom) return;
    source.pause();
    channel.once('drain', () => source.resume());
  });
  source.once('end', () => channel.end());
}
