import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { type Bytes, openBytes } from './bytes.ts';

/** Opens a regular file by a path below the folder of another; undefined when there is none. Never through a link. */
export type Neighbour = (name: string) => Promise<Bytes | undefined>;

export function neighboursOf(file: string, signal: AbortSignal): Neighbour {
  return async (name) => {
    const steps = name.split('/');
    if (path.isAbsolute(name) || steps.includes('..')) return undefined;
    let at = path.dirname(file);
    for (const [index, step] of steps.entries()) {
      at = path.join(at, step);
      const stats = await lstat(at).catch(() => undefined);
      const isFine = index === steps.length - 1 ? stats?.isFile() : stats?.isDirectory();
      if (isFine !== true) return undefined;
    }
    return openBytes(at, signal);
  };
}
