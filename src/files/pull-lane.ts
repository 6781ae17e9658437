import { PassThrough, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { AppError } from '../core/errors.ts';
import { type Pod, transferSeconds } from './pod.ts';
import { createSink, type SinkOptions } from './pull-sink.ts';
import { CUT_SHORT, type Piece, pullPrelude, type Work } from './pull-work.ts';

export interface LaneOptions extends SinkOptions {
  readonly root: string;
  readonly lane: number;
  readonly windowBytes: number | undefined;
  readonly zip: boolean;
  /** Bytes that may have been asked for and not come yet: so many that the pod never waits for the next question. */
  readonly aheadBytes: () => number;
  /** What to ask for next; undefined ends the stream. */
  readonly next: () => Work | undefined;
  /** Nothing is asked for before. */
  readonly released: Promise<void>;
  readonly leftBytes: number;
}

export interface LaneEnd {
  /** Asked for and not received, in order. */
  readonly unfinished: readonly Piece[];
  readonly exitCode: number;
  /** Absent: the stream ended by itself. */
  readonly failure?: unknown;
}

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
  void options.released.then(ask);
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
        lent: !options.zip,
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
