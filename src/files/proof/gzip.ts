import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Broken, type Bytes, broken, drain } from './bytes.ts';
import { checkTar } from './tar.ts';
import { refuseBomb } from './zip.ts';

/** Unpacked to the end, so that CRC and size are checked; a tar inside is checked as a tar. Nothing is written. */
export async function proveGzip(bytes: Bytes): Promise<'loaded'> {
  if ((await bytes.at(0, Math.min(2, bytes.size))).toString('latin1') !== '\x1f\x8b')
    throw broken('it is no gzip file');
  const chunks = gunzip(bytes);
  const first = await chunks.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  const all = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield head;
    yield* chunks;
  };
  if (head.length >= 262 && head.toString('latin1', 257, 262) === 'ustar') await checkTar(all());
  await drain(chunks);
  return 'loaded';
}

async function* gunzip(bytes: Bytes): AsyncGenerator<Buffer, void, undefined> {
  const source = Readable.from(bytes.chunks());
  const unzip = createGunzip({ chunkSize: 256 << 10 });
  source.on('error', (thrown) => unzip.destroy(thrown));
  source.pipe(unzip);
  let count = 0;
  try {
    for await (const chunk of unzip) {
      if (!Buffer.isBuffer(chunk)) continue;
      count += chunk.length;
      refuseBomb(count, bytes.size);
      yield chunk;
    }
  } catch (thrown) {
    if (thrown instanceof Broken) throw thrown;
    throw broken('it does not unpack: it is cut short or damaged');
  } finally {
    source.destroy();
  }
}
