import { Readable } from 'node:stream';
import { crc32, createInflate } from 'node:zlib';
import { Broken, type Bytes, broken } from './bytes.ts';
import { refuseBomb } from './zip.ts';

/** Signature, every chunk's CRC, a size above zero, image data that unpacks, the end chunk as the last. */
export async function provePng(bytes: Bytes): Promise<'loaded'> {
  if ((await bytes.at(0, 8)).toString('latin1') !== '\x89PNG\r\n\x1a\n')
    throw broken('it is no PNG image');
  const head = await bytes.at(8, 16);
  if (
    head.toString('latin1', 4, 8) !== 'IHDR' ||
    head.readUInt32BE(0) < 13 ||
    head.readUInt32BE(8) === 0 ||
    head.readUInt32BE(12) === 0
  )
    throw broken('the image has no size');
  const inflate = createInflate({ chunkSize: 256 << 10 });
  const source = Readable.from(imageData(bytes), { objectMode: false });
  source.on('error', (thrown) => inflate.destroy(thrown));
  source.pipe(inflate);
  let count = 0;
  try {
    for await (const chunk of inflate)
      if (Buffer.isBuffer(chunk)) {
        count += chunk.length;
        refuseBomb(count, bytes.size);
      }
  } catch (thrown) {
    if (thrown instanceof Broken) throw thrown;
    throw broken('the image data does not unpack');
  } finally {
    source.destroy();
  }
  if (count === 0) throw broken('the image has no data');
  return 'loaded';
}

/** The packed picture, piece by piece; every chunk of the file is checked on the way. */
async function* imageData(bytes: Bytes): AsyncGenerator<Buffer, void, undefined> {
  let at = 8;
  for (let last = ''; last !== 'IEND'; ) {
    const head = await bytes.at(at, 8);
    const length = head.readUInt32BE(0);
    const end = at + 8 + length;
    if (end + 4 > bytes.size) throw broken('the file is cut short');
    last = head.toString('latin1', 4, 8);
    let crc = crc32(head.subarray(4, 8));
    for await (const chunk of bytes.chunks(at + 8, end)) {
      crc = crc32(chunk, crc);
      if (last === 'IDAT') yield chunk;
    }
    if (crc !== (await bytes.at(end, 4)).readUInt32BE(0))
      throw broken('a part of the image is damaged');
    at = end + 4;
  }
  if (at !== bytes.size) throw broken('bytes follow the image');
}

/** Start marker, a frame with a size above zero, end marker. The picture is not decoded, so this is `structure`. */
export async function proveJpeg(bytes: Bytes): Promise<'structure'> {
  if ((await bytes.at(0, 2)).readUInt16BE(0) !== 0xffd8) throw broken('it is no JPEG image');
  const tail = await bytes.at(Math.max(0, bytes.size - 64), Math.min(64, bytes.size));
  if (tail.lastIndexOf(Buffer.from([0xff, 0xd9])) < 0) throw broken('the file is cut short');
  let at = 2;
  for (;;) {
    const marker = await bytes.at(at, 4);
    if (marker[0] !== 0xff) throw broken('a part of the image is damaged');
    const kind = marker[1] ?? 0;
    const isFrame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (isFrame) {
      const frame = await bytes.at(at + 5, 4);
      if (frame.readUInt16BE(0) === 0 || frame.readUInt16BE(2) === 0)
        throw broken('the image has no size');
      return 'structure';
    }
    if (kind === 0xda || kind === 0xd9) throw broken('the image has no size');
    at += 2 + marker.readUInt16BE(2);
  }
}
