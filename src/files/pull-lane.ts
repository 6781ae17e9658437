import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { AppError } from '../core/errors.ts';
import { type Pod, transferSeconds } from './pod.ts';
import { CUT_SHORT, type Piece, pullPrelude, SMALL_BYTES, type Work } from './pull-work.ts';

/** A stream said more, or something else, than it was asked for. */
export class UnsafeStream extends Error {}

export interface LaneOptions {
  readonly root: string;
  readonly lane: number;
  readonly windowBytes: number | undefined;
  readonly zip: boolean;
  /** Bytes that may have been asked for and not come yet: so many that the pod never waits for the next question. */
  readonly aheadBytes: () => number;
  /** What to ask for next; undefined ends the stream. */
  readonly next: () => Work | undefined;
  /** A whole small file, or up to 1 MiB of a large one. Called one after another. */
  readonly receive: (piece: Piece, offset: number, parts: readonly Buffer[]) => Promise<void>;
  readonly onBytes: (chunk: Buffer) => void;
  readonly leftBytes: number;
}

export interface LaneEnd {
  /** Asked for and not received, in order. */
  readonly unfinished: readonly Piece[];
  readonly exitCode: number;
  /** Absent: the stream ended by itself. */
  readonly failure?: unknown;
}

const WRITE_BYTES = 1 << 20;

/** One stream from the pod: a shell that answers one question after another with bytes and nothing else. Never rejects. */
export async function runLane(pod: Pod, options: LaneOptions): Promise<LaneEnd> {
  const questions = new PassThrough({ highWaterMark: 16 << 20 });
  // A shell that ends early reads no more questions; how it ended is what counts.
  questions.on('error', () => undefined);
  const asked: Piece[] = [];
  let outstanding = 0;
  let isOver = false;

  const ask = (): void => {
    // What gzip holds back until it has more is never seen here, so it is asked for all there is.
    while (!isOver && (options.zip || outstanding < options.aheadBytes())) {
      const work = options.next();
      if (work === undefined) {
        isOver = true;
        questions.end('exit 0\n');
        return;
      }
      for (const piece of work.pieces) {
        asked.push(piece);
        outstanding += piece.bytes;
      }
      questions.write(work.script);
    }
  };
  const sink = createSink(asked, options, (bytes) => {
    outstanding -= bytes;
    ask();
  });

  questions.write(pullPrelude(options.root));
  ask();
  let failure: unknown;
  let exitCode = 0;
  let entrance: Writable = sink.stream;
  let unpacked: Promise<void> = Promise.resolve();
  const garbled = { is: false };
  if (options.zip) {
    const packed = new PassThrough({ highWaterMark: 256 << 10 });
    entrance = packed;
    unpacked = pipeline(packed, createGunzip({ chunkSize: 256 << 10 }), sink.stream);
    unpacked.catch((thrown: unknown) => {
      garbled.is = thrown instanceof Error && 'errno' in thrown && sink.failure() === undefined;
      packed.destroy();
    });
  }
  try {
    const answer = await pod.remote.stream(
      pod.podId,
      options.zip ? 'sh -s | gzip -1c' : 'exec sh -s',
      {
        ...pod.call,
        timeoutSeconds: transferSeconds(options.leftBytes),
        stdin: questions,
        stdout: entrance,
        lane: options.lane,
        ...(options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes }),
      },
    );
    exitCode = answer.exitCode;
    // A stand-in for a remote may end its command before it ends our stream.
    await sink.ended();
    await unpacked;
  } catch (thrown) {
    failure = thrown;
  } finally {
    isOver = true;
    questions.destroy();
    entrance.destroy();
    sink.stream.destroy();
    await unpacked.catch(() => undefined);
    await sink.closed();
  }
  // What gunzip cannot read is no more than a stream that ended early: the hashes decide what arrived.
  if (garbled.is && !(failure instanceof AppError))
    return { unfinished: sink.unfinished(), exitCode: CUT_SHORT };
  const broken = sink.failure() ?? failure;
  return {
    unfinished: sink.unfinished(),
    exitCode,
    ...(broken === undefined ? {} : { failure: broken }),
  };
}

interface Sink {
  readonly stream: Writable;
  /** What our own side broke at. */
  failure(): unknown;
  /** Settles when the stream has ended or broken. */
  ended(): Promise<void>;
  /** What came is on the disk. */
  closed(): Promise<void>;
  unfinished(): readonly Piece[];
}

/** Cuts the stream by the sizes that were asked for. One write is under way while the next is gathered. */
function createSink(
  asked: readonly Piece[],
  options: LaneOptions,
  onTaken: (bytes: number) => void,
): Sink {
  let index = 0;
  /** Of the current piece: handed on, and gathered. */
  let done = 0;
  let parts: Buffer[] = [];
  let gathered = 0;
  let writing: Promise<void> = Promise.resolve();
  let failure: unknown;
  let tail: Promise<void> = Promise.resolve();

  const handOn = async (piece: Piece): Promise<void> => {
    await writing;
    const offset = piece.offset + done;
    writing = options.receive(piece, offset, parts);
    // Looked at before the next write and at the end.
    writing.catch(() => undefined);
    done += gathered;
    parts = [];
    gathered = 0;
  };
  const take = async (chunk: Buffer): Promise<void> => {
    options.onBytes(chunk);
    for (let rest = chunk; ; ) {
      const piece = asked[index];
      if (piece === undefined) {
        if (rest.length === 0) return;
        throw new UnsafeStream('More bytes than were asked for.');
      }
      const part = rest.subarray(0, piece.bytes - done - gathered);
      rest = rest.subarray(part.length);
      if (part.length > 0) {
        parts.push(part);
        gathered += part.length;
        onTaken(part.length);
      }
      const isWhole = done + gathered === piece.bytes;
      if (isWhole || (gathered >= WRITE_BYTES && piece.file.bytes > SMALL_BYTES))
        await handOn(piece);
      if (isWhole) {
        index += 1;
        done = 0;
      } else if (rest.length === 0) return;
    }
  };
  const guard = (work: () => Promise<void>, callback: (failure?: Error | null) => void): void => {
    tail = work().catch((thrown: unknown) => {
      failure ??= thrown;
      throw thrown;
    });
    tail.then(
      () => {
        callback();
      },
      (thrown: unknown) => {
        callback(thrown instanceof Error ? thrown : new Error('A write failed.'));
      },
    );
  };
  const stream = new Writable({
    highWaterMark: WRITE_BYTES,
    write(chunk: Buffer, _encoding, callback) {
      guard(async () => take(chunk), callback);
    },
    final(callback) {
      guard(async () => writing, callback);
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
      await tail.catch(() => undefined);
      const piece = asked[index];
      // What came of a large file before a break is where the next stream goes on.
      if (
        piece !== undefined &&
        gathered > 0 &&
        piece.file.bytes > SMALL_BYTES &&
        failure === undefined
      )
        await handOn(piece).catch(() => undefined);
      await writing.catch((thrown: unknown) => {
        failure ??= thrown;
      });
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
