import { type Bytes, broken } from './bytes.ts';

const MAX_PARTS = 100_000;

interface Box {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
}

/** Boxes that fill the file, the index (`moov`) with a duration, and the data it is an index of. Nothing is decoded. */
export async function proveMp4(bytes: Bytes): Promise<'structure'> {
  const boxes = await boxesOf(bytes, 0, bytes.size);
  const first = boxes[0]?.kind ?? '';
  if (!['ftyp', 'moov', 'wide', 'free', 'skip', 'mdat', 'styp'].includes(first))
    throw broken('it is no MP4 or QuickTime file');
  const moov = boxes.find(({ kind }) => kind === 'moov');
  if (moov === undefined)
    throw broken('its index (moov) is missing: whoever wrote it did not finish');
  if (!boxes.some(({ kind }) => kind === 'mdat')) throw broken('it holds no media data');
  const inner = await boxesOf(bytes, moov.start, moov.end);
  const head = inner.find(({ kind }) => kind === 'mvhd');
  if (head === undefined || !inner.some(({ kind }) => kind === 'trak'))
    throw broken('its index is damaged');
  const isWide = (await bytes.at(head.start, 1)).readUInt8(0) === 1;
  const at = head.start + (isWide ? 20 : 12);
  const times = await bytes.at(at, isWide ? 12 : 8);
  const duration = isWide ? Number(times.readBigUInt64BE(4)) : times.readUInt32BE(4);
  const isFragmented = inner.some(({ kind }) => kind === 'mvex');
  if (times.readUInt32BE(0) === 0 || (duration === 0 && !isFragmented))
    throw broken('it has no duration');
  return 'structure';
}

async function boxesOf(bytes: Bytes, from: number, to: number): Promise<readonly Box[]> {
  const boxes: Box[] = [];
  for (let at = from; at < to; ) {
    if (at + 8 > to) throw broken('the file is cut short');
    const head = await bytes.at(at, 8);
    const short = head.readUInt32BE(0);
    const headBytes = short === 1 ? 16 : 8;
    let size = short;
    if (short === 0) size = to - at;
    else if (short === 1) {
      if (at + 16 > to) throw broken('the file is cut short');
      size = Number((await bytes.at(at + 8, 8)).readBigUInt64BE(0));
    }
    if (size < headBytes || at + size > to)
      throw broken(size < headBytes ? 'a part of it is damaged' : 'the file is cut short');
    boxes.push({ kind: head.toString('latin1', 4), start: at + headBytes, end: at + size });
    if (boxes.length > MAX_PARTS) throw broken('it has too many parts');
    at += size;
  }
  return boxes;
}

/** A RIFF file's chunks, which fill it; throws `Broken` when `form` is another. */
async function chunksOfRiff(bytes: Bytes, form: string): Promise<readonly Box[]> {
  const head = await bytes.at(0, 12);
  if (head.toString('latin1', 0, 4) !== 'RIFF' || head.toString('latin1', 8) !== form)
    throw broken('it is not what its name says');
  const end = head.readUInt32LE(4) + 8;
  if (end > bytes.size) throw broken('the file is cut short');
  if (end + (end % 2) < bytes.size) throw broken('bytes follow its end');
  const chunks: Box[] = [];
  for (let at = 12; at + 8 <= end; ) {
    const chunk = await bytes.at(at, 8);
    const size = chunk.readUInt32LE(4);
    if (at + 8 + size > end) throw broken('the file is cut short');
    chunks.push({ kind: chunk.toString('latin1', 0, 4), start: at + 8, end: at + 8 + size });
    if (chunks.length > MAX_PARTS) throw broken('it has too many parts');
    at += 8 + size + (size % 2);
  }
  return chunks;
}

/** Format and data that fit each other and the file, and a length above zero. Every sound is data: nothing is decoded. */
export async function proveWav(bytes: Bytes): Promise<'structure'> {
  const chunks = await chunksOfRiff(bytes, 'WAVE');
  const format = chunks.find(({ kind }) => kind === 'fmt ');
  const data = chunks.find(({ kind }) => kind === 'data');
  if (format === undefined || format.end - format.start < 16) throw broken('its format is missing');
  if (data === undefined || data.end === data.start) throw broken('it holds no sound');
  const head = await bytes.at(format.start, 16);
  const frame = head.readUInt16LE(12);
  if (head.readUInt16LE(2) === 0 || head.readUInt32LE(4) === 0 || frame === 0)
    throw broken('its format is damaged');
  if ((data.end - data.start) % frame !== 0) throw broken('its last sample is cut');
  return 'structure';
}

/** Chunks that fill the file, and a picture among them with a size above zero. The picture is not decoded. */
export async function proveWebp(bytes: Bytes): Promise<'structure'> {
  const chunks = await chunksOfRiff(bytes, 'WEBP');
  const picture = chunks.find(({ kind }) => ['VP8 ', 'VP8L', 'ANMF'].includes(kind));
  if (picture === undefined) throw broken('the image has no data');
  const head = await bytes.at(picture.start, Math.min(10, picture.end - picture.start));
  const isLossy = picture.kind === 'VP8 ' && head.length === 10;
  const isFine = isLossy
    ? head.readUIntBE(3, 3) === 0x9d012a && (head.readUInt16LE(6) & 0x3fff) > 0
    : picture.kind === 'VP8L'
      ? head[0] === 0x2f
      : head.length === 10;
  if (!isFine) throw broken('a part of the image is damaged');
  return 'structure';
}

/** Every block up to the trailer, with a size above zero and a picture. The picture is not decoded. */
export async function proveGif(bytes: Bytes): Promise<'structure'> {
  const head = await bytes.at(0, 13);
  if (!/^GIF8[79]a/.test(head.toString('latin1', 0, 6))) throw broken('it is no GIF image');
  if (head.readUInt16LE(6) === 0 || head.readUInt16LE(8) === 0)
    throw broken('the image has no size');
  const tableOf = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1));
  let at = 13 + tableOf(head.readUInt8(10));
  const skipBlocks = async (): Promise<void> => {
    for (let size = 1; size > 0; at += 1 + size) size = (await bytes.at(at, 1)).readUInt8(0);
  };
  for (let pictures = 0; ; ) {
    const kind = (await bytes.at(at, 1)).readUInt8(0);
    if (kind === 0x3b) {
      if (pictures === 0) throw broken('the image has no data');
      if (at + 1 !== bytes.size) throw broken('bytes follow the image');
      return 'structure';
    }
    if (kind === 0x21) at += 2;
    else if (kind === 0x2c) {
      at += 10 + tableOf((await bytes.at(at + 9, 1)).readUInt8(0)) + 1;
      pictures += 1;
    } else throw broken('a part of the image is damaged');
    await skipBlocks();
  }
}

/** The signature and the end mark; nothing between them is read. */
export async function provePdf(bytes: Bytes): Promise<'structure'> {
  if ((await bytes.at(0, 5)).toString('latin1') !== '%PDF-') throw broken('it is no PDF');
  const tail = await bytes.at(Math.max(0, bytes.size - 1024), Math.min(1024, bytes.size));
  if (!/startxref\s+\d+\s+%%EOF/.test(tail.toString('latin1')))
    throw broken('the file is cut short');
  return 'structure';
}
