import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { CallOptions, Clock } from '../core/call.ts';
import { proofSchema } from '../core/files.ts';
import { randomToken } from '../core/ids.ts';
import { isSettled } from './pod-listing.ts';

const verdictSchema = z.object({ proof: proofSchema, problem: z.string().exactOptional() });
const entrySchema = z.object({
  /** The pod's file when its hash was taken. */
  stamp: z.string(),
  bytes: z.int().nonnegative(),
  sha256: z.string(),
  /** This machine's file when it had that hash. */
  key: z.string(),
  /** How far it opened, by the level that was asked for. */
  verdicts: z.record(z.string(), verdictSchema),
});
const cacheSchema = z.object({ version: z.literal(1), files: z.record(z.string(), entrySchema) });
type Entry = z.output<typeof entrySchema>;
export type Verdict = z.output<typeof verdictSchema>;

interface Seen {
  readonly path: string;
  readonly bytes: number;
  readonly stamp: string;
}
export interface HomeCache {
  /** The sha256 of a file that neither side touched since both had it; undefined when that is not sure. */
  known(file: Seen): string | undefined;
  /** Whether the file here is the one that an earlier fetch put there, whatever the pod has now. */
  readonly isUntouched: (path: string) => boolean;
  verdict(path: string, limit: string): Verdict | undefined;
  /** Remembers files that are home now. What changed a moment ago on either side is not remembered. */
  save(
    files: readonly (Seen & { readonly sha256: string; readonly verdict: Verdict })[],
    options: { readonly limit: string; readonly nowSeconds: number } & CallOptions,
  ): Promise<void>;
}

/** Clocks of file systems tick: what was touched less than this ago may be touched again without another time. */
const TICK_MS = 50;
const COARSE_TICK_MS = 2000;

/** What was proven equal on both sides by an earlier fetch from `root` on the pod to `destination`. */
export async function openHomeCache(options: {
  readonly home: string;
  readonly clock: Clock;
  readonly podId: string;
  readonly root: string;
  readonly destination: string;
}): Promise<HomeCache> {
  const { home, clock, podId, root, destination } = options;
  const folder = path.join(home, 'fetch-cache');
  const name = createHash('sha256').update(JSON.stringify([podId, root, destination]));
  const file = path.join(folder, `${name.digest('hex').slice(0, 32)}.json`);
  const entries = await readCache(file);
  const isUntouched: HomeCache['isUntouched'] = (relative) => {
    const stats = statsOf(path.join(destination, relative));
    return stats !== undefined && keyOf(stats) === entries.get(relative)?.key;
  };
  const known: HomeCache['known'] = ({ path: relative, bytes, stamp }) => {
    const entry = entries.get(relative);
    if (entry?.stamp !== stamp || entry.bytes !== bytes) return undefined;
    return isUntouched(relative) ? entry.sha256 : undefined;
  };
  return {
    known,
    isUntouched,
    verdict: (relative, limit) => entries.get(relative)?.verdicts[limit],
    async save(files, { limit, nowSeconds, ...call }) {
      const fresh = files.filter((one) => known(one) === undefined);
      if (fresh.length > 0) await clock.sleep((TICK_MS + 10) / 1000, call);
      const now = clock.now().getTime();
      for (const one of fresh) {
        entries.delete(one.path);
        const stats = statsOf(path.join(destination, one.path));
        if (stats === undefined || !isSettled(one.stamp, nowSeconds) || !isQuiet(stats, now))
          continue;
        const { stamp, bytes, sha256 } = one;
        entries.set(one.path, { stamp, bytes, sha256, key: keyOf(stats), verdicts: {} });
      }
      let changed = fresh.length > 0;
      for (const { path: relative, verdict } of files) {
        const entry = entries.get(relative);
        if (entry === undefined || entry.verdicts[limit] !== undefined) continue;
        entries.set(relative, { ...entry, verdicts: { ...entry.verdicts, [limit]: verdict } });
        changed = true;
      }
      // Only a cache: a folder that cannot be written costs time, not correctness.
      if (changed) await writeCache(folder, file, entries).catch(() => undefined);
    },
  };
}

function statsOf(file: string): BigIntStats | undefined {
  const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  return stats?.isFile() === true ? stats : undefined;
}

function keyOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function isQuiet({ ctimeNs }: BigIntStats, nowMs: number): boolean {
  const tick = ctimeNs % 1_000_000_000n === 0n ? COARSE_TICK_MS : TICK_MS;
  return nowMs - Number(ctimeNs / 1_000_000n) >= tick;
}

async function readCache(file: string): Promise<Map<string, Entry>> {
  try {
    return new Map(
      Object.entries(cacheSchema.parse(JSON.parse(await readFile(file, 'utf8'))).files),
    );
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
  const text = JSON.stringify({ version: 1, files: Object.fromEntries(files) });
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, file);
}
