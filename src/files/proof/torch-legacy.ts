import type { Proof } from '../../core/files.ts';
import { Broken, type Bytes, broken, unchecked } from './bytes.ts';
import { checkFinite } from './floats.ts';
import { createPickleScan, type PickleScan } from './pickle.ts';
import { Hostile } from './pickle-stack.ts';
import { floatsOf, NOT_FINITE, sizeOf } from './torch-storage.ts';

/** The first of the five pickles that torch wrote before it wrote zips. */
export const LEGACY_MAGIC = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
/** After the magic: version, facts of the machine, the object, the keys of its storages. */
const PICKLES = 5;
const OBJECT = 3;

/** Five pickles, then each storage as its count and its items, in the order of its key, up to the last byte. */
export async function proveLegacyTorch(
  bytes: Bytes,
  limit: Proof,
  onText?: (text: string) => void,
): Promise<'structure'> {
  let at = 0;
  let object = createPickleScan();
  for (let index = 0; index < PICKLES; index += 1) {
    const scan = createPickleScan(index === OBJECT ? onText : undefined);
    at = await scanAt(bytes, scan, at);
    if (index === OBJECT) object = scan;
  }
  const { storages, isEmptyDict, isOpaque } = object.facts();
  if (isEmptyDict) throw broken('it holds nothing: an empty dict');
  // As Python sorts texts: by code point, which for these keys of digits is by UTF-16 too.
  for (const [, storage] of [...storages].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const size = sizeOf(storage);
    if (size === undefined) throw unchecked('a tensor has a type that is not known here');
    if ((await bytes.at(at, 8)).readBigUInt64LE(0) !== BigInt(storage.items))
      throw broken('data of a tensor is missing or has another size');
    at += 8;
    if (at + size > bytes.size) throw broken('the file is cut short: tensor data is missing');
    if (limit === 'loaded')
      await checkFinite(floatsOf(storage), bytes.chunks(at, at + size), () => broken(NOT_FINITE));
    at += size;
  }
  if (at !== bytes.size) throw broken('bytes follow the last tensor');
  if (isOpaque) throw unchecked('its pickle builds what cannot be seen from here');
  return 'structure';
}

/** One pickle up to the last byte, walked and never run. */
export async function provePickle(
  bytes: Bytes,
  onText?: (text: string) => void,
): Promise<'structure'> {
  const head = await bytes.at(0, Math.min(2, bytes.size));
  const isNamed = head[0] === 0x80 && (head[1] ?? 0) <= 5;
  const scan = createPickleScan(onText);
  try {
    const end = await scanAt(bytes, scan, 0);
    if (end !== bytes.size) throw broken('bytes follow the pickle');
  } catch (thrown) {
    // Without a version in front it may be anything: packed, or no pickle at all. Joblib lays arrays between the codes.
    if (thrown instanceof Broken && !(thrown instanceof Hostile) && (!isNamed || scan.isJoblib()))
      throw unchecked('it is no plain pickle');
    throw thrown;
  }
  if (scan.facts().isOpaque) throw unchecked('it builds what cannot be seen from here');
  return 'structure';
}

/** Walks the pickle that begins at `start`; answers where it ends. */
async function scanAt(bytes: Bytes, scan: PickleScan, start: number): Promise<number> {
  let at = start;
  for await (const chunk of bytes.chunks(start)) {
    const used = scan.push(chunk);
    if (used !== undefined) return at + used;
    at += chunk.length;
  }
  throw broken('its pickle is cut short');
}
