import { Readable } from 'node:stream';
import { isAppError } from '../core/errors.ts';
import { MAX_LANES } from '../core/remote.ts';
import { type Codec, type Meter, openWire, UNPACK, type Wire } from './codec.ts';
import { throwUnsent } from './local-failure.ts';
import { END_OF_TAR, SLAB_BYTES } from './pack.ts';
import { failed, type Pod, transferSeconds } from './pod.ts';
import { isWorthLogin, usualPace } from './pull-pace.ts';
import { unpackScript } from './receive.ts';
import { createUsedAgain, type UsedAgain } from './used-again.ts';

/** What is sent over connections of its own, into the same folder as the stream that ends with the script. */
export interface Beside {
  /** Settles when all that was begun has been unpacked. What never began is not waited for. Throws what failed. */
  finish(): Promise<void>;
  stop(): Promise<void>;
}

interface Hand {
  /** Takes files; before that nobody misses it. */
  hasBegun: boolean;
  readonly done: Promise<void>;
  readonly stop: AbortController;
}

/** How many more streams carry so much over a link whose window, which belongs to the pod, is the limit. */
export function streamsBeside(rttSeconds: number, wireBytes: number): number {
  const bytesPerSecond = usualPace(rttSeconds, undefined);
  return isWorthLogin({ rttSeconds, bytesPerSecond, leftBytes: wireBytes }) ? MAX_LANES : 0;
}

/** `pack` is called once for each stream when its connection is there, and takes what nobody took before it. */
export function sendBeside(
  pod: Pod,
  streams: number,
  options: {
    readonly folder: string;
    readonly bytes: number;
    readonly codec: Codec;
    readonly meter: Meter;
    readonly pack: (memory: UsedAgain) => AsyncIterable<Buffer>;
  },
): Beside {
  const { codec, meter } = options;
  const send = async (lane: number, hand: () => Hand, stop: AbortSignal): Promise<void> => {
    const memory = createUsedAgain(SLAB_BYTES);
    let wire: Wire | undefined;
    const source = async function* (): AsyncGenerator<Buffer, void, undefined> {
      hand().hasBegun = true;
      yield* options.pack(memory);
      yield END_OF_TAR;
    };
    // Nothing is taken before somebody reads: a login may hang.
    const lazily = async function* (): AsyncGenerator<unknown, void, undefined> {
      wire = openWire(source(), codec, { meter });
      yield* wire.stream;
    };
    const { exitCode, stderr } = await pod.remote
      .stream(pod.podId, unpackScript(options.folder, `${UNPACK[codec]}tar -xof -`), {
        ...pod.call,
        signal: AbortSignal.any([pod.call.signal, stop]),
        timeoutSeconds: transferSeconds(options.bytes),
        stdin: Readable.from(lazily(), { objectMode: false }),
        lane,
        ...(codec === 'none' ? { taken: memory.taken } : {}),
      })
      .catch((failure: unknown) => {
        const broken = wire?.failure();
        throw isAppError(broken) ? broken : failure;
      })
      .finally(() => wire?.stream.destroy());
    const broken = wire?.failure();
    if (isAppError(broken)) throw broken;
    if (broken !== undefined) throwUnsent(broken);
    if (exitCode !== 0) throw failed('unpack the files', exitCode, stderr);
  };
  const hands = Array.from({ length: Math.max(0, streams) }, (_, index): Hand => {
    const stop = new AbortController();
    const done = send(index + 1, () => hand, stop.signal);
    // Heard by whoever finishes or stops.
    done.catch(() => undefined);
    const hand: Hand = { hasBegun: false, done, stop };
    return hand;
  });
  return {
    async finish() {
      const begun = hands.filter(({ hasBegun }) => hasBegun);
      for (const { hasBegun, stop } of hands) if (!hasBegun) stop.abort();
      await Promise.all(begun.map(async ({ done }) => done));
    },
    async stop() {
      for (const { stop } of hands) stop.abort();
      await Promise.allSettled(hands.map(async ({ done }) => done));
    },
  };
}
