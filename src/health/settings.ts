import { access, constants, mkdtemp, realpath, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** Why state cannot be kept in this folder; `undefined` when it can. Leaves nothing behind and does not make the folder. */
export async function homeProblem(home: string): Promise<string | undefined> {
  try {
    const probe = await mkdtemp(path.join(await nearestFolder(path.resolve(home)), '.gpu-lease-'));
    await rmdir(probe);
    return undefined;
  } catch {
    return 'The state folder cannot be written: set GPU_LEASE_HOME to one that can, and restart.';
  }
}

/** The folder itself, or the closest one above it that exists. Throws for what is no folder. */
async function nearestFolder(folder: string): Promise<string> {
  const found = await stat(folder).catch((failure: unknown) => {
    if (isMissing(failure) && path.dirname(folder) !== folder) return undefined;
    throw failure;
  });
  if (found === undefined) return nearestFolder(path.dirname(folder));
  if (!found.isDirectory()) throw new Error('This is no folder.');
  return realpath(folder);
}

/** Why nothing can be copied from or to this folder; `undefined` when it can. */
export async function workspaceProblem(workspace: string): Promise<string | undefined> {
  const isFolder = await stat(workspace).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder
    ? undefined
    : 'The workspace is no folder: set GPU_LEASE_WORKSPACE to one that exists, and restart.';
}

/** Why a key that the person named cannot be used. A key in the state folder is ours: it is made when it is needed. */
export async function keyProblem(keyPath: string, home: string): Promise<string | undefined> {
  if (!path.relative(path.resolve(home), path.resolve(keyPath)).startsWith('..')) return undefined;
  return access(keyPath, constants.R_OK).then(
    () => undefined,
    () => 'The SSH key that GPU_LEASE_SSH_KEY names cannot be read: correct it, and restart.',
  );
}

function isMissing(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'ENOENT';
}
