import { type Bytes, broken } from './bytes.ts';
import { allFinite } from './floats.ts';
import { readZip, readZipEntry } from './zip.ts';

interface NpyHeader {
  readonly dataStart: number;
  readonly dataBytes: number;
  /** Our name of a float type, or '' for what cannot be NaN. */
  readonly floats: string;
}

const MAX_HEADER = 1 << 20;

export async function proveNpy(bytes: Bytes): Promise<'loaded'> {
  const header = readNpyHeader(await bytes.at(0, Math.min(bytes.size, MAX_HEADER)));
  if (header.dataStart + header.dataBytes !== bytes.size)
    throw broken(
      header.dataStart + header.dataBytes > bytes.size
        ? 'the file is cut short'
        : 'bytes follow the array',
    );
  for await (const chunk of bytes.chunks(header.dataStart))
    if (!allFinite(header.floats, chunk)) throw broken('the array holds NaN or infinity');
  return 'loaded';
}

/** Every member is a whole `.npy`; CRCs right. */
export async function proveNpz(bytes: Bytes): Promise<'loaded'> {
  const entries = await readZip(bytes);
  if (entries.length === 0) throw broken('the archive is empty');
  for (const entry of entries) {
    if (!entry.name.endsWith('.npy')) throw broken('a member is not an array');
    let head = Buffer.alloc(0);
    let header: NpyHeader | undefined;
    let rest = Buffer.alloc(0);
    for await (const chunk of readZipEntry(bytes, entry)) {
      if (header === undefined) {
        head = Buffer.concat([head, chunk]);
        if (head.length < Math.min(entry.bytes, MAX_HEADER)) continue;
        header = readNpyHeader(head);
        rest = head.subarray(header.dataStart);
      } else rest = Buffer.concat([rest, chunk]);
      const whole = rest.length - (rest.length % 8);
      if (!allFinite(header.floats, rest.subarray(0, whole)))
        throw broken('an array holds NaN or infinity');
      rest = rest.subarray(whole);
    }
    if (header === undefined || header.dataStart + header.dataBytes !== entry.bytes)
      throw broken('an array is cut short');
    if (!allFinite(header.floats, rest)) throw broken('an array holds NaN or infinity');
  }
  return 'loaded';
}

function readNpyHeader(head: Buffer): NpyHeader {
  if (head.length < 10 || head.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw broken('it is no numpy array');
  const wide = (head[6] ?? 1) >= 2;
  if (wide && head.length < 12) throw broken('the file is cut short');
  const start = wide ? 12 : 10;
  const length = wide ? head.readUInt32LE(8) : head.readUInt16LE(8);
  if (start + length > head.length) throw broken('its header is cut short');
  const text = head.toString('latin1', start, start + length);
  const descr = /'descr'\s*:\s*'([<>|=]?)([A-Za-z])(\d+)(?:\[[^\]]*\])?'/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d,\s]*)\)/.exec(text);
  if (/'descr'\s*:\s*'[<>|=]?O/.test(text)) throw broken('it holds pickled objects');
  if (shape?.[1] === undefined) throw broken('its header is damaged');
  if (descr?.[2] === undefined) throw broken('it has a type that is not checked here');
  const [, order, kind, digits] = descr;
  const itemBytes = Number(digits) * (kind === 'U' ? 4 : 1);
  const count = shape[1]
    .split(',')
    .filter((part) => part.trim() !== '')
    .reduce((product, part) => product * Number(part), 1);
  const floats = kind === 'f' && order !== '>' ? `F${itemBytes * 8}` : '';
  return { dataStart: start + length, dataBytes: count * itemBytes, floats };
}
