import { type Bytes, broken, unchecked } from './bytes.ts';
import { type Cursor, createCursor } from './cursor.ts';

const MAX_FOOTER_BYTES = 32 << 20;
const MAX_FIELDS = 5_000_000;
const MAX_DEPTH = 16;

/** Places in the footer, by the numbers of the fields that lead there. */
const ROWS = '3';
const ROW_GROUP_ROWS = '4/3';
const COLUMN = '4/1';

interface Column {
  bytes: number | undefined;
  data: number | undefined;
  dictionary: number | undefined;
}
interface Facts {
  left: number;
  rows: number | undefined;
  groupRows: number;
  column: Column;
}

/** The magic at both ends, and a footer whose columns lie before it and whose row groups add up to its rows. */
export async function proveParquet(bytes: Bytes): Promise<'structure'> {
  if ((await bytes.at(0, 4)).toString('latin1') !== 'PAR1') throw broken('it is no parquet file');
  const tail = await bytes.at(Math.max(0, bytes.size - 8), Math.min(8, bytes.size));
  if (tail.length < 8 || tail.toString('latin1', 4) !== 'PAR1')
    throw broken('the file is cut short');
  const length = tail.readUInt32LE(0);
  if (length === 0 || length + 12 > bytes.size) throw broken('its footer is damaged');
  if (length > MAX_FOOTER_BYTES) throw unchecked('its footer is too long to be read here');
  const start = bytes.size - 8 - length;
  const facts: Facts = { left: MAX_FIELDS, rows: undefined, groupRows: 0, column: noColumn() };
  await readStruct(createCursor(bytes, start, bytes.size - 8), '', facts, start, 0);
  if (facts.rows === undefined || facts.rows !== facts.groupRows)
    throw broken('its row groups do not add up to its rows');
  return 'structure';
}

function noColumn(): Column {
  return { bytes: undefined, data: undefined, dictionary: undefined };
}

/** Thrift's compact form: fields with the distance to the last number and a type, up to a zero. */
async function readStruct(
  cursor: Cursor,
  place: string,
  facts: Facts,
  footerAt: number,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw broken('its footer is damaged');
  let field = 0;
  for (let head = await cursor.u8(); head !== 0; head = await cursor.u8()) {
    count(facts);
    field = head >> 4 === 0 ? zigzag(await cursor.varint()) : field + (head >> 4);
    const at = place === '' ? String(field) : `${place}/${field}`;
    await readValue(cursor, head & 15, at, facts, footerAt, depth);
  }
  if (place === COLUMN) {
    checkColumn(facts.column, footerAt);
    facts.column = noColumn();
  }
}

async function readValue(
  cursor: Cursor,
  type: number,
  place: string,
  facts: Facts,
  footerAt: number,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH) throw broken('its footer is damaged');
  if (type === 1 || type === 2) return;
  if (type === 3) cursor.skip(1);
  else if (type >= 4 && type <= 6) note(facts, place, zigzag(await cursor.varint()));
  else if (type === 7) cursor.skip(8);
  else if (type === 8) cursor.skip(await cursor.varint());
  else if (type === 9 || type === 10) {
    const head = await cursor.u8();
    const size = head >> 4 === 15 ? await cursor.varint() : head >> 4;
    for (let item = 0; item < size; item += 1) {
      count(facts);
      if ((head & 15) <= 2) cursor.skip(1);
      else await readValue(cursor, head & 15, place, facts, footerAt, depth + 1);
    }
  } else if (type === 12) await readStruct(cursor, place, facts, footerAt, depth + 1);
  else throw broken('its footer is damaged');
}

function note(facts: Facts, place: string, value: number): void {
  if (place === ROWS) facts.rows = value;
  else if (place === ROW_GROUP_ROWS) facts.groupRows += value;
  else if (place === `${COLUMN}/3/7`) facts.column.bytes = value;
  else if (place === `${COLUMN}/3/9`) facts.column.data = value;
  else if (place === `${COLUMN}/3/11`) facts.column.dictionary = value;
}

function checkColumn({ bytes, data, dictionary }: Column, footerAt: number): void {
  // Without these the column lies in another file.
  if (bytes === undefined || data === undefined) return;
  const start = dictionary !== undefined && dictionary > 0 ? Math.min(dictionary, data) : data;
  if (start < 4 || bytes < 0 || start + bytes > footerAt)
    throw broken('a column of it lies outside of the file');
}

function count(facts: Facts): void {
  facts.left -= 1;
  if (facts.left < 0) throw unchecked('its footer is too long to be read here');
}

function zigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
