import type { Proof } from '../../core/files.ts';
import { type Bytes, broken, unchecked } from './bytes.ts';
import { checkFinite } from './floats.ts';
import { readZip, readZipEntry } from './zip.ts';

interface NpyHeader {
  readonly dataStart: number;
  readonly dataBytes: number;
  /** Our name of a float type, or '' for what cannot be NaN. */
  readonly floats: string;
}

type Reached = 'structure' | 'loaded';

const MAX_HEADER = 1 << 20;
/** Our names of numpy's numbers that can be NaN; a complex one is two floats. */
const FLOATS: Readonly<Record<string, string>> = {
  f2: 'F16',
  f4: 'F32',
  f8: 'F64',
  c8: 'F32',
  c16: 'F64',
};
const MAX_MEMBER_HEADER = 64 << 10;
const NOT_FINITE = 'an array holds NaN or infinity. If it may, fetch again with verify "structure"';

/** The header, as many bytes as it says, and finite floats unless `limit` is `structure`. */
export async function proveNpy(bytes: Bytes, limit: Proof = 'loaded'): Promise<Reached> {
  const header = readNpyHeader(await bytes.at(0, Math.min(bytes.size, MAX_HEADER)));
  if (header.dataStart + header.dataBytes !== bytes.size)
    throw broken(
      header.dataStart + header.dataBytes > bytes.size
        ? 'the file is cut short'
        : 'bytes follow the array',
    );
  if (limit === 'structure') return 'structure';
  await checkFinite(header.floats, bytes.chunks(header.dataStart), () => broken(NOT_FINITE));
  return 'loaded';
}

/** Every member is a whole `.npy`, CRCs right, floats finite unless `limit` is `structure`. */
export async function proveNpz(bytes: Bytes, limit: Proof = 'loaded'): Promise<Reached> {
  const entries = await readZip(bytes);
  if (entries.length === 0) throw broken('the archive is empty');
  for (const entry of entries) {
    if (!entry.name.endsWith('.npy')) throw broken('a member is not an array');
    await checkMember(readZipEntry(bytes, entry), entry.bytes, limit);
  }
  return limit === 'structure' ? 'structure' : 'loaded';
}

async function checkMember(
  chunks: AsyncGenerator<Buffer, void, undefined>,
  bytes: number,
  limit: Proof,
): Promise<void> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < Math.min(bytes, MAX_MEMBER_HEADER)) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const { dataStart, dataBytes, floats } = readNpyHeader(head);
  if (dataStart + dataBytes !== bytes) throw broken('an array is cut short');
  const data = async function* (): AsyncGenerator<Buffer, void, undefined> {
    yield head.subarray(dataStart);
    yield* chunks;
  };
  const type = limit === 'structure' ? '' : floats;
  await checkFinite(type, data(), () => broken(NOT_FINITE));
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
  if (descr?.[2] === undefined) throw unchecked('it has a type that is not checked here');
  const [, order, kind, digits] = descr;
  const itemBytes = Number(digits) * (kind === 'U' ? 4 : 1);
  const count = shape[1]
    .split(',')
    .filter((part) => part.trim() !== '')
    .reduce((product, part) => product * Number(part), 1);
  const floats = order === '>' ? '' : (FLOATS[`${kind}${digits ?? ''}`] ?? '');
  return { dataStart: start + length, dataBytes: count * itemBytes, floats };
}
