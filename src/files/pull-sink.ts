import { Writable } from 'node:stream';
import { type Piece, SMALL_BYTES } from './pull-work.ts';

/** A stream said more, or something else, than it was asked for. */
export class UnsafeStream extends Error {}

export interface SinkOptions {
  /** A whole small file, or up to 1 MiB of a large one. Called one after another; the bytes are its own until it answers. */
  readonly receive: (piece: Piece, offset: number, parts: readonly Buffer[]) => Promise<void>;
  readonly onBytes: (chunk: Buffer) => void;
}

export interface Sink {
  /** Copies what it is given before its `write` returns. */
  readonly stream: Writable;
  /** What our own side broke at. */
  failure(): unknown;
  /** Settles when the stream has ended or broken. */
  ended(): Promise<void>;
  /** What came is on the disk. */
  closed(): Promise<void>;
  unfinished(): readonly Piece[];
}

const BLOCK_BYTES = 1 << 20;
/** Gathered or being written; when the disk is slower than the link, no more is taken. */
const MAX_BLOCKS = 4;

/** Cuts the stream by the sizes that were asked for. Blocks are gathered while others are written, in the same memory again and again. */
export function createSink(
  asked: readonly Piece[],
  options: SinkOptions,
  onTaken: (bytes: number) => void,
): Sink {
  let index = 0;
  /** Of the current piece: handed on, and gathered. */
  let done = 0;
  let gathered = 0;
  let parts: Buffer[] = [];
  let block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** Up to here the block is full, and from there on the current piece has it. */
  let fill = 0;
  let from = 0;
  const spare: Buffer[] = [];
  /** Full, and not written yet. */
  let used: Buffer[] = [];
  let blocks = 1;
  let writing: Promise<void> = Promise.resolve();
  let waiting: (() => void) | undefined;
  let failure: unknown;

  const cutPart = (): void => {
    if (fill > from) parts.push(block.subarray(from, fill));
    from = fill;
  };
  const nextBlock = (): void => {
    cutPart();
    used.push(block);
    block = spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    blocks += 1;
    fill = 0;
    from = 0;
  };
  const giveBack = (written: readonly Buffer[]): void => {
    blocks -= written.length;
    for (const one of written) if (spare.length < MAX_BLOCKS) spare.push(one);
    if (blocks > MAX_BLOCKS) return;
    const goOn = waiting;
    waiting = undefined;
    goOn?.();
  };
  const handOn = (piece: Piece): void => {
    cutPart();
    const offset = piece.offset + done;
    const [mine, full] = [parts, used];
    parts = [];
    used = [];
    done += gathered;
    gathered = 0;
    writing = writing.then(async () => {
      await options.receive(piece, offset, mine);
      giveBack(full);
    });
    writing.catch((thrown: unknown) => {
      failure ??= thrown;
      stream.destroy(asError(thrown));
    });
  };
  const take = (chunk: Buffer): void => {
    options.onBytes(chunk);
    for (let at = 0; ; ) {
      const piece = asked[index];
      if (piece === undefined) {
        if (at === chunk.length) return;
        throw new UnsafeStream('More bytes than were asked for.');
      }
      if (fill === block.length) nextBlock();
      const length = Math.min(
        chunk.length - at,
        piece.bytes - done - gathered,
        block.length - fill,
      );
      if (length > 0) {
        chunk.copy(block, fill, at, at + length);
        at += length;
        fill += length;
        gathered += length;
        onTaken(length);
      }
      const isWhole = done + gathered === piece.bytes;
      if (isWhole || (fill === block.length && piece.file.bytes > SMALL_BYTES)) handOn(piece);
      if (isWhole) {
        index += 1;
        done = 0;
      } else if (at === chunk.length) return;
    }
  };
  const stream = new Writable({
    highWaterMark: BLOCK_BYTES,
    write(chunk: Buffer, _encoding, callback) {
      try {
        take(chunk);
      } catch (thrown) {
        failure ??= thrown;
        callback(asError(thrown));
        return;
      }
      if (blocks <= MAX_BLOCKS) callback();
      else waiting = callback;
    },
    final(callback) {
      writing.then(
        () => {
          callback();
        },
        (thrown: unknown) => {
          callback(asError(thrown));
        },
      );
    },
  });
  const ended = new Promise<void>((resolve) => {
    stream.once('finish', resolve);
    stream.once('close', resolve);
  });
  stream.on('error', (thrown) => {
    if (thrown instanceof UnsafeStream) failure ??= thrown;
  });
  return {
    stream,
    failure: () => failure,
    ended: async () => ended,
    async closed() {
      const piece = asked[index];
      // What came of a large file before a break is where the next stream goes on.
      if (
        piece !== undefined &&
        gathered > 0 &&
        piece.file.bytes > SMALL_BYTES &&
        failure === undefined
      )
        handOn(piece);
      await writing.catch(() => undefined);
    },
    unfinished() {
      const current = asked[index];
      if (current === undefined) return [];
      const kept = current.file.bytes > SMALL_BYTES ? done : 0;
      return [
        { file: current.file, offset: current.offset + kept, bytes: current.bytes - kept },
        ...asked.slice(index + 1),
      ];
    },
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('A write failed.');
}
