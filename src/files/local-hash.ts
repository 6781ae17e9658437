import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream, lstatSync, readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../core/call.ts';
import { randomToken } from '../core/ids.ts';
import { countLines, createSecretScanner, type SecretFinding } from './secrets.ts';
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

export interface HashCache {
  /** What is remembered of the file as it is. */
  known(file: LocalFile): LocalHash | undefined;
  hash(file: LocalFile, signal: AbortSignal): Promise<LocalHash>;
  /** Of what was just read of it; undefined when it is no longer the file that was found. */
  take(file: LocalFile, content: Buffer): LocalHash | undefined;
  save(): Promise<void>;
}

/**
 * sha256 of files of one folder, remembered by device, inode, size and both times in nanoseconds. A file that changed
 * within two seconds of being hashed is hashed again next time, so an edit within one tick is never missed.
 */
export async function openHashCache(options: {
  readonly home: string;
  readonly root: string;
  readonly clock: Clock;
}): Promise<HashCache> {
  const folder = path.join(options.home, 'sync-cache');
  const file = path.join(
    folder,
    `${createHash('sha256').update(options.root).digest('hex').slice(0, 32)}.json`,
  );
  const before = await readCache(file);
  let isNew = false;
  const next = new Map<string, Entry>();
  const known = (local: LocalFile, key = keyOf(local.stats)): Entry | undefined => {
    const entry = before.get(local.path);
    if (entry?.key !== key) return undefined;
    next.set(local.path, entry);
    return entry;
  };
  const keep = (local: LocalFile, startedNs: bigint, fresh: Fresh): void => {
    isNew = true;
    const { mtimeNs, ctimeNs } = local.stats;
    const touchedNs = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
    if (startedNs - touchedNs > UNSURE_NS && fresh.key === keyOf(local.stats))
      next.set(local.path, { key: fresh.key, ...fresh.hash });
  };
  const nowNs = (): bigint => BigInt(options.clock.now().getTime()) * 1_000_000n;
  return {
    known: (local) => known(local),
    async hash(local, signal) {
      const entry = known(local);
      if (entry !== undefined) return entry;
      const startedNs = nowNs();
      const fresh =
        local.bytes <= SMALL_BYTES
          ? await hashSmall(local.absolute, signal)
          : await hashFile(local.absolute, signal);
      keep(local, startedNs, fresh);
      return fresh.hash;
    },
    take(local, content) {
      const startedNs = nowNs();
      const fresh = freshOf(local.absolute, content);
      if (fresh.key !== keyOf(local.stats)) return undefined;
      keep(local, startedNs, fresh);
      return fresh.hash;
    },
    async save() {
      if (!isNew && next.size === before.size) return;
      // Only a cache: a folder that cannot be written costs time, not correctness.
      await writeCache(folder, file, next).catch(() => kept.delete(file));
    },
  };
}

interface Fresh {
  readonly hash: Omit<Entry, 'key'>;
  readonly key: string;
}

function keyOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

const isShell = (file: string): boolean => /\.(?:sh|bash|zsh)$/.test(file);

async function hashSmall(absolute: string, signal: AbortSignal): Promise<Fresh> {
  // Lets others run between files.
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
  return freshOf(absolute, readFileSync(absolute));
}

/** Of a content that was read whole; the key is what the file is now. */
function freshOf(absolute: string, content: Buffer): Fresh {
  const scanner = createSecretScanner();
  scanner.add(content);
  const secret = scanner.finding();
  return {
    hash: {
      sha256: createHash('sha256').update(content).digest('hex'),
      crlf: isShell(absolute) && content.includes('\r\n'),
      ...(secret === undefined
        ? {}
        : { secret: { kind: secret.kind, line: 1 + countLines(content.subarray(0, secret.at)) } }),
    },
    key: keyOf(lstatSync(absolute, { bigint: true })),
  };
}

async function hashFile(absolute: string, signal: AbortSignal): Promise<Fresh> {
  const hash = createHash('sha256');
  const scanner = createSecretScanner();
  const shell = isShell(absolute);
  let crlf = false;
  await using handle = await open(absolute, 'r');
  // The next piece is read while this one is looked at.
  let [buffer, other] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
  let reading = handle.read(buffer, 0, CHUNK, null);
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    [buffer, other] = [other, buffer];
    signal.throwIfAborted();
    reading = handle.read(buffer, 0, CHUNK, null);
    hash.update(chunk);
    scanner.add(chunk);
    if (shell && chunk.includes('\r\n')) crlf = true;
  }
  const secret = scanner.finding();
  return {
    hash: {
      sha256: hash.digest('hex'),
      crlf,
      ...(secret === undefined
        ? {}
        : { secret: { kind: secret.kind, line: await lineAt(absolute, secret.at) } }),
    },
    key: keyOf(await handle.stat({ bigint: true })),
  };
}

/** The line in which the byte at `at` is. Only what is refused is read again. */
async function lineAt(absolute: string, at: number): Promise<number> {
  let line = 1;
  if (at > 0)
    for await (const chunk of createReadStream(absolute, { end: at - 1 }))
      if (Buffer.isBuffer(chunk)) line += countLines(chunk);
  return line;
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
