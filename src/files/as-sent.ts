import type { LateHash } from './late-hash.ts';
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

/** What was read piece by piece is what was hashed before, as long as nothing changed it since. */
export function isUntouched(file: PlannedFile): boolean {
  try {
    return localFile(file.absolute, file.path).key === file.key;
  } catch {
    return false;
  }
}

/** With the hash that it was found to have when it was read, if it had none. */
export function withHash(file: PlannedFile, late: LateHash): PlannedFile {
  const sha256 = file.sha256 === '' ? late.sha256Of(file.path) : undefined;
  return sha256 === undefined ? file : { ...file, sha256 };
}
