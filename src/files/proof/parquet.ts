import { type Bytes, broken } from './bytes.ts';

/** The magic at both ends and a footer that fits. */
export async function proveParquet(bytes: Bytes): Promise<'structure'> {
  const head = await bytes.at(0, 4);
  const tail = await bytes.at(bytes.size - 8, 8);
  if (head.toString('latin1') !== 'PAR1') throw broken('it is no parquet file');
  if (tail.toString('latin1', 4) !== 'PAR1') throw broken('the file is cut short');
  const footer = tail.readUInt32LE(0);
  if (footer === 0 || footer + 12 > bytes.size) throw broken('its footer is damaged');
  return 'structure';
}
