import { constants } from 'node:fs';
import { chmod, chown, type FileHandle, lstat, truncate, utimes } from 'node:fs/promises';
import ssh2, { type Attributes, type SFTPWrapper } from 'ssh2';
import { z } from 'zod';
import { isMissing } from '../core/json-file.ts';

const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp;

/** Absent fields stay absent at run time, whatever the types of ssh2 say. */
const wantedSchema = z.object({
  mode: z.int().optional(),
  uid: z.int().optional(),
  gid: z.int().optional(),
  size: z.int().optional(),
  atime: z.int().optional(),
  mtime: z.int().optional(),
});

export function wantedMode(attributes: Attributes): number | undefined {
  const { mode } = wantedSchema.parse(attributes);
  return mode === undefined ? undefined : mode & 0o7777;
}

interface Settable {
  chmod(mode: number): Promise<void>;
  chown(uid: number, gid: number): Promise<void>;
  truncate(size: number): Promise<void>;
  utimes(accessed: number, modified: number): Promise<void>;
}

export async function setAttributes(target: string, attributes: Attributes): Promise<void> {
  await apply(attributes, {
    chmod: async (mode) => chmod(target, mode),
    chown: async (uid, gid) => chown(target, uid, gid),
    truncate: async (size) => truncate(target, size),
    utimes: async (accessed, modified) => utimes(target, accessed, modified),
  });
}

export async function setFileAttributes(file: FileHandle, attributes: Attributes): Promise<void> {
  await apply(attributes, {
    chmod: async (mode) => file.chmod(mode),
    chown: async (uid, gid) => file.chown(uid, gid),
    truncate: async (size) => file.truncate(size),
    utimes: async (accessed, modified) => file.utimes(accessed, modified),
  });
}

async function apply(attributes: Attributes, target: Settable): Promise<void> {
  const { size, uid, gid, mode, atime, mtime } = wantedSchema.parse(attributes);
  if (size !== undefined) await target.truncate(size);
  if (uid !== undefined && gid !== undefined) await target.chown(uid, gid);
  if (mode !== undefined) await target.chmod(mode & 0o7777);
  if (atime !== undefined && mtime !== undefined) await target.utimes(atime, mtime);
}

export function openFlags(flags: number): number {
  const reads = (flags & OPEN_MODE.READ) !== 0;
  const writes = (flags & OPEN_MODE.WRITE) !== 0;
  const access = writes ? (reads ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  return (
    access |
    ((flags & OPEN_MODE.APPEND) !== 0 ? constants.O_APPEND : 0) |
    ((flags & OPEN_MODE.CREAT) !== 0 ? constants.O_CREAT : 0) |
    ((flags & OPEN_MODE.TRUNC) !== 0 ? constants.O_TRUNC : 0) |
    ((flags & OPEN_MODE.EXCL) !== 0 ? constants.O_EXCL : 0)
  );
}

export async function exists(target: string): Promise<boolean> {
  return lstat(target).then(
    () => true,
    () => false,
  );
}

export function statusOf(failure: unknown): number {
  if (isMissing(failure)) return STATUS_CODE.NO_SUCH_FILE;
  const code = failure instanceof Error && 'code' in failure ? failure.code : undefined;
  return code === 'EACCES' || code === 'EPERM'
    ? STATUS_CODE.PERMISSION_DENIED
    : STATUS_CODE.FAILURE;
}

export function wordsOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : 'Failed.';
}

/** ssh2 gives a subsystem no way to end with an exit status, so it is said on the channel's own protocol. */
export function sayExitStatusZero(sftp: SFTPWrapper): void {
  const channel = channelSchema.safeParse(sftp);
  if (!channel.success || channel.data.outgoing.state !== 'open') return;
  const protocol: unknown = Reflect.get(sftp, '_protocol');
  if (typeof protocol !== 'object' || protocol === null) return;
  const say: unknown = Reflect.get(protocol, 'exitStatus');
  if (typeof say === 'function') Reflect.apply(say, protocol, [channel.data.outgoing.id, 0]);
}

const channelSchema = z.object({ outgoing: z.object({ id: z.int(), state: z.string() }) });
