import { createHash } from 'node:crypto';
import type { LateHash } from './late-hash.ts';
import { goneIsNothing, openFile } from './open-local.ts';
import type { PlannedFile } from './sync-plan.ts';
import { localFile } from './walk.ts';

/** No hash of anything. */
export const CHANGED = 'changed';

/** With the hash that it went out with, when that is the one it was to have. */
export function asSent(
  file: PlannedFile,
  sha256: string | undefined,
  late: LateHash,
): readonly PlannedFile[] {
  if (sha256 === undefined) return [];
  if (file.sha256 === '') return late.sha256Of(file.path) === sha256 ? [{ ...file, sha256 }] : [];
  return file.sha256 === sha256 ? [file] : [];
}

export function without(
  files: readonly PlannedFile[],
  placed: readonly PlannedFile[],
): readonly PlannedFile[] {
  const names = new Set(placed.map(({ path }) => path));
  return files.filter(({ path }) => !names.has(path));
}

/** What was read piece by piece is what was hashed before: nothing changed it since, or it only grew. */
export async function isAsHashed(file: PlannedFile, signal: AbortSignal): Promise<boolean> {
  return isUntouched(file) || (file.mayHaveGrown === true && (await beginsAs(file, signal)));
}

/** Nothing changed it since it was found. */
export function isUntouched(file: PlannedFile): boolean {
  try {
    return localFile(file.absolute, file.path).key === file.key;
  } catch {
    return false;
  }
}

async function beginsAs(file: PlannedFile, signal: AbortSignal): Promise<boolean> {
  await using handle = await openFile(file.absolute).catch(goneIsNothing);
  if (handle === undefined) return false;
  const hash = createHash('sha256');
  const begin = { end: Math.max(0, file.bytes - 1), highWaterMark: 1 << 20, autoClose: false };
  for await (const chunk of handle.createReadStream({ ...begin, signal }))
    if (Buffer.isBuffer(chunk)) hash.update(chunk);
  return hash.digest('hex') === file.sha256;
}

/** With the hash that it was found to have when it was read, if it had none. */
export function withHash(file: PlannedFile, late: LateHash): PlannedFile {
  const sha256 = file.sha256 === '' ? late.sha256Of(file.path) : undefined;
  return sha256 === undefined ? file : { ...file, sha256 };
}
