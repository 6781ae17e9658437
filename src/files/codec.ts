import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { pipeline, Readable, Transform, type Writable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import { READ_ONLY } from './open-local.ts';
import type { LocalFile } from './walk.ts';

export type Codec = 'none' | 'gzip' | 'zstd';
/** Bytes of content a second that went over the line, by how they were packed; our own reading and hashing left out. */
export type Rates = Readonly<Partial<Record<Codec, number>>>;

const SAMPLES = 24;
const SAMPLE_BYTES = 16 << 10;
/** What each packer takes in at most, in bytes of content a second. */
const PACKER_BYTES_PER_SECOND = { zstd: 150e6, gzip: 40e6 } as const;
/** A packer that is slower than this may be what is slow; below, it is the line. */
const FAST_BYTES_PER_SECOND = 60e6;
/** So much faster it must be to be worth a core. */
const GAIN = 1.2;

/**
 * What pays: nothing where the data does not shrink; else what was fastest to this pod, by what each way carried or, where
 * it was not tried, by what it would make of a line that carries what was seen. Of an unknown line nobody can tell: packed
 * when the data shrinks well, and a fast one is then tried without.
 */
export function chooseCodec(options: {
  readonly ratio: number;
  readonly rates: Rates;
  readonly zstd: boolean;
  readonly gzip: boolean;
}): Codec {
  const { ratio, rates, zstd, gzip } = options;
  if (ratio > 0.9) return 'none';
  const packer = zstd ? 'zstd' : gzip ? 'gzip' : 'none';
  if (packer === 'none') return 'none';
  const plain = rates.none;
  const packed = rates[packer];
  if (plain === undefined && packed === undefined)
    return ratio < (zstd ? 0.6 : 0.3) ? packer : 'none';
  if (plain === undefined) return (packed ?? 0) < FAST_BYTES_PER_SECOND ? packer : 'none';
  const expected = packed ?? Math.min(PACKER_BYTES_PER_SECOND[packer], plain / ratio);
  return expected > plain * GAIN ? packer : 'none';
}

/** How much of its size data like this keeps, by a sample of the files; 1 when nothing can be read. */
export function sampleRatio(files: readonly LocalFile[]): number {
  const total = files.reduce((sum, { bytes }) => sum + bytes + 512, 0);
  const step = total / SAMPLES;
  const buffer = Buffer.alloc(SAMPLE_BYTES);
  let seen = 0;
  let next = step / 2;
  let raw = 0;
  let packed = 0;
  for (const file of files) {
    const start = seen;
    seen += file.bytes + 512;
    if (next >= seen) continue;
    // Headers and padding of small files shrink to nothing.
    const overhead = 512 + ((512 - (file.bytes % 512)) % 512);
    const at = Math.max(0, Math.min(file.bytes - SAMPLE_BYTES, Math.floor(next - start)));
    while (next < seen) next += step;
    const bytes = readAt(file.absolute, buffer, at);
    const shrunk = bytes === 0 ? 0 : gzipSync(buffer.subarray(0, bytes), { level: 1 }).length;
    const share = file.bytes === 0 ? 0 : Math.min(1, bytes / file.bytes);
    raw += bytes + overhead * share;
    packed += Math.min(shrunk, bytes) + 40 * share;
  }
  return raw === 0 ? 1 : packed / raw;
}

function readAt(file: string, buffer: Buffer, position: number): number {
  try {
    const descriptor = openSync(file, READ_ONLY);
    try {
      return readSync(descriptor, buffer, 0, buffer.length, position);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return 0;
  }
}

let zstdHere: Promise<boolean> | undefined;

/** Whether this machine has the program. */
export async function hasZstd(): Promise<boolean> {
  zstdHere ??= new Promise((resolve) => {
    const child = spawn('zstd', ['--version'], { stdio: 'ignore' });
    child.once('error', () => {
      resolve(false);
    });
    child.once('close', (code) => {
      resolve(code === 0);
    });
  });
  return zstdHere;
}

/** The words before `tar` on the pod. */
export const UNPACK: Readonly<Record<Codec, string>> = {
  none: '',
  gzip: 'gzip -dc | ',
  zstd: 'zstd -dcq | ',
};

/** Counts what goes out, also of attempts that come to nothing. */
export interface Meter {
  bytes: number;
}
export interface Wire {
  readonly stream: Readable;
  /** In which the source was waited for. */
  sourceSeconds(): number;
  /** Of the source or the packer; a transport may hide it. */
  failure(): unknown;
}

/** The bytes as they go over the wire, counted by `meter`. */
export function openWire(
  source: AsyncIterable<Buffer>,
  codec: Codec,
  { meter, nowMs }: { readonly meter: Meter; readonly nowMs?: () => number },
): Wire {
  let failure: unknown;
  let sourceMs = 0;
  const watched = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      let askedMs = nowMs?.() ?? 0;
      for await (const chunk of source) {
        sourceMs += (nowMs?.() ?? 0) - askedMs;
        yield chunk;
        askedMs = nowMs?.() ?? 0;
      }
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  };
  const count = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, done) {
      meter.bytes += chunk.length;
      done(null, chunk);
    },
  });
  const raw = Readable.from(watched(), { objectMode: false });
  const finish = (): void => undefined;
  if (codec === 'gzip')
    pipeline(raw, createGzip({ level: 1, chunkSize: 256 << 10 }), count, finish);
  else if (codec === 'zstd') throughZstd(raw, count);
  else pipeline(raw, count, finish);
  return {
    stream: count,
    sourceSeconds: () => sourceMs / 1000,
    failure: () => failure,
  };
}

function throughZstd(source: Readable, sink: Writable): void {
  const child = spawn('zstd', ['-1', '-cq'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const fail = (): void => {
    child.kill('SIGKILL');
    sink.destroy(new Error('The packer ended early.'));
    source.destroy();
  };
  child.once('error', fail);
  pipeline(source, child.stdin, (thrown) => {
    if (thrown) fail();
  });
  child.stdout.pipe(sink, { end: false });
  // Half a stream must not look like a whole one.
  child.once('close', (code) => {
    if (code === 0) sink.end();
    else fail();
  });
  sink.once('close', () => {
    child.kill('SIGKILL');
  });
}
