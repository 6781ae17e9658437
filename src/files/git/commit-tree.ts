import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInflate, inflateSync } from 'node:zlib';

/** A commit is a short text; a longer one is not worth reading. */
const LARGEST_BYTES = 1 << 20;
const COMMIT = 1;
const FANOUT_BYTES = 8 + 256 * 4;

/** The tree of a commit, read from the objects of a repository. `undefined`: it is not there in a form that can be read. */
export async function treeOf(common: string, commit: string): Promise<string | undefined> {
  const text = (await looseText(common, commit)) ?? (await packedText(common, commit));
  return text === undefined ? undefined : /^tree ([0-9a-f]{40,64})\n/.exec(text)?.[1];
}

async function looseText(common: string, commit: string): Promise<string | undefined> {
  try {
    const file = path.join(common, 'objects', commit.slice(0, 2), commit.slice(2));
    const text = inflateSync(await readFile(file), { maxOutputLength: LARGEST_BYTES });
    const start = text.indexOf(0);
    return text.toString('latin1', 0, 7) === 'commit ' && start !== -1
      ? text.toString('utf8', start + 1)
      : undefined;
  } catch {
    return undefined;
  }
}

async function packedText(common: string, commit: string): Promise<string | undefined> {
  const folder = path.join(common, 'objects', 'pack');
  const names = await readdir(folder).catch((): readonly string[] => []);
  for (const name of names.filter((each) => each.endsWith('.idx'))) {
    const pack = path.join(folder, name);
    try {
      const offset = await offsetIn(pack, Buffer.from(commit, 'hex'));
      if (offset !== undefined) return await textAt(pack.replace(/idx$/, 'pack'), offset);
    } catch {
      // A pack that cannot be read says nothing.
    }
  }
  return undefined;
}

/** Looks a hash up in the index of a pack, of version 2. */
async function offsetIn(file: string, hash: Buffer): Promise<number | undefined> {
  await using handle = await open(file, 'r');
  const head = await read(handle, 0, FANOUT_BYTES);
  if (head.readUInt32BE(0) !== 0xff744f63 || head.readUInt32BE(4) !== 2) return undefined;
  const first = hash.readUInt8(0);
  const total = head.readUInt32BE(8 + 255 * 4);
  let low = first === 0 ? 0 : head.readUInt32BE(8 + (first - 1) * 4);
  let high = head.readUInt32BE(8 + first * 4);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await read(handle, FANOUT_BYTES + middle * hash.length, hash.length);
    const order = Buffer.compare(found, hash);
    if (order === 0) {
      const offsets = FANOUT_BYTES + total * (hash.length + 4);
      const offset = (await read(handle, offsets + middle * 4, 4)).readUInt32BE(0);
      if (offset < 0x80000000) return offset;
      const large = offsets + total * 4 + (offset - 0x80000000) * 8;
      return Number((await read(handle, large, 8)).readBigUInt64BE(0));
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

async function textAt(pack: string, offset: number): Promise<string | undefined> {
  const head = await firstBytes(pack, offset);
  let at = 0;
  let byte = head.readUInt8(at);
  // As a difference to another object it is not read.
  if (((byte >> 4) & 7) !== COMMIT) return undefined;
  while ((byte & 0x80) !== 0) {
    at += 1;
    byte = head.readUInt8(at);
  }
  const inflate = createReadStream(pack, { start: offset + at + 1 }).pipe(createInflate());
  let text = '';
  for await (const chunk of inflate) {
    text += String(chunk);
    // The first line is all that is wanted.
    if (text.includes('\n') || text.length > LARGEST_BYTES) break;
  }
  return text;
}

async function firstBytes(file: string, offset: number): Promise<Buffer> {
  await using handle = await open(file, 'r');
  return await read(handle, offset, 16);
}

/** Fewer only at the end of the file. */
async function read(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, position);
  return bytes.subarray(0, bytesRead);
}
