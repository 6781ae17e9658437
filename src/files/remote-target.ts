import path from 'node:path';
import { InputError } from '../core/errors.ts';

/** Where relative paths of a pod start, and whose home must not be overwritten. Absolute, real. */
export interface PodFolders {
  readonly work: string;
  readonly home: string;
}

const WHOLE = new Set(['/', '/root', '/home', '/tmp', '/mnt', '/media', '/opt', '/srv']);
const SYSTEM =
  /^\/(?:etc|usr|bin|sbin|lib|lib32|lib64|libx32|boot|dev|proc|sys|run|var(?!\/tmp\/.))(?:\/|$)/;
const PRIVATE = new Set(['.ssh', '.gnupg', '.gpu-lease', '.aws', '.kube', '.docker']);

/**
 * The absolute folder that `remotePath` names. `~/x` is below the home, a relative path below the work folder and never
 * above it. Throws `invalid_input` for system folders, a whole home and folders of keys.
 */
export function resolveRemoteTarget(remotePath: string, folders: PodFolders): string {
  if (remotePath.includes('\0')) throw refuse('holds NUL');
  const posix = path.posix;
  if (remotePath === '~' || remotePath.startsWith('~/'))
    return guardRemoteTarget(posix.join(folders.home, remotePath.slice(1)), folders);
  if (posix.isAbsolute(remotePath)) return guardRemoteTarget(posix.normalize(remotePath), folders);
  const target = posix.join(folders.work, remotePath === '' ? '.' : remotePath);
  if (!isBelow(folders.work, target)) throw refuse('leaves the work folder of the pod');
  return guardRemoteTarget(target, folders);
}

/** Applied again to what the pod says the folder really is. Returns it without a trailing slash. */
export function guardRemoteTarget(target: string, folders: PodFolders): string {
  const clean = target.length > 1 ? target.replace(/\/+$/, '') : target;
  if (WHOLE.has(clean) || /^\/home\/[^/]+$/.test(clean)) throw refuse('is a whole system folder');
  if (clean === folders.home && clean !== folders.work) throw refuse('is the whole home');
  if (SYSTEM.test(clean)) throw refuse('is a system folder');
  const parts = clean.split('/');
  if (parts.some((part) => PRIVATE.has(part))) throw refuse('is a folder of keys or settings');
  if (path.posix.dirname(clean) === folders.home && path.posix.basename(clean).startsWith('.'))
    throw refuse('is a settings folder of the home');
  return clean;
}

/** Whether a file of the tree must never be written or deleted on a pod, whatever the target. */
export function isPrivatePath(relative: string): boolean {
  return relative.split('/').some((part) => PRIVATE.has(part) || part.startsWith('.gpu-lease'));
}

/** Pure and textual: `child` is `parent` or below it. */
export function isBelow(parent: string, child: string): boolean {
  const base = parent.endsWith('/') ? parent : `${parent}/`;
  return child === parent || child === base || child.startsWith(base);
}

/** Relative, below its root, made of plain components. What a pod says a file is called must pass this. */
export function isPlainRelative(relative: string): boolean {
  return (
    relative !== '' &&
    !relative.includes('\0') &&
    !relative.startsWith('/') &&
    relative.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

function refuse(why: string): InputError {
  return new InputError('invalid_input', `remotePath ${why}, so nothing is written there.`, {
    hint: 'Name a folder of the project below the work folder, like "project".',
  });
}
