import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { ClientChannel } from 'ssh2';

/** Told by a channel whose output is lent, each time that some was taken. */
export const TAKEN = 'taken';

/**
 * Hands the output of `channel` to `to` in the moment in which it comes, past all queues, and ends it. A chunk is lent:
 * its memory is read into again later, so `to` copies what it needs before its `write` returns. While `to` is busy with an
 * earlier chunk, it gets copies. `read` drops what is not for it. Rejects when `to` breaks.
 */
export async function lendOutput(
  channel: ClientChannel,
  read: (chunk: Buffer) => Buffer | undefined,
  to: Writable,
): Promise<void> {
  /** Whether there is room for more. */
  const give = (chunk: Buffer): boolean => {
    const bytes = read(chunk);
    if (bytes === undefined || bytes.length === 0 || to.destroyed || to.writableEnded) return true;
    const hasRoom = to.write(to.writableLength === 0 ? bytes : Buffer.from(bytes));
    if (hasRoom) channel.emit(TAKEN);
    return hasRoom;
  };
  // What came before goes first, from the queue that it is in.
  channel.on('data', give);
  replacePush(channel, (chunk, queue) =>
    channel.readableLength > 0 ? queue(Buffer.from(chunk)) : give(chunk),
  );
  // These are kept longer than they are lent.
  replacePush(channel.stderr, (chunk, queue) => queue(Buffer.from(chunk)));
  to.on('drain', () => {
    channel.emit(TAKEN);
    // As the queue of the channel says it when somebody has read from it.
    channel._read(0);
  });
  channel.once('end', () => {
    to.end();
  });
  await finished(to, { readable: false });
}

interface Queue {
  push(chunk: unknown): boolean;
}

/** ssh2 hands every piece of output over by `push`, and the end as null. */
function replacePush(
  queue: Queue,
  take: (chunk: Buffer, queue: (chunk: Buffer) => boolean) => boolean,
): void {
  const push = queue.push.bind(queue);
  Object.defineProperty(queue, 'push', {
    value: (chunk: unknown) => (Buffer.isBuffer(chunk) ? take(chunk, push) : push(chunk)),
  });
}
