import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { localFailure } from './local-failure.ts';
import { type ManifestFile, sourceOf } from './manifest.ts';
import { openPartial, type PartialFile, type Wanted } from './partial-file.ts';
import { type Pod, transferSeconds } from './pod.ts';
import { dotted } from './pod-names.ts';

export interface Pulled {
  /** Whole and hashed equal to the manifest, in the partial folder under its sha256. */
  readonly good: readonly ManifestFile[];
  /** Arrived, but with another hash. */
  readonly bad: readonly ManifestFile[];
  /** Did not arrive whole. */
  readonly short: readonly ManifestFile[];
}

/** A stream said more, or something else, than the manifest allows. */
class UnsafeStream extends Error {}

/**
 * Pulls exactly the bytes of `files`, in order, as one stream cut by the sizes of the manifest: the pod sends no names, so
 * it can choose none. What was begun before goes on where it stopped. `files` must differ in their sha256. Throws
 * `unsafe_archive` for a byte too many.
 */
export async function pullFiles(
  pod: Pod,
  root: string,
  files: readonly ManifestFile[],
  options: { readonly partialFolder: string; readonly zip: boolean },
): Promise<Pulled> {
  await mkdir(options.partialFolder, { recursive: true, mode: 0o700 });
  const wanted = await Promise.all(
    files.map(async (file) => {
      const partial = path.join(options.partialFolder, file.sha256);
      const size = (await stat(partial).catch(() => undefined))?.size ?? 0;
      return { ...file, partial, have: size <= file.bytes ? size : 0 };
    }),
  );
  const bytes = wanted.reduce((sum, file) => sum + file.bytes - file.have, 0);
  const good: ManifestFile[] = [];
  const bad: ManifestFile[] = [];
  const sink = createSink(wanted, good, bad, pod.call.progress);
  const input = new PassThrough({ highWaterMark: 256 << 10 });
  const flow = options.zip
    ? pipeline(input, createGunzip({ chunkSize: 256 << 10 }), sink)
    : pipeline(input, sink);
  let unsafe: unknown;
  const settled = flow.catch((thrown: unknown) => {
    unsafe = thrown;
    input.destroy();
  });
  const script = pullScript(root, wanted, options.zip);
  try {
    await pod.remote.stream(pod.podId, script.command, {
      ...pod.call,
      timeoutSeconds: transferSeconds(bytes + files.length * 1024),
      stdin: script.names,
      stdout: input,
    });
  } catch (failure) {
    input.destroy();
    await settled;
    if (unsafe instanceof UnsafeStream) throw hostile(unsafe);
    throw localFailure(unsafe) ?? failure;
  }
  await settled;
  if (unsafe instanceof UnsafeStream) throw hostile(unsafe);
  const local = localFailure(unsafe);
  if (local !== undefined) throw local;
  const seen = new Set([...good, ...bad]);
  return { good, bad, short: wanted.filter((file) => !seen.has(file)) };
}

/** The script reads its own calls from stdin: ten thousand names do not fit in one argument. */
function pullScript(
  root: string,
  files: readonly Wanted[],
  zip: boolean,
): { readonly command: string; readonly names: PassThrough } {
  const names = new PassThrough();
  names.end(
    [
      'LC_ALL=C; export LC_ALL',
      `cd ${shellQuote(root)} || exit 3`,
      'p() { if [ -f "$3" ] && ! [ -h "$3" ]; then',
      'if [ "$2" -eq 0 ]; then head -c "$1" -- "$3"; else tail -c "+$(($2 + 1))" -- "$3" | head -c "$1"; fi; fi; }',
      'q() { cat -- "$@"; }',
      ...calls(files),
      'exit 0',
      '',
    ].join('\n'),
  );
  return { command: zip ? 'sh -s | gzip -1c' : 'exec sh -s', names };
}

const SMALL_BYTES = 64 << 10;
const BATCH = 100;

/** One `cat` for many small files; a large or half-pulled one is cut to its size. */
function calls(files: readonly Wanted[]): readonly string[] {
  const lines: string[] = [];
  let small: string[] = [];
  const flush = (): void => {
    if (small.length > 0) lines.push(`q ${small.join(' ')}`);
    small = [];
  };
  for (const file of files) {
    const name = shellQuote(dotted(sourceOf(file)));
    if (file.bytes === file.have) continue;
    if (file.bytes <= SMALL_BYTES && file.have === 0) {
      small.push(name);
      if (small.length >= BATCH) flush();
    } else {
      flush();
      lines.push(`p ${file.bytes - file.have} ${file.have} ${name}`);
    }
  }
  flush();
  return lines;
}

function createSink(
  files: readonly Wanted[],
  good: ManifestFile[],
  bad: ManifestFile[],
  progress: ((message: string) => void) | undefined,
): Writable {
  let index = 0;
  let open: PartialFile | undefined;
  let received = 0;
  let told = 0;
  let running: Promise<void> = Promise.resolve();
  let isClosed = false;

  const finishFile = async (): Promise<void> => {
    const file = files[index];
    if (file === undefined || open === undefined) return;
    const sha256 = await open.close();
    open = undefined;
    index += 1;
    if (sha256 === file.sha256) good.push(file);
    else bad.push(file);
  };
  /** Opens the next file that needs bytes; those already whole pass without any. */
  const advance = async (): Promise<void> => {
    for (;;) {
      const file = files[index];
      if (file === undefined || isClosed) return;
      open ??= await openPartial(file);
      if (open.left > 0) return;
      await finishFile();
    }
  };
  const take = async (chunk: Buffer): Promise<void> => {
    let rest = chunk;
    while (rest.length > 0) {
      await advance();
      if (isClosed) return;
      if (open === undefined) throw new UnsafeStream('More bytes than were asked for.');
      const part = rest.subarray(0, open.left);
      await open.write(part);
      rest = rest.subarray(part.length);
    }
    received += chunk.length;
    if (received - told >= 64e6) {
      told = received;
      progress?.(`Received ${Math.round(received / 1e6)} MB.`);
    }
    await advance();
  };
  return new Writable({
    highWaterMark: 256 << 10,
    write(chunk: Buffer, _encoding, done) {
      running = take(chunk);
      running.then(() => {
        done();
      }, done);
    },
    final(done) {
      running = advance();
      running.then(() => {
        done();
      }, done);
    },
    destroy(failure, done) {
      isClosed = true;
      // A write under way ends first: what it wrote is where the next pull goes on.
      const closing = running.catch(() => undefined).then(async () => open?.abandon());
      closing.then(
        () => {
          done(failure);
        },
        () => {
          done(failure);
        },
      );
    },
  });
}

function hostile(cause: Error): RemoteError {
  return new RemoteError(
    'unsafe_archive',
    'The pod sent more than the files that were asked for. Nothing was written.',
    { cause },
  );
}
