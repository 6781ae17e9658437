import { isAppError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { asSent, CHANGED, isAsHashed, withHash, without } from './as-sent.ts';
import {
  type Codec,
  chooseCodec,
  hasZstd,
  type Meter,
  openWire,
  type Rates,
  sampleRatio,
  UNPACK,
} from './codec.ts';
import { createHashParts, SHARED_PART_BYTES } from './hash-parts.ts';
import type { LateHash } from './late-hash.ts';
import { END_OF_TAR, packFiles, SLAB_BYTES } from './pack.ts';
import { type Placing, placeScript } from './place-script.ts';
import { type After, readPlaced } from './placed.ts';
import { hashSeconds, type Pod } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { factsScript, parseFacts } from './pod-names.ts';
import { packPlacing, receive } from './receive.ts';
import { sendBeside, streamsBeside } from './send-beside.ts';
import { BIG_BYTES, roundTrip, sendBig } from './send-big.ts';
import type { Look } from './sync-look.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';
import type { TreeListing } from './tree-listing.ts';
import { createUsedAgain, type UsedAgain } from './used-again.ts';

export interface Sent {
  readonly placed: readonly PlannedFile[];
  /** The pod turned out to have them; not placed. */
  readonly same: readonly PlannedFile[];
  /** Were edited while they were being sent; not placed. */
  readonly changed: readonly PlannedFile[];
  readonly after: After;
}
export interface Parcel {
  readonly files: readonly PlannedFile[];
  readonly staging: string;
  /** Something of an earlier attempt may be in the staging folder. */
  readonly resume: boolean;
  readonly look: Look;
  /** Takes the listing at the end. */
  readonly read: (listing: Buffer) => TreeListing;
  /** Whether a file of this name is. */
  readonly isThere: (path: string) => boolean;
  /** The hash of what is in place, as far as it is known for sure. */
  readonly hashThere: (path: string) => string | undefined;
  /** Of a file in place. */
  readonly executableThere: (path: string) => boolean | undefined;
  readonly place: Pick<Placing, 'extras' | 'listed' | 'sweep'>;
  /** For files without a hash. */
  readonly late: LateHash;
  readonly meter: Meter;
  /** Told when the last file was read. */
  readonly packed: () => void;
}
export interface Pace {
  rates(): Rates;
  note(codec: Codec, contentBytes: number, seconds: number): void;
}

const REMOVE_TRIES = 30;
/** Below this no packer is worth its start. */
const SMALL_PARCEL_BYTES = 64 << 10;
/** Below this one stream carries it before another has logged in. */
const SHARED_PARCEL_BYTES = 16 << 20;

/**
 * One stream into a staging folder inside the target, ending with the script that hashes everything there and then moves
 * it into place. Until every file has arrived as sent, nothing in place is touched; a cut link leaves only the staging
 * folder, and what is whole in it is not sent again.
 */
export async function sendFiles(
  pod: Pod,
  parcel: Parcel,
  pace: Pace,
  nowMs: () => number,
): Promise<Sent> {
  try {
    return await sendThrough(pod, parcel, pace, nowMs);
  } catch (failure) {
    const goesOn = isAppError(failure) && ['link_lost', 'ssh_unreachable'].includes(failure.code);
    // Best effort: what cannot be removed now is swept by a later sync.
    if (!goesOn && !pod.call.signal.aborted)
      await pod
        .run(
          [
            // What unpacks there has not heard yet that it is over; in a folder that is gone it makes nothing.
            `n=0; while ! rm -rf -- ${shellQuote(stagingPath(parcel))} 2>/dev/null && [ $n -lt ${REMOVE_TRIES} ]; do`,
            'n=$((n+1)); sleep 0.1 2>/dev/null || sleep 1; done',
            ...(parcel.look.kind === 'absent' ? [`rmdir -- ${shellQuote(parcel.look.real)}`] : []),
            '',
          ].join('\n'),
          { timeoutSeconds: 60 },
        )
        .catch(() => undefined);
    throw failure;
  }
}

async function sendThrough(
  pod: Pod,
  parcel: Parcel,
  pace: Pace,
  nowMs: () => number,
): Promise<Sent> {
  const { files, look } = parcel;
  const sent = new Map<string, string>();
  if (parcel.resume)
    for (const file of await alreadyThere(pod, parcel)) sent.set(file.path, file.sha256);
  const missing = files.filter(({ path }) => !sent.has(path));
  const isSmall = totalBytes(missing) < SMALL_PARCEL_BYTES;
  const ratio = isSmall ? 1 : sampleRatio(missing);
  const codec = isSmall
    ? 'none'
    : chooseCodec({
        ratio,
        rates: pace.rates(),
        zstd: look.programs.has('zstd') && (await hasZstd()),
        gzip: look.programs.has('gzip'),
      });
  const big = missing.filter(({ bytes }) => bytes >= BIG_BYTES);
  const startedMs = nowMs();
  const built = big.length === 0 ? undefined : await sendBig(pod, parcel, big, { codec, nowMs });
  // Of a file that is patched, less than all goes out.
  if (built !== undefined && !parcel.resume && !big.some(({ path }) => parcel.isThere(path)))
    pace.note(codec, totalBytes(big), built.lineSeconds ?? (nowMs() - startedMs) / 1000);
  const same: PlannedFile[] = [];
  for (const file of big) {
    if (built === undefined) {
      // Changed while it was read, and too large to be read whole into memory: it comes up again.
      if (withHash(file, parcel.late).sha256 === '') sent.set(file.path, CHANGED);
      continue;
    }
    const sha256 = (await isAsHashed(file, pod.call.signal))
      ? (built.hashes.get(file.path) ?? file.sha256)
      : CHANGED;
    const isSame = built.same.has(file.path) && sha256 !== CHANGED;
    if (isSame) same.push({ ...file, sha256 });
    sent.set(file.path, isSame ? CHANGED : sha256);
  }
  const left = missing
    .filter(({ path }) => !sent.has(path))
    // What was read in vain before need not be read once more to be known.
    .map((file) => withHash(file, parcel.late));
  const arrived = (some: readonly PlannedFile[]): readonly PlannedFile[] =>
    some.flatMap((file) => asSent(file, sent.get(file.path), parcel.late));
  const wireBytes = totalBytes(left) * (codec === 'none' ? 1 : ratio);
  const streams =
    wireBytes < SHARED_PARCEL_BYTES ? 0 : streamsBeside(await roundTrip(pod, nowMs), wireBytes);
  const parts = createHashParts(left, streams > 0 ? SHARED_PART_BYTES : undefined);
  const inParts: PlannedFile[] = [];
  const pack = (
    some: readonly PlannedFile[],
    memory: UsedAgain,
  ): AsyncGenerator<Buffer, void, undefined> =>
    packFiles(some, (path, sha256) => sent.set(path, sha256), {
      late: parcel.late,
      memory,
      signal: pod.call.signal,
    });
  const queue = [...parts.groups];
  const packGroups = async function* (memory: UsedAgain): AsyncGenerator<Buffer, void, undefined> {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) {
      yield* pack(group, memory);
      const whole = arrived(group);
      yield parts.member(whole);
      for (const file of whole) inParts.push(file);
    }
  };
  const beside = sendBeside(pod, Math.min(streams, parts.groups.length - 1), {
    folder: stagingPath(parcel),
    bytes: totalBytes(left),
    codec,
    meter: parcel.meter,
    pack: packGroups,
  });
  const memory = createUsedAgain(SLAB_BYTES);
  let placed: readonly PlannedFile[] = [];
  const stream = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield* packGroups(memory);
    yield* pack(parts.rest, memory);
    await beside.finish();
    const others = files.filter(({ path }) => !parts.has(path));
    placed = [...inParts, ...arrived(others)];
    const script = placeScript({
      ...parcel.place,
      target: look.real,
      staging: parcel.staging,
      files: placed,
      sums: built?.sums,
      parts,
      // Nothing else can be in the staging folder.
      alone: !parcel.resume && placed.length === files.length,
    });
    parcel.packed();
    yield packPlacing(script);
    yield END_OF_TAR;
  };
  const openedMs = nowMs();
  const wire = openWire(stream(), codec, { meter: parcel.meter, nowMs });
  wire.stream.once('end', () => {
    // What goes beside it is waited for.
    const waited = streams > 0 ? 0 : wire.sourceSeconds();
    pace.note(codec, totalBytes(left), (nowMs() - openedMs) / 1000 - waited);
  });
  const unpacked = receive(pod, wire, {
    folder: stagingPath(parcel),
    files,
    unpack: `${UNPACK[codec]}tar -xof -`,
    parts,
    taken: codec === 'none' ? memory.taken : undefined,
  });
  const answer = await unpacked.finally(async () => beside.stop());
  const after = readPlaced(answer, placed, parcel.read);
  return {
    placed,
    same,
    changed: placed.length === files.length ? [] : without(files, [...placed, ...same]),
    after,
  };
}

/** Of an attempt that was cut off: what the pod holds whole. Big files are asked for block by block. */
async function alreadyThere(pod: Pod, parcel: Parcel): Promise<readonly PlannedFile[]> {
  const small = parcel.files.filter(({ bytes }) => bytes < BIG_BYTES);
  const names = small.map(({ path }) => path);
  const output = await pod.must(
    factsScript(stagingPath(parcel), names, [], fastHash(totalBytes(small))),
    {
      timeoutSeconds: hashSeconds(totalBytes(small)),
      what: 'hash the files that have arrived',
    },
  );
  const { facts } = parseFacts(output, names);
  return small.filter(({ path, sha256, executable }) => {
    const fact = facts.get(path);
    return fact?.sha256 === sha256 && fact.executable === executable;
  });
}

function stagingPath({ look, staging }: Parcel): string {
  return `${look.real}/${staging}`;
}
