import { type Bytes, broken } from './bytes.ts';

/** The header and page count × page size = file size. The database is not opened. */
export async function proveSqlite(bytes: Bytes): Promise<'structure'> {
  const head = await bytes.at(0, 100);
  if (head.toString('latin1', 0, 16) !== 'SQLite format 3\0')
    throw broken('it is no SQLite database');
  const raw = head.readUInt16BE(16);
  const page = raw === 1 ? 65_536 : raw;
  if (page < 512 || bytes.size % page !== 0) throw broken('the file is cut short');
  const pages = head.readUInt32BE(28);
  if (head.readUInt32BE(24) === head.readUInt32BE(92) && pages * page !== bytes.size)
    throw broken('the file is cut short');
  return 'structure';
}
