import type { Readable } from 'node:stream';
import type { ServerChannel } from 'ssh2';

export interface ChannelOutput {
  /** Sends all of `source`, slowing it down to what the client takes. Resolves at its end or when the channel is gone. */
  pump(source: Readable, to: 'stdout' | 'stderr'): Promise<void>;
  /** Resolves when the bytes are on their way within the client's window, `false` when the channel is gone. */
  send(bytes: Buffer, to: 'stdout' | 'stderr'): Promise<boolean>;
  readonly isClosed: () => boolean;
}

/** One queue for both output streams of a channel: at most one write is under way at any time. */
export function createChannelOutput(channel: ServerChannel): ChannelOutput {
  let closed = false;
  let announceClose = (): void => undefined;
  const gone = new Promise<false>((resolve) => {
    announceClose = () => {
      closed = true;
      resolve(false);
    };
  });
  channel.once('close', announceClose);
  channel.on('error', announceClose);
  channel.stderr.on('error', announceClose);
  let tail: Promise<boolean> = Promise.resolve(true);

  async function write(bytes: Buffer, to: 'stdout' | 'stderr'): Promise<boolean> {
    if (closed) return false;
    forgetSentChunk(channel);
    const stream = to === 'stdout' ? channel : channel.stderr;
    const written = new Promise<boolean>((resolve) => {
      stream.write(bytes, (failure) => {
        resolve(failure === null || failure === undefined);
      });
    });
    return Promise.race([written, gone]);
  }

  const send: ChannelOutput['send'] = async (bytes, to) => {
    tail = tail.then(async () => write(bytes, to));
    return tail;
  };
  return {
    send,
    isClosed: () => closed,
    async pump(source, to) {
      const drop = (): void => {
        source.destroy();
      };
      void gone.then(drop);
      try {
        for await (const chunk of source)
          if (!Buffer.isBuffer(chunk) || !(await send(chunk, to))) break;
      } catch {
        // Cut off on our side, or the process closed it hard: either way there is nothing more to read.
      }
    },
  };
}

/**
 * ssh2 keeps the rest of a write that waited for the client's window, and does not forget it when it is sent: the next
 * wait of the other stream would send it again. With one write at a time it is safe to forget it here.
 */
function forgetSentChunk(channel: ServerChannel): void {
  for (const field of ['_chunk', '_chunkcb', '_chunkErr', '_chunkcbErr'])
    Reflect.set(channel, field, undefined);
}
