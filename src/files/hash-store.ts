import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { randomToken } from '../core/ids.ts';
import { keepNewest, stampOf } from './kept.ts';

const entrySchema = z.object({
  key: z.string(),
  sha256: z.string(),
  crlf: z.boolean(),
  secret: z.object({ kind: z.string(), line: z.int() }).exactOptional(),
});
/** Counted up also when the scanner for secrets finds more: what it passed is looked at anew. */
const cacheSchema = z.object({ version: z.literal(3), files: z.record(z.string(), entrySchema) });
export type Entry = z.output<typeof entrySchema>;

/** What is known of one folder, used while the file is the same, so that ten thousand entries are not parsed for every call. */
interface Kept {
  readonly stamp: string | undefined;
  readonly entries: Map<string, Entry>;
  /** Of files whose hashes are only here. */
  unsavedBytes: number;
  unsavedFiles: number;
}
const kept = new Map<string, Kept>();
const MOST_KEPT = 8;

/** None where there is no such file, or it cannot be read. What is noted in `entries` is there for the next one who asks. */
export async function readHashes(file: string): Promise<Kept> {
  const stamp = await stampOf(file);
  const known = kept.get(file);
  if (known !== undefined && known.stamp === stamp) return known;
  const text = await readFile(file, 'utf8').catch(() => '');
  return keep(file, { stamp, entries: parseCache(text), unsavedBytes: 0, unsavedFiles: 0 });
}

function parseCache(text: string): Map<string, Entry> {
  if (text === '') return new Map();
  try {
    return new Map(Object.entries(cacheSchema.parse(JSON.parse(text)).files));
  } catch {
    return new Map();
  }
}

function keep(file: string, memory: Kept): Kept {
  keepNewest(kept, file, memory, MOST_KEPT);
  return memory;
}

/** For the next start. Throws what the file system says. */
export async function writeHashes(file: string, entries: Map<string, Entry>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomToken(8)}`;
  await writeFile(draft, JSON.stringify({ version: 3, files: Object.fromEntries(entries) }), {
    mode: 0o600,
  });
  const stamp = await stampOf(draft);
  await rename(draft, file);
  keep(file, { stamp, entries, unsavedBytes: 0, unsavedFiles: 0 });
}

/** Reads the file next time. */
export function forgetHashes(file: string): void {
  kept.delete(file);
}
