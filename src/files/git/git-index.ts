/** One tracked file, as it was when git last looked at it. */
export interface IndexEntry {
  /** Relative to the root, with `/`. */
  readonly path: string;
  /** Of the type: 0o10 a file, 0o12 a link, 0o16 another repository. */
  readonly kind: number;
  readonly executable: boolean;
  /** Modulo 2^32. */
  readonly bytes: number;
  readonly modifiedSeconds: number;
  readonly modifiedNanoseconds: number;
  readonly hash: string;
  /** Not merged, or only announced: it is no part of a commit. */
  readonly unsettled: boolean;
  /** Not in this working tree on purpose. */
  readonly absent: boolean;
}
export interface GitIndex {
  readonly entries: readonly IndexEntry[];
  /** The tree that the whole index would be committed as. Absent: git did not note it. */
  readonly tree?: string | undefined;
}

const STAT_BYTES = 40;
const EXTENDED = 0x4000;
const STAGE = 0x3000;
const SKIP_WORKTREE = 0x4000;
const INTENT_TO_ADD = 0x2000;

/** Reads an index of version 2 to 4. `undefined`: it is another one, split, or damaged. Pure. */
export function parseIndex(bytes: Buffer, hashBytes: number): GitIndex | undefined {
  try {
    return parse(bytes, hashBytes);
  } catch {
    return undefined;
  }
}

function parse(bytes: Buffer, hashBytes: number): GitIndex | undefined {
  const version = bytes.readUInt32BE(4);
  if (bytes.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 4) return undefined;
  const entries: IndexEntry[] = [];
  let at = 12;
  let before = Buffer.alloc(0);
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1) {
    const start = at;
    const mode = bytes.readUInt32BE(at + 24);
    const hash = bytes.toString('hex', at + STAT_BYTES, at + STAT_BYTES + hashBytes);
    at += STAT_BYTES + hashBytes;
    const flags = bytes.readUInt16BE(at);
    at += 2;
    let extended = 0;
    if (version > 2 && (flags & EXTENDED) !== 0) {
      extended = bytes.readUInt16BE(at);
      at += 2;
    }
    let kept = Buffer.alloc(0);
    if (version === 4) {
      const [cut, next] = varint(bytes, at);
      at = next;
      kept = before.subarray(0, before.length - cut);
    }
    const end = bytes.indexOf(0, at);
    if (end === -1) return undefined;
    const name = Buffer.concat([kept, bytes.subarray(at, end)]);
    before = name;
    // Padded with 1 to 8 NULs to a multiple of eight.
    at = version === 4 ? end + 1 : start + Math.floor((end - start + 8) / 8) * 8;
    entries.push({
      path: name.toString('utf8'),
      kind: mode >>> 12,
      executable: (mode & 0o100) !== 0,
      bytes: bytes.readUInt32BE(start + 36),
      modifiedSeconds: bytes.readUInt32BE(start + 8),
      modifiedNanoseconds: bytes.readUInt32BE(start + 12),
      hash,
      unsettled: (flags & STAGE) !== 0 || (extended & INTENT_TO_ADD) !== 0,
      absent: (extended & SKIP_WORKTREE) !== 0,
    });
  }
  let tree: string | undefined;
  while (at + 8 <= bytes.length - hashBytes) {
    const name = bytes.toString('latin1', at, at + 4);
    const length = bytes.readUInt32BE(at + 4);
    // Most of a split index lies in another file.
    if (name === 'link') return undefined;
    if (name === 'TREE') tree = rootOf(bytes.subarray(at + 8, at + 8 + length), hashBytes);
    at += 8 + length;
  }
  return { entries, ...(tree === undefined ? {} : { tree }) };
}

/** The root comes first: an empty name, how many files, how many trees, its hash. -1 files: not known any more. */
function rootOf(bytes: Buffer, hashBytes: number): string | undefined {
  const line = bytes.indexOf(0x0a);
  if (line === -1 || bytes[0] !== 0) return undefined;
  if (!/^\d+ \d+$/.test(bytes.toString('latin1', 1, line))) return undefined;
  const hash = bytes.toString('hex', line + 1, line + 1 + hashBytes);
  return hash.length === hashBytes * 2 ? hash : undefined;
}

function varint(bytes: Buffer, start: number): readonly [value: number, next: number] {
  let at = start;
  let byte = bytes.readUInt8(at);
  let value = byte & 0x7f;
  while ((byte & 0x80) !== 0) {
    at += 1;
    byte = bytes.readUInt8(at);
    value = (value + 1) * 128 + (byte & 0x7f);
  }
  return [value, at + 1];
}
