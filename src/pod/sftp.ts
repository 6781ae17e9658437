import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rmdir,
  stat,
  symlink,
  unlink,
} from 'node:fs/promises';
import path from 'node:path';
import ssh2, { type SFTPWrapper } from 'ssh2';
import { toAttributes, toEntry } from './sftp-attributes.ts';
import {
  exists,
  openFlags,
  sayExitStatusZero,
  setAttributes,
  setFileAttributes,
  statusOf,
  wantedMode,
  wordsOf,
} from './sftp-files.ts';

const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp;
const ENTRIES_AT_ONCE = 64;
const MOST_READ_BYTES = 256 * 1024;

type Handle =
  | { readonly kind: 'file'; readonly file: FileHandle; readonly appends: boolean }
  | { readonly kind: 'folder'; readonly path: string; names: string[] | undefined };

/** The SFTP subsystem over the real file system, as the pod's user. Relative paths start at `home`. */
export function serveSftp(sftp: SFTPWrapper, home: string): void {
  const handles = new Map<number, Handle>();
  let lastHandle = 0;

  const at = (name: string): string => path.resolve(home, name);
  const keep = (handle: Handle): Buffer => {
    lastHandle += 1;
    handles.set(lastHandle, handle);
    const name = Buffer.alloc(4);
    name.writeUInt32BE(lastHandle);
    return name;
  };
  const handleOf = (name: Buffer): Handle => {
    const handle = name.length === 4 ? handles.get(name.readUInt32BE()) : undefined;
    if (handle === undefined) throw new Error('Unknown handle.');
    return handle;
  };
  const fileOf = (name: Buffer): Extract<Handle, { kind: 'file' }> => {
    const handle = handleOf(name);
    if (handle.kind !== 'file') throw new Error('Not an open file.');
    return handle;
  };
  let before: Promise<void> = Promise.resolve();
  /**
   * Every request gets exactly one answer: its own, or the status of its failure. In the order of the requests: the
   * scp of OpenSSH 9 cuts a file off where the answers change places, and calls that success.
   */
  const answer = (request: number, work: () => Promise<void>): void => {
    before = before.then(work).catch((failure: unknown) => {
      sftp.status(request, statusOf(failure), wordsOf(failure));
    });
  };
  const done = (request: number): void => {
    sftp.status(request, STATUS_CODE.OK);
  };
  const plain = (request: number, work: () => Promise<unknown>): void => {
    answer(request, async () => {
      await work();
      done(request);
    });
  };

  sftp.on('OPEN', (request, name, flags, attributes) => {
    answer(request, async () => {
      const mode = wantedMode(attributes) ?? 0o666;
      const file = await open(at(name), openFlags(flags), mode);
      sftp.handle(request, keep({ kind: 'file', file, appends: (flags & OPEN_MODE.APPEND) !== 0 }));
    });
  });
  sftp.on('READ', (request, name, offset, length) => {
    answer(request, async () => {
      const buffer = Buffer.alloc(Math.min(length, MOST_READ_BYTES));
      const { bytesRead } = await fileOf(name).file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) sftp.status(request, STATUS_CODE.EOF);
      else sftp.data(request, buffer.subarray(0, bytesRead));
    });
  });
  sftp.on('WRITE', (request, name, offset, data) => {
    plain(request, async () => {
      const { file, appends } = fileOf(name);
      for (let written = 0; written < data.length; ) {
        const place = appends ? null : offset + written;
        const { bytesWritten } = await file.write(data, written, data.length - written, place);
        written += bytesWritten;
      }
    });
  });
  sftp.on('FSTAT', (request, name) => {
    answer(request, async () => {
      sftp.attrs(request, toAttributes(await fileOf(name).file.stat()));
    });
  });
  sftp.on('CLOSE', (request, name) => {
    plain(request, async () => {
      const handle = handleOf(name);
      handles.delete(name.readUInt32BE());
      if (handle.kind === 'file') await handle.file.close();
    });
  });
  sftp.on('OPENDIR', (request, name) => {
    answer(request, async () => {
      const folder = at(name);
      if (!(await stat(folder)).isDirectory()) throw new Error('Not a folder.');
      sftp.handle(request, keep({ kind: 'folder', path: folder, names: undefined }));
    });
  });
  sftp.on('READDIR', (request, name) => {
    answer(request, async () => {
      const handle = handleOf(name);
      if (handle.kind !== 'folder') throw new Error('Not an open folder.');
      handle.names ??= ['.', '..', ...(await readdir(handle.path))];
      const batch = handle.names.splice(0, ENTRIES_AT_ONCE);
      const entries = await Promise.all(
        batch.map(async (entry) => {
          const stats = await lstat(path.join(handle.path, entry)).catch(() => undefined);
          return stats === undefined ? [] : [toEntry(entry, stats)];
        }),
      );
      if (batch.length === 0) sftp.status(request, STATUS_CODE.EOF);
      else sftp.name(request, entries.flat());
    });
  });
  sftp.on('STAT', (request, name) => {
    answer(request, async () => {
      sftp.attrs(request, toAttributes(await stat(at(name))));
    });
  });
  sftp.on('LSTAT', (request, name) => {
    answer(request, async () => {
      sftp.attrs(request, toAttributes(await lstat(at(name))));
    });
  });
  sftp.on('REALPATH', (request, name) => {
    answer(request, async () => {
      const absolute = at(name);
      const real = await realpath(absolute).catch(() => absolute);
      const attrs = { mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
      sftp.name(request, [{ filename: real, longname: real, attrs }]);
    });
  });
  sftp.on('READLINK', (request, name) => {
    answer(request, async () => {
      const target = await readlink(at(name));
      const attrs = { mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
      sftp.name(request, [{ filename: target, longname: target, attrs }]);
    });
  });
  sftp.on('SETSTAT', (request, name, attributes) => {
    plain(request, async () => setAttributes(at(name), attributes));
  });
  sftp.on('FSETSTAT', (request, name, attributes) => {
    plain(request, async () => setFileAttributes(fileOf(name).file, attributes));
  });
  sftp.on('MKDIR', (request, name, attributes) => {
    plain(request, async () => mkdir(at(name), { mode: wantedMode(attributes) ?? 0o777 }));
  });
  sftp.on('RMDIR', (request, name) => {
    plain(request, async () => rmdir(at(name)));
  });
  sftp.on('REMOVE', (request, name) => {
    plain(request, async () => unlink(at(name)));
  });
  sftp.on('RENAME', (request, from, to) => {
    plain(request, async () => {
      // Version 3 of the protocol does not overwrite.
      if (await exists(at(to))) throw new Error('The new name is taken.');
      await rename(at(from), at(to));
    });
  });
  // The types of ssh2 name these two the other way round.
  sftp.on('SYMLINK', (request, link, target) => {
    plain(request, async () => symlink(target, at(link)));
  });
  sftp.on('EXTENDED', (request) => {
    sftp.status(request, STATUS_CODE.OP_UNSUPPORTED);
  });
  sftp.once('end', () => {
    // The client has said all; it waits for us to close, and scp wants to hear that all went well.
    void before.then(() => {
      sayExitStatusZero(sftp);
      sftp.end();
    });
  });
  sftp.once('close', () => {
    for (const handle of handles.values())
      if (handle.kind === 'file') void handle.file.close().catch(() => undefined);
    handles.clear();
  });
}
