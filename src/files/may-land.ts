import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { InputError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { lstatOf } from './land.ts';
import { refuseLinksBelow } from './workspace.ts';

/**
 * Throws before anything moves when a file could not land: a link or a folder in its way, a name too long, or one file
 * that is the folder of another.
 */
export async function checkLanding(
  destination: string,
  files: readonly { readonly path: string }[],
): Promise<void> {
  const names = new Set(files.map((file) => file.path));
  const checked = new Set<string>();
  for (const { path: name } of files) {
    const folder = path.posix.dirname(name);
    if (!checked.has(folder)) {
      for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1))
        if (names.has(name.slice(0, at)))
          throw new RemoteError(
            'unsafe_archive',
            'The pod lists one name both as a file and as a folder. Nothing was written.',
          );
      await refuseLinksBelow(destination, name);
      await refuseReadOnly(destination, folder);
      checked.add(folder);
    }
    if (name.split('/').some((part) => Buffer.byteLength(part) > 255))
      throw new RemoteError('unsafe_archive', 'The pod lists a name that no file can have.');
    if (lstatOf(path.join(destination, name))?.isFile() === false)
      throw new InputError(
        'invalid_input',
        'Below localPath something that is not a regular file stands where a file should land. Nothing was written.',
        {
          hint: 'Remove or rename it here, or choose an empty localPath.',
          foreignText: quoteForeign(name),
        },
      );
  }
}

/** Throws when nothing may be made in the folder, or in the nearest one of those it lies in that is there. */
async function refuseReadOnly(destination: string, folder: string): Promise<void> {
  for (let at = path.join(destination, folder); ; at = path.dirname(at)) {
    if (at !== path.dirname(at) && lstatOf(at) === undefined) continue;
    try {
      await access(at, constants.W_OK | constants.X_OK);
      return;
    } catch {
      throw new InputError(
        'invalid_input',
        'This machine does not let us write into a folder below localPath. Nothing was written.',
        {
          hint: 'Make it writable, or choose another localPath.',
          foreignText: quoteForeign(path.relative(destination, at) || '.'),
        },
      );
    }
  }
}
