import { type Bytes, broken, unchecked } from './bytes.ts';

const BLOCK = 512;
const MAX_EXTENDED_BYTES = 1 << 20;

export async function proveTar(bytes: Bytes): Promise<'loaded'> {
  await checkTar(bytes.chunks());
  return 'loaded';
}

/** What a record before a member says of it. */
interface Extended {
  readonly size?: number;
}

/** Header checksums, sizes in bounds, no escapes, no links or devices, and the end record. */
export async function checkTar(chunks: AsyncIterable<Buffer>): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  let skip = 0;
  let zeroBlocks = 0;
  let members = 0;
  let extended: Extended = {};
  for await (const chunk of chunks) {
    const skipped = Math.min(skip, chunk.length);
    skip -= skipped;
    const rest = chunk.subarray(skipped);
    pending = pending.length === 0 ? rest : Buffer.concat([pending, rest]);
    while (pending.length >= BLOCK && zeroBlocks < 2) {
      const header = pending.subarray(0, BLOCK);
      if (header.every((byte) => byte === 0)) {
        pending = pending.subarray(BLOCK);
        zeroBlocks += 1;
        continue;
      }
      zeroBlocks = 0;
      const { type, size } = readMember(header);
      if ('xgLK'.includes(type)) {
        const whole = BLOCK + Math.ceil(size / BLOCK) * BLOCK;
        if (size > MAX_EXTENDED_BYTES) throw broken('an archive header is damaged');
        if (pending.length < whole) break;
        const body = pending.subarray(BLOCK, BLOCK + size);
        if (type === 'x') extended = readPax(body);
        else if (type === 'g') readPax(body);
        else refuseEscape(text(body, 0, size));
        pending = pending.subarray(whole);
        continue;
      }
      members += 1;
      const body = Math.ceil((extended.size ?? size) / BLOCK) * BLOCK;
      extended = {};
      pending = pending.subarray(BLOCK);
      skip = Math.max(0, body - pending.length);
      pending = pending.subarray(Math.min(body, pending.length));
    }
    if (zeroBlocks >= 2) pending = Buffer.alloc(0);
  }
  if (zeroBlocks < 2 || skip > 0) throw broken('the archive has no end: it is cut short');
  if (members === 0) throw broken('the archive is empty');
}

function readMember(header: Buffer): { readonly type: string; readonly size: number } {
  let sum = 8 * 0x20;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  if (Number.parseInt(text(header, 148, 8), 8) !== sum)
    throw broken('an archive header is damaged');
  const type = String.fromCharCode(header[156] ?? 0);
  if (type === 'S') throw unchecked('the archive holds a file with holes');
  if (!'\x0005xgLK'.includes(type)) throw broken('the archive holds a link or a device');
  const stored = text(header, 0, 100);
  refuseEscape(stored);
  // The prefix field is one only in the POSIX form; GNU keeps times there.
  if (text(header, 257, 6) === 'ustar' && header[263] === 0x30)
    refuseEscape(text(header, 345, 155));
  const first = header[124] ?? 0;
  const size =
    first >= 0x80
      ? Number(header.readBigUInt64BE(128))
      : Number.parseInt(text(header, 124, 12) || '0', 8);
  if (!Number.isSafeInteger(size) || size < 0) throw broken('an archive header is damaged');
  return { type, size };
}

/** Records of "length key=value\n", which overrule the header that follows. */
function readPax(body: Buffer): Extended {
  let size: number | undefined;
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, Math.max(at, space)));
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length)
      throw broken('an archive header is damaged');
    const record = body.toString('utf8', space + 1, at + length - 1);
    const [key = ''] = record.split('=', 1);
    const value = record.slice(key.length + 1);
    if (key === 'path' || key === 'linkpath') refuseEscape(value);
    else if (key.startsWith('GNU.sparse.')) throw unchecked('the archive holds a file with holes');
    else if (key === 'size') {
      size = Number(value);
      if (!Number.isSafeInteger(size) || size < 0) throw broken('an archive header is damaged');
    }
    at += length;
  }
  return size === undefined ? {} : { size };
}

function refuseEscape(name: string): void {
  if (name.startsWith('/') || name.split('/').includes('..'))
    throw broken('the archive holds a path that leads out of it');
}

function text(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end).trim();
}
