import { type Bytes, broken } from './bytes.ts';

const BLOCK = 512;

export async function proveTar(bytes: Bytes): Promise<'loaded'> {
  await checkTar(bytes.chunks());
  return 'loaded';
}

/** Header checksums, sizes in bounds, no escapes, no links or devices, and the end record. */
export async function checkTar(chunks: AsyncIterable<Buffer>): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  let skip = 0;
  let zeroBlocks = 0;
  let members = 0;
  for await (const chunk of chunks) {
    if (skip >= chunk.length) {
      skip -= chunk.length;
      continue;
    }
    pending =
      pending.length === 0 ? chunk.subarray(skip) : Buffer.concat([pending, chunk.subarray(skip)]);
    skip = 0;
    while (pending.length >= BLOCK && zeroBlocks < 2) {
      const header = pending.subarray(0, BLOCK);
      pending = pending.subarray(BLOCK);
      if (header.every((byte) => byte === 0)) {
        zeroBlocks += 1;
        continue;
      }
      zeroBlocks = 0;
      members += 1;
      const size = readMember(header);
      const body = Math.ceil(size / BLOCK) * BLOCK;
      skip = Math.max(0, body - pending.length);
      pending = pending.subarray(Math.min(body, pending.length));
    }
    if (zeroBlocks >= 2) pending = Buffer.alloc(0);
  }
  if (zeroBlocks < 2 || skip > 0) throw broken('the archive has no end: it is cut short');
  if (members === 0) throw broken('the archive is empty');
}

function readMember(header: Buffer): number {
  let sum = 8 * 0x20;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  if (Number.parseInt(text(header, 148, 8), 8) !== sum)
    throw broken('an archive header is damaged');
  const type = String.fromCharCode(header[156] ?? 0);
  if (!'\x000567xgLKS'.includes(type) || '67'.includes(type))
    throw broken('the archive holds a link or a device');
  const name = `${text(header, 345, 155)}/${text(header, 0, 100)}`.replace(/^\//, '');
  const stored = text(header, 0, 100);
  if (stored.startsWith('/') || name.split('/').includes('..'))
    throw broken('the archive holds a path that leads out of it');
  const first = header[124] ?? 0;
  if (first >= 0x80) return Number(header.readBigUInt64BE(128));
  const size = Number.parseInt(text(header, 124, 12) || '0', 8);
  if (!Number.isSafeInteger(size) || size < 0) throw broken('an archive header is damaged');
  return size;
}

function text(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end).trim();
}
