import { crc32, createInflate } from 'node:zlib';
import { type Bytes, broken } from './bytes.ts';

/** Signature, every chunk's CRC, a size above zero, image data that unpacks, the end chunk as the last. */
export async function provePng(bytes: Bytes): Promise<'loaded'> {
  if ((await bytes.at(0, 8)).toString('latin1') !== '\x89PNG\r\n\x1a\n')
    throw broken('it is no PNG image');
  let at = 8;
  let last = '';
  let first = true;
  const data: Buffer[] = [];
  while (last !== 'IEND') {
    const length = (await bytes.at(at, 4)).readUInt32BE(0);
    const body = await bytes.at(at + 4, length + 4);
    if (crc32(body) !== (await bytes.at(at + 8 + length, 4)).readUInt32BE(0))
      throw broken('a part of the image is damaged');
    last = body.toString('latin1', 0, 4);
    if (
      first &&
      (last !== 'IHDR' || length < 13 || body.readUInt32BE(4) === 0 || body.readUInt32BE(8) === 0)
    )
      throw broken('the image has no size');
    first = false;
    if (last === 'IDAT') data.push(body.subarray(4));
    at += 12 + length;
  }
  if (at !== bytes.size) throw broken('bytes follow the image');
  await inflates(data);
  return 'loaded';
}

async function inflates(data: readonly Buffer[]): Promise<void> {
  const inflate = createInflate({ chunkSize: 256 << 10 });
  inflate.on('error', () => undefined);
  for (const part of data) inflate.write(part);
  inflate.end();
  let count = 0;
  try {
    for await (const chunk of inflate) if (Buffer.isBuffer(chunk)) count += chunk.length;
  } catch {
    throw broken('the image data does not unpack');
  }
  if (count === 0) throw broken('the image has no data');
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
