import { isAppError, RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { CHANGED } from './as-sent.ts';
import type { Blocks } from './block-hash.ts';
import { BUILD_EXIT, buildScript, sumName } from './build-script.ts';
import { type Codec, openWire, UNPACK } from './codec.ts';
import { throwUnsent } from './local-failure.ts';
import { goneIsNothing, openFile } from './open-local.ts';
import { CHUNK, packBuilt } from './pack-built.ts';
import { failed, type Pod, transferSeconds } from './pod.ts';
import { dotted } from './pod-names.ts';
import type { Parcel } from './send.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';
import { createUsedAgain } from './used-again.ts';

/** What python3 says when it is not there, not to be run, or lacks a part of itself. */
const NO_PYTHON: readonly (number | null)[] = [1, 126, 127];

export interface Built {
  /** In which home was not waited for; undefined when that is not known. */
  readonly lineSeconds?: number;
  /** By path, of files that were hashed on their way out; of one that had gone, what is no hash. */
  readonly hashes: ReadonlyMap<string, string>;
  /** By path: a file in the staging folder with the hash of what was written there. */
  readonly sums: ReadonlyMap<string, string>;
  /** Paths of which no block differs from what is in place, and nothing was sent. */
  readonly alike: ReadonlySet<string>;
}

/**
 * Writes files into the staging folder in one pass at both ends: here each is read once, hashed, looked through and compared
 * with its base; there it is put together from what arrives and from the old file in place, and hashed as it is written.
 * Answers undefined when the pod's python3 cannot do it.
 */
export async function buildBig(
  pod: Pod,
  parcel: Parcel,
  files: readonly PlannedFile[],
  options: {
    readonly codec: Codec;
    readonly nowMs: () => number;
    /** Of the old file in place of each, where it has one. */
    readonly bases: readonly (Promise<Blocks | undefined> | undefined)[];
  },
): Promise<Built | undefined> {
  const { codec, nowMs, bases } = options;
  const folder = `${parcel.look.real}/${parcel.staging}`;
  const token = randomToken(20);
  const hashes = new Map<string, string>();
  const alike = new Set<string>();
  const memory = createUsedAgain(CHUNK);
  const parts = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for (const [index, file] of files.entries()) {
      const way = {
        ...{ number: index + 1, base: bases[index], late: parcel.late, memory, token },
        mayBeAlike: parcel.executableThere(file.path) === file.executable,
      };
      await using handle = await openFile(file.absolute).catch(goneIsNothing);
      if (handle === undefined) {
        hashes.set(file.path, CHANGED);
        continue;
      }
      const { sha256, isAlike } = yield* packBuilt(file, handle, way, pod.call.signal);
      if (sha256 !== undefined) hashes.set(file.path, sha256);
      if (isAlike) alike.add(file.path);
    }
  };
  const startedMs = nowMs();
  const wire = openWire(parts(), codec, { meter: parcel.meter, nowMs });
  const parents = new Set(
    files.map(({ path }) => dotted(path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '.')),
  );
  const script = [
    `umask 022; mkdir -p -- ${shellQuote(folder)} && cd ${shellQuote(folder)} || exit 42`,
    `mkdir -p -- ${[...parents].map(shellQuote).join(' ')} || exit 31`,
    `${UNPACK[codec]}${buildScript(
      files.map(({ path }) => path),
      token,
    )}`,
  ].join('\n');
  const { exitCode, stderr } = await pod.remote
    .stream(pod.podId, script, {
      ...pod.call,
      timeoutSeconds: transferSeconds(totalBytes(files)),
      stdin: wire.stream,
      taken: memory.taken,
      lane: 1,
    })
    .catch((failure: unknown) => {
      throw isAppError(wire.failure()) ? wire.failure() : failure;
    })
    .finally(() => wire.stream.destroy());
  const broken = wire.failure();
  if (isAppError(broken)) throw broken;
  // What the pod says of its end comes before what breaks here because of it.
  if (broken !== undefined && [null, 0, BUILD_EXIT.cut].includes(exitCode)) throwUnsent(broken);
  if (NO_PYTHON.includes(exitCode)) return undefined;
  if (exitCode === BUILD_EXIT.base)
    throw new RemoteError(
      'checksum_mismatch',
      'A file on the pod changed while a new one was made from it. Nothing was replaced.',
      { hint: 'Call again when nothing on the pod writes to it.' },
    );
  if (exitCode !== 0) throw failed('write the files', exitCode, stderr);
  const sums = files.map(({ path }, index) => [path, sumName(token, index + 1)] as const);
  const lineSeconds = (nowMs() - startedMs) / 1000 - wire.sourceSeconds();
  return { lineSeconds, hashes, sums: new Map(sums), alike };
}
