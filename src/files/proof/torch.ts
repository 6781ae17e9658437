import type { Proof } from '../../core/files.ts';
import { type Bytes, broken, unchecked } from './bytes.ts';
import { checkFinite } from './floats.ts';
import { createPickleScan } from './pickle.ts';
import type { PickleFacts } from './pickle-stack.ts';
import { LEGACY_MAGIC, proveLegacyTorch, provePickle } from './torch-legacy.ts';
import { floatsOf, NOT_FINITE, sizeOf } from './torch-storage.ts';
import { readZip, readZipEntry, type ZipEntry } from './zip.ts';

export interface TorchOptions {
  readonly limit: Proof;
  /** Hears the short texts of the pickle, among them the names of the tensors. */
  readonly onText?: (text: string) => void;
  readonly needsTensor?: boolean;
}

/**
 * A checkpoint of torch.save. The pickle is walked and never run: what it would call is compared with a list, and every
 * tensor it names must be there with its size. Floats are looked at when `limit` is `loaded`. Reaches `structure`, since
 * nothing here builds the tensors.
 */
export async function proveTorch(
  bytes: Bytes,
  { limit, onText, needsTensor = false }: TorchOptions,
): Promise<'structure'> {
  const head = await bytes.at(0, Math.min(LEGACY_MAGIC.length, bytes.size));
  if (head.equals(LEGACY_MAGIC)) return proveLegacyTorch(bytes, limit, onText);
  if (head[0] === 0x80) return provePickle(bytes, onText);
  if (head.toString('latin1', 0, 4) !== 'PK\x03\x04')
    throw broken('it is no torch checkpoint: neither a zip nor a pickle');
  const entries = await readZip(bytes);
  const [index, ...others] = entries.filter(({ name }) => /(?:^|\/)data\.pkl$/.test(name));
  if (index === undefined || others.length > 0) throw broken('it has no index of its tensors');
  const { storages, isEmptyDict, isOpaque } = await scanEntry(bytes, index, onText);
  if (isEmptyDict) throw broken('it holds nothing: an empty dict');
  if (needsTensor && storages.size === 0) throw broken('it holds no tensor');

  const folder = index.name.slice(0, -'data.pkl'.length);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const order = byName.get(`${folder}byteorder`);
  const isLittle = order === undefined || (await textOf(bytes, order)) !== 'big';
  const floats = new Map<string, string>();
  for (const [key, storage] of storages) {
    const entry = byName.get(`${folder}data/${key}`);
    if (entry?.bytes !== (sizeOf(storage) ?? entry?.bytes) || entry === undefined)
      throw broken('data of a tensor is missing or has another size');
    if (isLittle && limit === 'loaded') floats.set(entry.name, floatsOf(storage));
  }
  for (const entry of entries) {
    // Another pickle beside the index is opened by TorchScript; it is looked at like the index.
    if (entry !== index && entry.name.endsWith('.pkl')) await scanEntry(bytes, entry);
    else
      await checkFinite(floats.get(entry.name) ?? '', readZipEntry(bytes, entry), () =>
        broken(NOT_FINITE),
      );
  }
  if (isOpaque) throw unchecked('its pickle builds what cannot be seen from here');
  return 'structure';
}

async function scanEntry(
  bytes: Bytes,
  entry: ZipEntry,
  onText?: (text: string) => void,
): Promise<PickleFacts> {
  const scan = createPickleScan(onText);
  let ended = false;
  for await (const chunk of readZipEntry(bytes, entry)) {
    const used = ended ? 0 : scan.push(chunk);
    if (used === undefined) continue;
    if (used < chunk.length) throw broken('bytes follow its pickle');
    ended = true;
  }
  return scan.facts();
}

async function textOf(bytes: Bytes, entry: ZipEntry): Promise<string> {
  if (entry.bytes > 64) throw broken('a member of the checkpoint is damaged');
  const parts: Buffer[] = [];
  for await (const chunk of readZipEntry(bytes, entry)) parts.push(chunk);
  return Buffer.concat(parts).toString('latin1').trim();
}
