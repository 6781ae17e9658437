import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../core/errors.ts';

/** Whether `child` is `parent` or below it. Both absolute and real. */
export function isInside(parent: string, child: string): boolean {
  const relative = path.relative(parent, child);
  return (
    relative === '' ||
    (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative))
  );
}

/**
 * The real absolute path of something that exists inside the workspace. Throws `path_missing`, and
 * `path_outside_workspace` when the path, or a link on the way, leads out.
 */
export async function resolveExisting(workspace: string, localPath: string): Promise<string> {
  const wanted = absolute(workspace, localPath);
  const root = await realpath(workspace);
  const real = await realpath(wanted).catch(() => undefined);
  if (real === undefined) {
    if (!isInside(path.resolve(workspace), wanted) && !isInside(root, wanted)) throw outside();
    throw new InputError('path_missing', `Nothing exists at localPath "${localPath}".`);
  }
  if (!isInside(root, real)) throw outside();
  return real;
}

/** Like `resolveExisting` for a folder that may not exist yet: the nearest existing parent decides. */
export async function resolveDestination(workspace: string, localPath: string): Promise<string> {
  const wanted = absolute(workspace, localPath);
  const root = await realpath(workspace);
  let existing = wanted;
  const missing: string[] = [];
  for (;;) {
    const stats = await lstat(existing).catch(() => undefined);
    if (stats !== undefined) break;
    missing.unshift(path.basename(existing));
    const parent = path.dirname(existing);
    if (parent === existing) break;
    existing = parent;
  }
  const real = await realpath(existing).catch(() => undefined);
  if (real === undefined || !isInside(root, real)) throw outside();
  return path.join(real, ...missing);
}

/** Throws when a link below `root` stands where a folder of `relative` should be. */
export async function refuseLinksBelow(root: string, relative: string): Promise<void> {
  let current = root;
  for (const part of relative.split('/').slice(0, -1)) {
    current = path.join(current, part);
    const stats = await lstat(current).catch(() => undefined);
    if (stats === undefined) return;
    if (stats.isSymbolicLink())
      throw new InputError(
        'path_outside_workspace',
        'A folder below localPath is a symbolic link; a fetched file would land behind it.',
        { hint: 'Choose an empty localPath, or remove the link.' },
      );
  }
}

function absolute(workspace: string, localPath: string): string {
  if (localPath.includes('\0')) throw new InputError('invalid_input', 'localPath holds NUL.');
  return path.resolve(workspace, localPath);
}

function outside(): InputError {
  return new InputError('path_outside_workspace', 'localPath is outside the workspace.');
}
