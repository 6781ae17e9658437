import { type Bytes, broken, drain } from './bytes.ts';
import { readZip, readZipEntry } from './zip.ts';

/**
 * A checkpoint of torch.save: a zip with one pickle and its storages, every CRC right. The pickle is never run, so this
 * reaches `structure`; a bare pickle of old torch can only be recognised, which proves no more than its hash.
 */
export async function proveTorch(bytes: Bytes): Promise<'hash' | 'structure'> {
  const head = await bytes.at(0, Math.min(4, bytes.size));
  if (head.length >= 2 && head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) {
    if ((await bytes.at(bytes.size - 1, 1)).length !== 1) throw broken('the file is cut short');
    return 'hash';
  }
  if (head.toString('latin1') !== 'PK\x03\x04')
    throw broken('it is no torch checkpoint: neither a zip nor a pickle');
  const entries = await readZip(bytes);
  const pickles = entries.filter(({ name }) => /(?:^|\/)data\.pkl$/.test(name));
  if (pickles.length !== 1) throw broken('it has no index of its tensors');
  const folder = (pickles[0]?.name ?? '').slice(0, -'data.pkl'.length);
  const storages = entries.filter(
    ({ name, bytes: size }) => name.startsWith(`${folder}data/`) && size > 0,
  );
  for (const entry of entries) await drain(readZipEntry(bytes, entry));
  if (storages.length === 0) throw broken('it holds no tensor');
  return 'structure';
}
