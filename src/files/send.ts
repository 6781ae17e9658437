import { pipeline, Readable, Transform } from 'node:stream';
import { createGzip } from 'node:zlib';
import { RemoteError } from '../core/errors.ts';
import { randomToken } from '../core/ids.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { isCompressible } from './compressible.ts';
import { packFiles } from './pack.ts';
import { failed, hashSeconds, type Pod, transferSeconds } from './pod.ts';
import { batches, dotted, factsScript, foldersOf, parseFacts } from './pod-names.ts';
import { type PlannedFile, totalBytes } from './sync-plan.ts';

export const STAGING_PREFIX = '.gpu-lease-sync-';

export interface Sent {
  readonly placed: readonly PlannedFile[];
  /** Were edited while they were being sent; not placed. */
  readonly changed: readonly PlannedFile[];
  readonly wireBytes: number;
}

/**
 * One stream into a staging folder inside `target`, hashed there by the pod, then renamed into place. Until every file has
 * arrived as sent, nothing in place is touched; a cut link leaves only a staging folder.
 */
export async function sendFiles(
  pod: Pod,
  target: string,
  files: readonly PlannedFile[],
  options: { readonly hasGzip: boolean },
): Promise<Sent> {
  const staging = `${target}/${STAGING_PREFIX}${randomToken(12)}`;
  try {
    return await sendThrough(pod, target, staging, files, options.hasGzip);
  } catch (failure) {
    // Best effort: what cannot be removed now is swept by the next sync.
    if (!pod.call.signal.aborted)
      await pod
        .run(`rm -rf -- ${shellQuote(staging)}\n`, { timeoutSeconds: 60 })
        .catch(() => undefined);
    throw failure;
  }
}

async function sendThrough(
  pod: Pod,
  target: string,
  staging: string,
  files: readonly PlannedFile[],
  hasGzip: boolean,
): Promise<Sent> {
  const bytes = totalBytes(files);
  const zip = hasGzip && isCompressible(files);
  const sent = new Map<string, string>();
  const wire = countedStream(
    packFiles(files, (path, sha256) => sent.set(path, sha256), pod.call.signal),
    zip,
  );
  const script = [
    'umask 022',
    `mkdir -p -- ${shellQuote(target)} && mkdir -- ${shellQuote(staging)} && cd ${shellQuote(staging)} || exit 42`,
    zip ? 'gzip -dc | tar -xof -' : 'tar -xof -',
  ].join('\n');
  const { exitCode, stderr } = await pod.remote
    .stream(pod.podId, script, {
      ...pod.call,
      timeoutSeconds: transferSeconds(bytes + files.length * 1024),
      stdin: wire.stream,
    })
    // A transport that failed early leaves the source, and the file it has open, to us.
    .finally(() => wire.stream.destroy());
  const broken = wire.failure();
  if (broken !== undefined)
    throw new RemoteError('checksum_mismatch', 'A local file vanished while it was being sent.', {
      cause: broken,
      hint: 'Call again when the files no longer change.',
    });
  const arrived = await hashRemote(pod, staging, files);
  const wrong = files.filter(({ path }) => arrived.get(path) !== (sent.get(path) ?? ''));
  if (wrong.length > 0) {
    if (exitCode !== 0) throw failed('unpack the files', exitCode, stderr);
    throw new RemoteError(
      'checksum_mismatch',
      `${wrong.length} of ${files.length} files arrived altered, first ${JSON.stringify(wrong[0]?.path)}. Nothing was replaced.`,
    );
  }
  const placed = files.filter(({ path, sha256 }) => sent.get(path) === sha256);
  await pod.must(placeScript(target, staging, placed), {
    timeoutSeconds: 600,
    what: 'put the files in place',
  });
  const inPlace = await hashRemote(pod, target, placed);
  const lost = placed.filter(({ path, sha256 }) => inPlace.get(path) !== sha256);
  if (lost.length > 0)
    throw new RemoteError(
      'checksum_mismatch',
      `${lost.length} files are not what was sent, first ${JSON.stringify(lost[0]?.path)}. Something else writes there.`,
    );
  return {
    placed,
    changed: files.filter(({ path, sha256 }) => sent.get(path) !== sha256),
    wireBytes: wire.bytes(),
  };
}

async function hashRemote(
  pod: Pod,
  folder: string,
  files: readonly PlannedFile[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const names = files.map(({ path }) => path);
  const output = await pod.must(factsScript(folder, names, []), {
    timeoutSeconds: hashSeconds(totalBytes(files)),
    what: 'hash the files',
  });
  const { facts } = parseFacts(output, names);
  return new Map([...facts].map(([name, fact]) => [name, fact.sha256]));
}

/** One `mv` for each folder: each file is replaced by one rename. */
function placeScript(target: string, staging: string, files: readonly PlannedFile[]): string {
  const names = files.map(({ path }) => path);
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.';
    const group = groups.get(folder);
    if (group === undefined) groups.set(folder, [dotted(name)]);
    else group.push(dotted(name));
  }
  const up = `../`;
  return [
    `cd ${shellQuote(staging)} || exit 3`,
    'umask 022',
    'k() { mkdir -p -- "$@" || exit 31; }',
    'm() { mv -f -- "$@" "$d" || exit 32; }',
    ...batches(
      'k',
      foldersOf(names).map((folder) => up + folder),
    ),
    ...[...groups].flatMap(([folder, group]) => [
      `d=${shellQuote(folder === '.' ? up : `${up}${folder}/`)}`,
      ...batches('m', group),
    ]),
    `cd ${shellQuote(target)} && rm -rf -- ${shellQuote(staging)}`,
    '',
  ].join('\n');
}

/** The bytes as they go over the wire, counted; a failure of the source is kept, since a transport may hide it. */
function countedStream(
  source: AsyncIterable<Buffer>,
  zip: boolean,
): { readonly stream: Readable; bytes(): number; failure(): unknown } {
  let bytes = 0;
  let failure: unknown;
  const watched = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      yield* source;
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  };
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const raw = Readable.from(watched(), { objectMode: false });
  const finish = (): void => undefined;
  if (zip) pipeline(raw, createGzip({ level: 1, chunkSize: 256 << 10 }), count, finish);
  else pipeline(raw, count, finish);
  return { stream: count, bytes: () => bytes, failure: () => failure };
}
