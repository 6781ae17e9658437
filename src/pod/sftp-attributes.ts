import type { Stats } from 'node:fs';
import type { Attributes, FileEntry } from 'ssh2';

/** What SFTP tells about a file. Times are whole seconds. */
export function toAttributes(stats: Stats): Attributes {
  return {
    mode: stats.mode,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.size,
    atime: Math.floor(stats.atimeMs / 1000),
    mtime: Math.floor(stats.mtimeMs / 1000),
  };
}

/** A directory entry; the long name is a line like that of `ls -l`, which clients show as it is. */
export function toEntry(filename: string, stats: Stats): FileEntry {
  const modified = stats.mtime.toISOString().slice(0, 16).replace('T', ' ');
  const longname = [
    modeText(stats),
    String(stats.nlink).padStart(4),
    String(stats.uid).padEnd(8),
    String(stats.gid).padEnd(8),
    String(stats.size).padStart(10),
    modified,
    filename,
  ].join(' ');
  return { filename, longname, attrs: toAttributes(stats) };
}

function modeText(stats: Stats): string {
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : '-';
  const bits = [8, 7, 6, 5, 4, 3, 2, 1, 0].map((bit, index) =>
    (stats.mode >> bit) & 1 ? 'rwxrwxrwx'.charAt(index) : '-',
  );
  return kind + bits.join('');
}
