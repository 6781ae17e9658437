import { isAppError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { MAX_LANES } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';
import {
  BLOCK_BYTES,
  type Blocks,
  blockLines,
  blocksOf,
  COARSE_BYTES,
  DELTA_BYTES,
  localBlocks,
  NO_BLOCKS,
  parseBlocks,
} from './block-hash.ts';
import { type Codec, type Meter, openWire, UNPACK } from './codec.ts';
import { throwUnsent } from './local-failure.ts';
import { goneIsNothing, openFile } from './open-local.ts';
import { PIECE_BYTES, type Piece, piecesOf } from './pieces.ts';
import { failed, HASH_FUNCTION, hashSeconds, type Pod, transferSeconds } from './pod.ts';
import { dotted } from './pod-names.ts';
import type { Parcel } from './send.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';

/** A round trip from which one stream's window, which belongs to the pod, is the limit. */
export const LONG_SECONDS = 0.008;
const STREAMS = 2 * MAX_LANES;
const NO_FULL_BLOCKS = 50;
const OUT_OF_STEP = 53;

/**
 * Sends what differs from what an earlier attempt left in the staging folder, or from a copy of the old file. `false`: the
 * pod's dd cannot do it.
 */
export async function sendPieces(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
  options: {
    readonly codec: Codec;
    readonly roundTripSeconds: number;
    /** Nothing of a file leaves before. */
    readonly whenRead: (path: string, bytes: number) => Promise<void>;
  },
): Promise<boolean> {
  const { codec, roundTripSeconds, whenRead } = options;
  const folder = `${parcel.look.real}/${parcel.staging}`;
  const { signal: given } = pod.call;
  const grain = parcel.look.programs.has('python3') ? BLOCK_BYTES : COARSE_BYTES;
  const isCompared = (file: PlannedFile): boolean => parcel.resume || isBased(parcel, file);
  const remembered = files.map((file) =>
    parcel.resume ? undefined : blocksOf(parcel.hashThere(file.path), BLOCK_BYTES),
  );
  // Both ends hash at the same time.
  const asking = prepare(pod, parcel, folder, files, {
    based: files.filter((file, index) => isCompared(file) && remembered[index] === undefined),
  });
  const own = Promise.all(
    files.map(async (file, index) => {
      if (!isCompared(file)) return undefined;
      const blockBytes = remembered[index]?.blockBytes ?? grain;
      return (
        blocksOf(file.sha256, blockBytes) ??
        (await localBlocks(file.absolute, blockBytes, given).catch(goneIsNothing))
      );
    }),
  );
  const [bases, blocks] = await Promise.all([asking, own]).finally(async () =>
    Promise.allSettled([asking, own]),
  );
  if (bases === undefined) return sendPieces(pod, withoutPython(parcel), files, options);
  const pieces = files.flatMap((file, index) =>
    piecesOf(file, index + 1, remembered[index] ?? bases[index], blocks[index]),
  );
  const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  const streams = roundTripSeconds > LONG_SECONDS ? STREAMS : 1;
  const hands = Math.max(1, Math.min(streams, Math.ceil(bytes / (2 * PIECE_BYTES))));
  const queue = pieces.toReversed();
  const stop = new AbortController();
  const signal = AbortSignal.any([given, stop.signal]);
  const outcomes = await Promise.allSettled(
    Array.from({ length: hands }, async (_, hand) =>
      writePieces({ ...pod, call: { ...pod.call, signal } }, folder, files, {
        async take() {
          const piece = queue.pop();
          const file = files[(piece?.file ?? 0) - 1];
          if (piece !== undefined && file !== undefined)
            await whenRead(file.path, Math.min(file.bytes, piece.at + piece.bytes));
          return piece;
        },
        bytes,
        lane: hands === 1 ? 1 : 1 + (hand % MAX_LANES),
        codec,
        meter: parcel.meter,
      }).catch((failure: unknown) => {
        stop.abort();
        throw failure;
      }),
    ),
  );
  // The first that failed ended the others.
  const failures = outcomes.flatMap((item) =>
    item.status === 'rejected' ? [asError(item.reason)] : [],
  );
  const first =
    failures.find((failure) => !('code' in failure && failure.code === 'cancelled')) ?? failures[0];
  if (first !== undefined) throw first;
  return outcomes.every((item) => item.status === 'fulfilled' && item.value);
}

/** For a pod whose python3 is there and does not work. */
export function withoutPython(parcel: Parcel): Parcel {
  const { look } = parcel;
  const programs = new Set([...look.programs].filter((program) => program !== 'python3'));
  return { ...parcel, look: { ...look, programs } };
}

/** Whether blocks of it are compared when the pod has an older one. */
export function isBased(parcel: Parcel, file: PlannedFile): boolean {
  return file.bytes >= DELTA_BYTES && parcel.isThere(file.path);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Makes the folders, copies old files to patch, and asks what is in `based`; undefined when python3 cannot say. */
async function prepare(
  pod: Pod,
  parcel: Parcel,
  folder: string,
  files: readonly PlannedFile[],
  { based }: { readonly based: readonly PlannedFile[] },
): Promise<readonly (Blocks | undefined)[] | undefined> {
  const hasPython = parcel.look.programs.has('python3');
  const parents = new Set(
    files.map(({ path }) => dotted(path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '.')),
  );
  const copies = files.filter(({ path, bytes }) => bytes >= DELTA_BYTES && parcel.isThere(path));
  const { exitCode, stdout, stderr } = await pod.run(
    [
      HASH_FUNCTION,
      `umask 022; mkdir -p -- ${shellQuote(folder)} && cd ${shellQuote(folder)} || exit 42`,
      `mkdir -p -- ${[...parents].map(shellQuote).join(' ')} || exit 31`,
      // A sum is of what was written then, not of what is patched now.
      'rm -f ./.gpu-lease-sum-*',
      'o() { if [ -f "../$1" ] && ! [ -h "../$1" ]; then if ! [ -e "$1" ]; then',
      'cp --reflink=auto -- "../$1" "$1" 2>/dev/null || cp -- "../$1" "$1" || exit 34; chmod u+rw "$1"',
      // What was cut off in the middle lacks the rest of the old file.
      `else k=$(($(wc -c <"$1") / ${BLOCK_BYTES})); dd if="../$1" of="$1" bs=${BLOCK_BYTES} skip=$k seek=$k conv=notrunc 2>/dev/null || exit 34; fi; fi; }`,
      ...copies.map(({ path }) => `o ${shellQuote(dotted(path))}`),
      ...blockLines(
        based.map(({ path }) => path),
        hasPython,
      ),
      'exit 0',
      '',
    ].join('\n'),
    { timeoutSeconds: 2 * hashSeconds(totalBytes(files)) },
  );
  if (exitCode === NO_BLOCKS && hasPython) return undefined;
  if (exitCode !== 0) throw failed('make room for the files', exitCode, stderr);
  const found = parseBlocks(stdout, based.length, hasPython);
  return files.map((file) => found[based.indexOf(file)]);
}

/** One stream: a line that says where, then the bytes, again and again. */
async function writePieces(
  pod: Pod,
  folder: string,
  files: readonly PlannedFile[],
  options: {
    readonly take: () => Promise<Piece | undefined>;
    readonly bytes: number;
    readonly lane: number;
    readonly codec: Codec;
    readonly meter: Meter;
  },
): Promise<boolean> {
  // Content must never be taken for a line, whatever goes wrong.
  const token = randomToken(20);
  const pieces = packPieces(files, options.take, token, pod.call.signal);
  const wire = openWire(pieces, options.codec, options);
  const script = [
    `cd ${shellQuote(folder)} || exit 42`,
    `set -- ${files.map(({ path }) => shellQuote(dotted(path))).join(' ')}`,
    `dd iflag=fullblock count=0 of=/dev/null </dev/null 2>/dev/null || exit ${NO_FULL_BLOCKS}`,
    `${UNPACK[options.codec]}{ while read -r o i s c x; do`,
    `[ "$x" = ${token} ] || exit ${OUT_OF_STEP}; eval "f=\\\${$i}"`,
    `if [ "$o" = w ]; then e=$(dd of="$f" bs=${BLOCK_BYTES} seek=$s count=$c iflag=fullblock conv=notrunc 2>&1) || { echo "$e" >&2; exit 52; }`,
    // Cuts off what an older file had behind it.
    `else e=$(dd of="$f" ibs=$c obs=${BLOCK_BYTES} seek=$s count=1 iflag=fullblock 2>&1) || { echo "$e" >&2; exit 52; }; fi; done; }`,
  ].join('\n');
  const { exitCode, stderr } = await pod.remote
    .stream(pod.podId, script, {
      ...pod.call,
      timeoutSeconds: transferSeconds(options.bytes),
      stdin: wire.stream,
      lane: options.lane,
    })
    .catch((failure: unknown) => {
      // What was refused here is why the line was cut off.
      throw isAppError(wire.failure()) ? wire.failure() : failure;
    })
    .finally(() => wire.stream.destroy());
  if (isAppError(wire.failure())) throw wire.failure();
  if (wire.failure() !== undefined) throwUnsent(wire.failure());
  if (exitCode === NO_FULL_BLOCKS) return false;
  if (exitCode !== 0) throw failed('write the files', exitCode, stderr);
  return true;
}

async function* packPieces(
  files: readonly PlannedFile[],
  take: () => Promise<Piece | undefined>,
  token: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  for (let piece = await take(); piece !== undefined; piece = await take()) {
    const file = files[piece.file - 1];
    if (file === undefined) return;
    await using handle = await openFile(file.absolute).catch(goneIsNothing);
    // Nobody waits for the rest of a file that is gone.
    if (handle === undefined) continue;
    const block = piece.at / BLOCK_BYTES;
    const amount = piece.isTail ? piece.bytes : piece.bytes / BLOCK_BYTES;
    yield Buffer.from(`${piece.isTail ? 't' : 'w'} ${piece.file} ${block} ${amount} ${token}\n`);
    for (let at = 0; at < piece.bytes; ) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafe(Math.min(1 << 20, piece.bytes - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, piece.at + at);
      // A file that shrank: its stamp tells afterwards.
      const chunk = bytesRead === 0 ? buffer.fill(0) : buffer.subarray(0, bytesRead);
      at += chunk.length;
      yield chunk;
    }
  }
}
