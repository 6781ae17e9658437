import { mkdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * Makes a folder and its missing parents, private to this account. Node's own recursive mkdir never ends below
 * folders that refuse entries with ENOENT (`/proc`), so the parents are made one by one. Throws what mkdir throws.
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (failure) {
    const code = failure instanceof Error && 'code' in failure ? failure.code : undefined;
    if (code === 'EEXIST') return;
    const parent = path.dirname(folder);
    if (code !== 'ENOENT' || parent === folder) throw failure;
    await makePrivateFolder(parent);
    await mkdir(folder, { mode: 0o700 }).catch((again: unknown) => {
      // Another process may have made it meanwhile.
      if (!(again instanceof Error && 'code' in again && again.code === 'EEXIST')) throw again;
    });
  }
}
