import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
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
  const next = new Map<string, Entry>();
  return {
    async hash(local, signal) {
      const key = keyOf(local.stats);
      const entry = known.get(local.path);
      if (entry?.key === key) {
        next.set(local.path, entry);
        return entry;
      }
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
      // Only a cache: a folder that cannot be written costs time, not correctness.
      await writeCache(folder, file, next).catch(() => undefined);
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

async function readCache(file: string): Promise<ReadonlyMap<string, Entry>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text === '') return new Map();
  try {
    return new Map(Object.entries(cacheSchema.parse(JSON.parse(text)).files));
  } catch {
    return new Map();
  }
}

async function writeCache(
  folder: string,
  file: string,
  files: ReadonlyMap<string, Entry>,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomToken(8)}`;
  await writeFile(draft, JSON.stringify({ version: 2, files: Object.fromEntries(files) }), {
    mode: 0o600,
  });
  await rename(draft, file);
}
