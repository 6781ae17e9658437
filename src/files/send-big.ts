import { RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import {
  BLOCK_BYTES,
  type Blocks,
  blockLines,
  blocksOf,
  NO_BLOCKS,
  parseBlocks,
} from './block-hash.ts';
import { type Built, buildBig } from './build-big.ts';
import type { Codec } from './codec.ts';
import { failed, hashSeconds, type Pod } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { factsScript, parseFacts } from './pod-names.ts';
import { readAhead, readThrough } from './read-through.ts';
import type { Parcel } from './send.ts';
import { isBased, LONG_SECONDS, sendPieces, withoutPython } from './send-pieces.ts';
import type { Look } from './sync-look.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';
import type { LocalFile } from './walk.ts';

/** From here a file goes piece by piece, so that a broken link costs a piece and not the file. */
export const BIG_BYTES = 8 << 20;
const CERTAINLY_SECONDS = 0.03;
/** Up to here one stream carries more than the hashing that goes on beside it. */
const ONE_STREAM_SECONDS = 0.015;

/** Paths of those that need not be hashed before: what an older one on the pod lacks is found as they are sent. */
export function comparedAsSent(look: Look, files: readonly LocalFile[]): (path: string) => boolean {
  if (!look.programs.has('python3')) return () => false;
  let big: ReadonlySet<string> | undefined;
  return (name) => {
    big ??= new Set(files.filter(({ bytes }) => bytes >= BIG_BYTES).map(({ path }) => path));
    return big.has(name);
  };
}

export interface BigSent extends Omit<Built, 'alike'> {
  /** Paths of what the pod has already, by its own hash; nothing of it was sent. */
  readonly same: ReadonlySet<string>;
}

/**
 * Writes big files into the staging folder: in one pass where the way is short and the pod has python3; over several streams
 * where it is long: all of them, or what differs from what an earlier attempt left there, or from the old file in place.
 * Undefined when the pod's dd cannot do it. What has no hash of its own yet is proven later, with everything else.
 */
export async function sendBig(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
  options: { readonly codec: Codec; readonly nowMs: () => number },
): Promise<BigSent | undefined> {
  const roundTripSeconds = await roundTrip(pod, options.nowMs);
  const hasPython = parcel.look.programs.has('python3');
  if (hasPython && !parcel.resume && roundTripSeconds <= ONE_STREAM_SECONDS) {
    const bases = basesOf(pod, parcel, files);
    const built = await buildBig(pod, parcel, files, { ...options, bases }).finally(async () =>
      Promise.allSettled(bases.map(async (base) => base)),
    );
    if (built !== undefined) return { ...built, same: await proven(pod, parcel, files, built) };
    return sendHashed(pod, withoutPython(parcel), files, {
      codec: options.codec,
      roundTripSeconds,
    });
  }
  return sendHashed(pod, parcel, files, { codec: options.codec, roundTripSeconds });
}

/** What may be there already is hashed before anything of it leaves; all else is while it goes, just ahead of what is sent. */
async function sendHashed(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
  options: { readonly codec: Codec; readonly roundTripSeconds: number },
): Promise<BigSent | undefined> {
  const late = files.filter(({ sha256 }) => sha256 === '');
  const older = late.filter((file) => isBased(parcel, file));
  const first = parcel.resume ? late : older;
  // Both ends hash at the same time.
  const asking = hashesThere(pod, parcel, older);
  const reading = readThrough(first, parcel, pod.call.signal);
  const [there, hashes] = await Promise.all([asking, reading]).finally(async () =>
    Promise.allSettled([asking, reading]),
  );
  const isSame = ({ path, executable }: PlannedFile): boolean =>
    hashes.has(path) &&
    hashes.get(path) === there.get(path) &&
    parcel.executableThere(path) === executable;
  const same = new Set(older.filter(isSame).map(({ path }) => path));
  const left = files.filter(({ path }) => !same.has(path));
  const isFirst = new Set(first.map(({ path }) => path));
  const hashed = left
    .map((file) => ({ ...file, sha256: file.sha256 || (hashes.get(file.path) ?? '') }))
    // One that has none although it was read through changed or went meanwhile: it comes up again.
    .filter(({ path, sha256 }) => sha256 !== '' || !isFirst.has(path));
  if (hashed.length === 0) return { hashes, sums: new Map(), same };
  const ahead = readAhead(
    late.filter((file) => !first.includes(file)),
    parcel,
    pod.call.signal,
  );
  try {
    const isSent = await sendPieces(pod, parcel, hashed, { ...options, whenRead: ahead.whenRead });
    const found = await ahead.hashes;
    return isSent ? { hashes: new Map([...hashes, ...found]), sums: new Map(), same } : undefined;
  } finally {
    await ahead.stop();
  }
}

/** What is in place of these files; asks the pod for what is not known for sure. */
async function hashesThere(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const unknown = files.filter(({ path }) => parcel.hashThere(path) === undefined);
  const names = unknown.map(({ path }) => path);
  const script = factsScript(parcel.look.real, names, [], fastHash(totalBytes(unknown)));
  const timeoutSeconds = hashSeconds(totalBytes(unknown));
  const output =
    names.length === 0
      ? Buffer.alloc(0)
      : await pod.must(script, { timeoutSeconds, what: 'hash the files that are there' });
  const { facts } = parseFacts(output, names);
  return new Map(
    files.map(({ path }) => [path, parcel.hashThere(path) ?? facts.get(path)?.sha256]),
  );
}

/** What the pod has in place of each file that may be patched there. */
function basesOf(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
): readonly (Promise<Blocks | undefined> | undefined)[] {
  const known = files.map((file) => blocksOf(parcel.hashThere(file.path), BLOCK_BYTES));
  const asked = files.filter((file, index) => isBased(parcel, file) && known[index] === undefined);
  const asking = asked.length === 0 ? undefined : askBlocks(pod, parcel, asked);
  // Awaited later, or not at all.
  asking?.catch(() => undefined);
  return files.map((file, index): Promise<Blocks | undefined> | undefined => {
    if (!isBased(parcel, file)) return undefined;
    const blocks = known[index];
    if (blocks !== undefined) return Promise.resolve(blocks);
    return asking?.then((found) => found[asked.indexOf(file)]);
  });
}

async function askBlocks(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
): Promise<readonly (Blocks | undefined)[]> {
  const names = files.map(({ path }) => path);
  const { exitCode, stdout, stderr } = await pod.run(
    [`cd ${shellQuote(parcel.look.real)} || exit 42`, ...blockLines(names, true), ''].join('\n'),
    { timeoutSeconds: hashSeconds(totalBytes(files)) },
  );
  // As if there were none.
  if (exitCode === NO_BLOCKS) return files.map(() => undefined);
  if (exitCode !== 0) throw failed('compare the old files', exitCode, stderr);
  return parseBlocks(stdout, files.length, true);
}

/** Which of those that are alike the pod has: equal digests of blocks are no proof. Throws `checksum_mismatch`. */
async function proven(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
  { alike, hashes }: Built,
): Promise<ReadonlySet<string>> {
  const found = files.filter(({ path }) => alike.has(path));
  const there = await hashesThere(pod, parcel, found);
  for (const file of found) {
    const own = hashes.get(file.path) ?? file.sha256;
    // One without a hash changed while it was read: it comes up again.
    if (own !== '' && own !== there.get(file.path))
      throw new RemoteError(
        'checksum_mismatch',
        `${JSON.stringify(file.path)} differs from the file on the pod, and no block of it does. Nothing was replaced.`,
        { hint: 'Call again when nothing on the pod writes to it.' },
      );
  }
  return new Set(found.map(({ path }) => path));
}

/** Seconds. A short way that seems long is asked again: the pod may have been busy. */
export async function roundTrip(pod: Pod, nowMs: () => number): Promise<number> {
  let seconds = Infinity;
  for (let ask = 0; ask < 2 && seconds > LONG_SECONDS; ask += 1) {
    if (seconds < Infinity && seconds > CERTAINLY_SECONDS) break;
    const startedMs = nowMs();
    await pod.must(':\n', { timeoutSeconds: 60, what: 'answer' });
    seconds = Math.min(seconds, (nowMs() - startedMs) / 1000);
  }
  return seconds;
}
