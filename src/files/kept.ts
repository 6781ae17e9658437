import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Puts `value` last into `kept`, and drops the oldest beyond `most`. */
export function keepNewest<Key, Value>(
  kept: Map<Key, Value>,
  key: Key,
  value: Value,
  most: number,
): void {
  kept.delete(key);
  kept.set(key, value);
  for (const [oldest] of kept) if (kept.size > most) kept.delete(oldest);
}

/** Tells one content of a file of ours from the next; undefined where there is none. A rename changes nothing of it. */
export async function stampOf(file: string): Promise<string | undefined> {
  const stats = await stat(file, { bigint: true }).catch(() => undefined);
  return stats && stampBy(stats);
}

/** The same of what is known of it. */
export function stampBy({
  ino,
  size,
  mtimeNs,
}: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs'>): string {
  return `${ino}:${size}:${mtimeNs}`;
}
