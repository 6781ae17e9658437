import { createHash } from 'node:crypto';
import { type Listed, type Printed, parseTree, type TreeListing } from './tree-listing.ts';

/* A listing taken apart by folder, so that after a few files were placed only their folders are listed anew. */

type Chunks = ReadonlyMap<string, string>;

/** Of listings that were taken apart before. */
const apart = new WeakMap<Buffer, { readonly chunks: Chunks | undefined }>();

function chunksOf(printed: Printed): Chunks | undefined {
  if (!Buffer.isBuffer(printed)) return printed;
  const known = apart.get(printed);
  if (known !== undefined) return known.chunks;
  const chunks = split(printed.toString('latin1'));
  apart.set(printed, { chunks });
  return chunks;
}

/** What was printed of each folder, '' being the root; undefined where that cannot be told apart. All in latin1: a byte a letter. */
function split(text: string): Chunks | undefined {
  const chunks = new Map<string, string>();
  let folder: string | undefined;
  let from = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\0', at);
    const name = nameAt(text, at);
    if (end < 0 || name === 0 || name >= end || !text.startsWith('./', name)) return undefined;
    const slash = text.lastIndexOf('/', end - 1);
    const of = slash === name + 1 ? '' : text.slice(name + 2, slash);
    if (of !== folder) {
      if (folder !== undefined) chunks.set(folder, text.slice(from, at));
      if (chunks.has(of)) return undefined;
      folder = of;
      from = at;
    }
    at = end + 1;
  }
  if (folder !== undefined) chunks.set(folder, text.slice(from));
  return chunks;
}

/** Where the name begins, behind six words; 0 in what another program than find printed. */
function nameAt(text: string, at: number): number {
  if (text.startsWith('B', at)) return 0;
  let name = at;
  for (let words = 0; words < 6; words += 1) {
    name = text.indexOf(' ', name) + 1;
    if (name === 0) return 0;
  }
  return name;
}

const inLatin1 = (text: string): string => Buffer.from(text).toString('latin1');

/** Whether `patched` can work on it at all. */
export function isApart(printed: Printed | undefined): printed is Printed {
  return printed !== undefined && chunksOf(printed) !== undefined;
}

/**
 * The listing of '' and `folders`, of which a pod listed only `touched` anew in `output`: the others are taken to be as they
 * were. Should one of them not be, then the digest is not that of the next listing, and that tells. When the two do not fit
 * together it has no digest, and the next look lists everything.
 */
export function patched(
  printed: Printed,
  folders: readonly string[],
  touched: readonly string[],
  output: Buffer,
  known: ReadonlyMap<string, Listed>,
): TreeListing {
  const { entries } = parseTree(output, known);
  const before = chunksOf(printed) ?? NOTHING;
  const only = new Set(entries.keys());
  for (const folder of touched) {
    const chunk = before.get(inLatin1(folder));
    if (chunk === undefined) continue;
    for (const name of parseTree(Buffer.from(chunk, 'latin1'), known).entries.keys())
      only.add(name);
  }
  const whole = together(before, folders, touched, output);
  if (whole === undefined) return { entries, only, digest: '' };
  const digest = createHash('sha256')
    .update([...whole.values()].join(''), 'latin1')
    .digest('hex');
  return { entries, only, digest, printed: whole };
}

const NOTHING: Chunks = new Map();

function together(
  before: Chunks,
  folders: readonly string[],
  touched: readonly string[],
  output: Buffer,
): Chunks | undefined {
  const told = split(output.toString('latin1'));
  if (told === undefined || told.size === 0) return undefined;
  const anew = new Set(touched.map(inLatin1));
  for (const folder of told.keys()) if (!anew.has(folder)) return undefined;
  const chunks = new Map<string, string>();
  for (const folder of ['', ...folders].map(inLatin1)) {
    const chunk = anew.has(folder) ? (told.get(folder) ?? '') : before.get(folder);
    if (chunk === undefined) return undefined;
    if (chunk !== '') chunks.set(folder, chunk);
  }
  return chunks;
}
