import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../core/call.ts';
import { randomToken } from '../core/ids.ts';
import { createSecretScanner, type SecretFinding } from './secrets.ts';
import type { LocalFile } from './walk.ts';

const entrySchema = z.object({
  key: z.string(),
  sha256: z.string(),
  crlf: z.boolean(),
  secret: z.object({ kind: z.string(), line: z.int() }).exactOptional(),
});
const cacheSchema = z.object({ version: z.literal(2), files: z.record(z.string(), entrySchema) });
type Entry = z.output<typeof entrySchema>;
type Entries = ReadonlyMap<string, Entry>;

/** What was read or written last, so that ten thousand entries are not parsed for every call. Used while the file is the same. */
const kept = new Map<string, { readonly stamp: string; readonly entries: Entries }>();
const MOST_KEPT = 8;

export interface LocalHash {
  readonly sha256: string;
  readonly secret?: SecretFinding | undefined;
  /** Holds a carriage return before a line end. */
  readonly crlf: boolean;
}
const CHUNK = 1 << 20;
/** Below this one synchronous read is many times cheaper than four turns of the thread pool. */
export const SMALL_BYTES = 128 << 10;
/** A file touched this shortly before it was hashed may change again without a new time stamp. */
const UNSURE_NS = 2_000_000_000n;

/**
 * sha256 of files of one folder, remembered by device, inode, size and both times in nanoseconds. A file that changed
 * within two seconds of being hashed is hashed again next time, so an edit within one tick is never missed.
 */
export async function openHashCache(options: {
  readonly home: string;
  readonly root: string;
  readonly clock: Clock;
}): Promise<{
  hash(file: LocalFile, signal: AbortSignal): Promise<LocalHash>;
  save(): Promise<void>;
}> {
  const folder = path.join(options.home, 'sync-cache');
  const file = path.join(
    folder,
    `${createHash('sha256').update(options.root).digest('hex').slice(0, 32)}.json`,
  );
  const known = await readCache(file);
  let isNew = false;
  const next = new Map<string, Entry>();
  return {
    async hash(local, signal) {
      const key = keyOf(local.stats);
      const entry = known.get(local.path);
      if (entry?.key === key) {
        next.set(local.path, entry);
        return entry;
      }
      isNew = true;
      const startedNs = BigInt(options.clock.now().getTime()) * 1_000_000n;
      const fresh =
        local.bytes <= SMALL_BYTES
          ? await hashSmall(local.absolute, signal)
          : await hashFile(local.absolute, signal);
      const touchedNs =
        local.stats.mtimeNs > local.stats.ctimeNs ? local.stats.mtimeNs : local.stats.ctimeNs;
      if (startedNs - touchedNs > UNSURE_NS && fresh.key === key)
        next.set(local.path, { key, ...fresh.hash });
      return fresh.hash;
    },
    async save() {
      if (!isNew && next.size === known.size) return;
      // Only a cache: a folder that cannot be written costs time, not correctness.
      await writeCache(folder, file, next).catch(() => kept.delete(file));
    },
  };
}

function keyOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

const isShell = (file: string): boolean => /\.(?:sh|bash|zsh)$/.test(file);

async function hashSmall(absolute: string, signal: AbortSignal): ReturnType<typeof hashFile> {
  // Lets others run between files.
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
  const content = readFileSync(absolute);
  const scanner = createSecretScanner();
  scanner.add(content);
  const secret = scanner.finding();
  return {
    hash: {
      sha256: createHash('sha256').update(content).digest('hex'),
      crlf: isShell(absolute) && content.includes('\r\n'),
      ...(secret === undefined ? {} : { secret }),
    },
    key: keyOf(lstatSync(absolute, { bigint: true })),
  };
}

async function hashFile(
  absolute: string,
  signal: AbortSignal,
): Promise<{ readonly hash: Omit<Entry, 'key'>; readonly key: string }> {
  const hash = createHash('sha256');
  const scanner = createSecretScanner();
  const shell = isShell(absolute);
  let crlf = false;
  await using handle = await open(absolute, 'r');
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK, null);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    scanner.add(chunk);
    if (shell && chunk.includes('\r\n')) crlf = true;
  }
  const secret = scanner.finding();
  return {
    hash: {
      sha256: hash.digest('hex'),
      crlf,
      ...(secret === undefined ? {} : { secret }),
    },
    key: keyOf(await handle.stat({ bigint: true })),
  };
}

async function readCache(file: string): Promise<Entries> {
  const stamp = await stampOf(file);
  const known = kept.get(file);
  if (known?.stamp === stamp) return known.entries;
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text === '') return new Map();
  try {
    return new Map(Object.entries(cacheSchema.parse(JSON.parse(text)).files));
  } catch {
    return new Map();
  }
}

async function writeCache(folder: string, file: string, files: Entries): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomToken(8)}`;
  await writeFile(draft, JSON.stringify({ version: 2, files: Object.fromEntries(files) }), {
    mode: 0o600,
  });
  const stamp = await stampOf(draft);
  await rename(draft, file);
  kept.delete(file);
  kept.set(file, { stamp, entries: files });
  for (const [oldest] of kept) if (kept.size > MOST_KEPT) kept.delete(oldest);
}

/** A rename changes none of these. */
async function stampOf(file: string): Promise<string> {
  const stats = await stat(file, { bigint: true }).catch(() => undefined);
  return stats === undefined ? '' : `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
}
