import { crc32, deflateRawSync } from 'node:zlib';
import { lookup3 } from '../../../src/files/proof/hdf5.ts';
import { maskedCrc } from '../../../src/files/proof/records.ts';

/** Files of every type, made of bytes: no binary is kept. */

export function u8(...values: readonly number[]): Buffer {
  return Buffer.from(values);
}
export function u16(value: number): Buffer {
  const part = Buffer.alloc(2);
  part.writeUInt16LE(value);
  return part;
}
export function u32(value: number): Buffer {
  const part = Buffer.alloc(4);
  part.writeUInt32LE(value);
  return part;
}
export function u64(value: number | bigint): Buffer {
  const part = Buffer.alloc(8);
  part.writeBigUInt64LE(BigInt(value));
  return part;
}
export function be32(value: number): Buffer {
  const part = Buffer.alloc(4);
  part.writeUInt32BE(value);
  return part;
}
export function floats(values: readonly number[]): Buffer<ArrayBuffer> {
  return Buffer.from(new Float32Array(values).buffer);
}
export const cut = (content: Buffer, bytes = 1): Buffer =>
  content.subarray(0, content.length - bytes);
export function flip(content: Buffer, at: number): Buffer {
  const copy = Buffer.from(content);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

type Tensors = Readonly<
  Record<
    string,
    {
      readonly dtype: string;
      readonly shape: readonly number[];
      readonly data_offsets: readonly number[];
    }
  >
>;
export function safetensors(tensors: Tensors, data: Buffer): Buffer {
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...tensors }));
  return Buffer.concat([u64(header.length), header, data]);
}
/** One float tensor for each name, of two values. */
export function weights(values: Readonly<Record<string, readonly [number, number]>>): Buffer {
  const names = Object.keys(values);
  const tensors = Object.fromEntries(
    names.map((name, index) => [
      name,
      { dtype: 'F32', shape: [2], data_offsets: [index * 8, index * 8 + 8] },
    ]),
  );
  return safetensors(tensors, floats(names.flatMap((name) => values[name] ?? [])));
}

export interface Member {
  readonly content: Buffer;
  readonly packed?: boolean;
  /** Told in place of the true sizes. */
  readonly toldBytes?: number;
}
export function zipOf(members: Readonly<Record<string, Member>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, { content, packed = false, toldBytes = content.length }] of Object.entries(
    members,
  )) {
    const body = packed ? deflateRawSync(content) : content;
    const facts = Buffer.concat([
      u16(packed ? 8 : 0),
      u32(0),
      u32(crc32(content)),
      u32(body.length),
      u32(toldBytes),
      u16(Buffer.byteLength(name)),
    ]);
    const local = Buffer.concat([
      u32(0x04034b50),
      u16(20),
      u16(0),
      facts,
      u16(0),
      Buffer.from(name),
      body,
    ]);
    directory.push(
      u32(0x02014b50),
      u16(20),
      u16(20),
      u16(0),
      facts,
      u16(0),
      u16(0),
      u16(0),
      u16(0),
      u32(0),
      u32(offset),
      Buffer.from(name),
    );
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const count = u16(Object.keys(members).length);
  return Buffer.concat([
    ...parts,
    list,
    u32(0x06054b50),
    u16(0),
    u16(0),
    count,
    count,
    u32(list.length),
    u32(offset),
    u16(0),
  ]);
}

const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]);
/** A pickle of protocol 2 around the codes given. */
export function pickle(...codes: readonly (Buffer | string)[]): Buffer {
  const body = codes.map((code) => (typeof code === 'string' ? Buffer.from(code, 'latin1') : code));
  return Buffer.concat([u8(0x80, 2), ...body, Buffer.from('.')]);
}
export function callOf(module: string, name: string, argument: string): Buffer {
  return Buffer.concat([
    Buffer.from(`c${module}\n${name}\n`),
    text(argument),
    Buffer.from('\x85R', 'latin1'),
  ]);
}
/** `{'w': tensor}` as torch.save writes it; `isLegacy` adds the view that old files have. */
export function tensorPickle(
  items: number,
  {
    isLegacy = false,
    storage = 'FloatStorage',
    extra = Buffer.alloc(0),
  }: { isLegacy?: boolean; storage?: string; extra?: Buffer } = {},
): Buffer {
  return pickle(
    '}q\x00(',
    text('w'),
    'ctorch._utils\n_rebuild_tensor_v2\n((',
    text('storage'),
    `ctorch\n${storage}\n`,
    text('0'),
    text('cpu'),
    Buffer.concat([Buffer.from('J'), u32(items)]),
    isLegacy ? 'N' : '',
    'tQK\x00K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRq\x01',
    ...(extra.length > 0 ? [text('more'), extra] : []),
    'u',
  );
}
export function torchZip(data: Buffer, index: Buffer = tensorPickle(data.length / 4)): Buffer {
  return zipOf({
    'm/data.pkl': { content: index },
    'm/byteorder': { content: Buffer.from('little') },
    'm/data/0': { content: data },
    'm/version': { content: Buffer.from('3\n') },
  });
}
export function legacyTorch(
  data: Buffer,
  index: Buffer = tensorPickle(data.length / 4, { isLegacy: true }),
): Buffer {
  return Buffer.concat([
    Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'),
    pickle('M\xe9\x03'),
    pickle('}(', text('little_endian'), '\x88u'),
    index,
    pickle('](', text('0'), 'e'),
    u64(data.length / 4),
    data,
  ]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  return Buffer.from([...bytes, left]);
}
/** A protobuf field: a number, or bytes with their length. */
export function field(number: number, value: number | Buffer | string): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
  const body = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body]);
}
export function onnxOf(tensor: Buffer, attribute: Buffer = Buffer.alloc(0)): Buffer {
  const node = Buffer.concat([field(1, 'x'), field(4, 'MatMul'), attribute]);
  return Buffer.concat([
    field(1, 8),
    field(2, 'test'),
    field(7, Buffer.concat([field(1, node), field(2, 'g'), field(5, tensor)])),
  ]);
}
export function onnxTensor(data: Buffer): Buffer {
  return Buffer.concat([field(1, data.length / 4), field(2, 1), field(8, 'w'), field(9, data)]);
}
export function onnxOutside(location: string, offset: number, length: number): Buffer {
  const pair = (key: string, value: string): Buffer =>
    field(13, Buffer.concat([field(1, key), field(2, value)]));
  return Buffer.concat([
    field(1, length / 4),
    field(2, 1),
    pair('location', location),
    pair('offset', String(offset)),
    pair('length', String(length)),
    field(14, 1),
  ]);
}

/** Superblock of version 2 and a root group without messages. */
export function hdf5(dataBytes = 64): Buffer {
  const root = Buffer.concat([Buffer.from('OHDR'), u8(2, 0, 4), u8(0, 0, 0, 0)]);
  const header = Buffer.concat([root, u32(lookup3(root))]);
  const end = 48 + header.length + dataBytes;
  const block = Buffer.concat([
    Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'),
    u8(2, 8, 8, 0),
    u64(0),
    Buffer.alloc(8, 0xff),
    u64(end),
    u64(48),
  ]);
  return Buffer.concat([block, u32(lookup3(block)), header, Buffer.alloc(dataBytes, 7)]);
}
/** Superblock of version 0, whose root group has a tree and a heap. */
export function oldHdf5(): Buffer {
  const none = Buffer.alloc(8, 0xff);
  const root = Buffer.concat([
    u8(1, 0),
    u16(1),
    u32(1),
    u32(16),
    u32(0),
    u16(0x11),
    u16(8),
    u32(0),
    u64(0),
  ]);
  const start = 96;
  const tree = start + root.length;
  const heap = tree + 8;
  return Buffer.concat([
    Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'),
    u8(0, 0, 0, 0, 0, 8, 8, 0),
    u16(4),
    u16(16),
    u32(0),
    u64(0),
    none,
    u64(heap + 8),
    none,
    u64(0),
    u64(start),
    u32(1),
    u32(0),
    u64(tree),
    u64(heap),
    root,
    Buffer.from('TREE\0\0\0\0HEAP\0\0\0\0'),
  ]);
}

/** One frame with a raw block and a checksum that nobody compares. */
export function zstd(content: Buffer): Buffer {
  return Buffer.concat([
    u32(0xfd2fb528),
    u8(0x24, content.length),
    u32((content.length << 3) | 1).subarray(0, 3),
    content,
    u32(0),
  ]);
}
export function xz(packed: Buffer): Buffer {
  const flags = u8(0, 1);
  const head = Buffer.concat([Buffer.from('\xfd7zXZ\0', 'latin1'), flags, u32(crc32(flags))]);
  const list = Buffer.concat([u8(0, 1, packed.length, 5)]);
  const index = Buffer.concat([list, Buffer.alloc((4 - (list.length % 4)) % 4)]);
  const sized = Buffer.concat([u32((index.length + 4) / 4 - 1), flags]);
  return Buffer.concat([
    head,
    packed,
    index,
    u32(crc32(index)),
    u32(crc32(sized)),
    sized,
    Buffer.from('YZ'),
  ]);
}
/** Two blocks of made-up content, the second at an odd bit, with the checksum over theirs. */
export function bzip2(): Buffer {
  const first = 0x12345678n;
  const second = 0x9abcdef0n;
  const sum = ((((first << 1n) | (first >> 31n)) & 0xffffffffn) ^ second) & 0xffffffffn;
  let bits = 0n;
  let count = 0;
  const put = (value: bigint, width: number): void => {
    bits = (bits << BigInt(width)) | value;
    count += width;
  };
  put(BigInt(`0x${Buffer.from('BZh9').toString('hex')}`), 32);
  put(0x314159265359n, 48);
  put(first, 32);
  put(0x1555n, 13);
  put(0x314159265359n, 48);
  put(second, 32);
  put(0x7n, 6);
  put(0x177245385090n, 48);
  put(sum, 32);
  put(0n, (8 - (count % 8)) % 8);
  return Buffer.from(bits.toString(16).padStart(count / 4, '0'), 'hex');
}

export function box(kind: string, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([be32(body.length + 8), Buffer.from(kind), body]);
}
export function mp4(): Buffer {
  const head = box('mvhd', Buffer.alloc(12), be32(1000), be32(5000), Buffer.alloc(80));
  return Buffer.concat([
    box('ftyp', Buffer.from('isom\0\0\0\0')),
    box('moov', head, box('trak')),
    box('mdat', Buffer.alloc(64, 3)),
  ]);
}
export function riff(form: string, ...chunks: readonly (readonly [string, Buffer])[]): Buffer {
  const body = Buffer.concat([
    Buffer.from(form),
    ...chunks.flatMap(([kind, data]) => [
      Buffer.from(kind),
      u32(data.length),
      data,
      Buffer.alloc(data.length % 2),
    ]),
  ]);
  return Buffer.concat([Buffer.from('RIFF'), u32(body.length), body]);
}
export const wav = (): Buffer =>
  riff(
    'WAVE',
    ['fmt ', Buffer.concat([u16(1), u16(2), u32(44_100), u32(176_400), u16(4), u16(16)])],
    ['data', Buffer.alloc(400)],
  );
export const webp = (): Buffer =>
  riff('WEBP', [
    'VP8 ',
    Buffer.concat([u8(0, 0, 0, 0x9d, 1, 0x2a), u16(4), u16(4), Buffer.alloc(20)]),
  ]);
export const gif = (): Buffer =>
  Buffer.concat([
    Buffer.from('GIF89a'),
    u16(1),
    u16(1),
    u8(0x80, 0, 0),
    Buffer.alloc(6),
    u8(0x2c),
    Buffer.alloc(8),
    u8(0, 2, 2, 0x44, 1, 0, 0x3b),
  ]);

/** A file of one row group with one column. */
export function parquet({ rows = 3, groupRows = 3, columnBytes = 20 } = {}): Buffer {
  const zigzag = (value: number): Buffer => varint(value * 2);
  const meta = Buffer.concat([u8(0x76), zigzag(columnBytes), u8(0x26), zigzag(4), u8(0)]);
  const column = Buffer.concat([u8(0x26), zigzag(0), u8(0x1c), meta, u8(0)]);
  const group = Buffer.concat([u8(0x19, 0x1c), column, u8(0x26), zigzag(groupRows), u8(0)]);
  const footer = Buffer.concat([
    u8(0x15),
    zigzag(1),
    u8(0x26),
    zigzag(rows),
    u8(0x19, 0x1c),
    group,
    u8(0),
  ]);
  return Buffer.concat([
    Buffer.from('PAR1'),
    Buffer.alloc(20, 9),
    footer,
    u32(footer.length),
    Buffer.from('PAR1'),
  ]);
}
export function events(...records: readonly string[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const data = Buffer.from(record);
      const size = u64(data.length);
      return [size, u32(maskedCrc(size)), data, u32(maskedCrc(data))];
    }),
  );
}
/** A header block of a tar and a body of its size. */
export function tarMember(name: string, body: Buffer, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\x0000', 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
export const tarOf = (...members: readonly Buffer[]): Buffer =>
  Buffer.concat([...members, Buffer.alloc(1024)]);
export function pax(key: string, value: string): Buffer {
  const record = ` ${key}=${value}\n`;
  const length = record.length + 2 + (record.length + 2 > 99 ? 1 : 0);
  return tarMember('PaxHeader', Buffer.from(`${length}${record}`), 'x');
}
export const arrow = (): Buffer =>
  Buffer.concat([Buffer.from('ARROW1\0\0'), Buffer.alloc(16), u32(8), Buffer.from('ARROW1')]);
export const pdf = (): Buffer => Buffer.from('%PDF-1.4\n1 0 obj\nendobj\nstartxref\n9\n%%EOF\n');
