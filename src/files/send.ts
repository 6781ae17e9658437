import { createHash } from 'node:crypto';
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
  type Wire,
} from './codec.ts';
import { collect } from './collect.ts';
import type { LateHash } from './late-hash.ts';
import { throwUnsent } from './local-failure.ts';
import { END_OF_TAR, packFiles, packText } from './pack.ts';
import { type Placing, placeScript } from './place-script.ts';
import { type After, type Answer, RECEIVE_EXIT, readPlaced } from './placed.ts';
import { HASH_FUNCTION, hashSeconds, type Pod, transferSeconds } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { factsScript, parseFacts } from './pod-names.ts';
import { BIG_BYTES, sendBig } from './send-big.ts';
import type { Look } from './sync-look.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';
import type { TreeListing } from './tree-listing.ts';

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
}
export interface Pace {
  rates(): Rates;
  note(codec: Codec, contentBytes: number, seconds: number): void;
}

const PLACE_NAME = '.gpu-lease-place-';
const NO_FOLDER = 42;
/** Below this no packer is worth its start. */
const SMALL_PARCEL_BYTES = 64 << 10;

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
            `rm -rf -- ${shellQuote(stagingPath(parcel))}`,
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
  const codec =
    totalBytes(missing) < SMALL_PARCEL_BYTES
      ? 'none'
      : chooseCodec({
          ratio: sampleRatio(missing),
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
  let placed: readonly PlannedFile[] = [];
  const parts = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield* packFiles(left, (path, sha256) => sent.set(path, sha256), {
      late: parcel.late,
      signal: pod.call.signal,
    });
    placed = files.flatMap((file) => asSent(file, sent.get(file.path), parcel.late));
    const script = placeScript({
      ...parcel.place,
      target: look.real,
      staging: parcel.staging,
      files: placed,
      sums: built?.sums,
      // Nothing else can be in the staging folder.
      alone: !parcel.resume && placed.length === files.length,
    });
    const name = `./${PLACE_NAME}${createHash('sha256').update(script).digest('hex')}`;
    yield packText(name, script);
    yield END_OF_TAR;
  };
  const openedMs = nowMs();
  const wire = openWire(parts(), codec, { meter: parcel.meter, nowMs });
  wire.stream.once('end', () => {
    pace.note(codec, totalBytes(left), (nowMs() - openedMs) / 1000 - wire.sourceSeconds());
  });
  const answer = await streamTo(pod, parcel, wire, UNPACK[codec]);
  const after = readPlaced(answer, placed, parcel.read);
  return {
    placed,
    same,
    changed: placed.length === files.length ? [] : without(files, [...placed, ...same]),
    after,
  };
}

async function streamTo(pod: Pod, parcel: Parcel, wire: Wire, unpack: string): Promise<Answer> {
  const bytes = totalBytes(parcel.files);
  const printed = collect();
  const script = [
    HASH_FUNCTION,
    'LC_ALL=C; export LC_ALL; umask 022',
    `mkdir -p -- ${shellQuote(stagingPath(parcel))} && cd ${shellQuote(stagingPath(parcel))} || exit ${NO_FOLDER}`,
    `for f in ./${PLACE_NAME}*; do if [ -e "$f" ]; then rm -f "$f"; fi; done`,
    `${unpack}tar -xof - || exit ${RECEIVE_EXIT.unpack}`,
    `for f in ./${PLACE_NAME}*; do x=$(H - <"$f"); [ "./${PLACE_NAME}\${x%% *}" = "$f" ] && exec sh "$f"; done`,
    `exit ${RECEIVE_EXIT.cut}`,
  ].join('\n');
  const { exitCode, stderr } = await pod.remote
    .stream(pod.podId, script, {
      ...pod.call,
      timeoutSeconds: transferSeconds(bytes + parcel.files.length * 1024) + hashSeconds(bytes),
      stdin: wire.stream,
      stdout: printed.sink,
    })
    .catch((failure: unknown) => {
      // What was refused here is why the line was cut off.
      throw isAppError(wire.failure()) ? wire.failure() : failure;
    })
    // A transport that failed early leaves the source, and the file it has open, to us.
    .finally(() => wire.stream.destroy());
  const broken = wire.failure();
  if (isAppError(broken)) throw broken;
  if (broken !== undefined) throwUnsent(broken);
  return { exitCode, stderr, stdout: printed.bytes() };
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
