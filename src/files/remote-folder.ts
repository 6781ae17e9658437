import path from 'node:path';
import { RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import type { Pod } from './pod.ts';
import { guardRemoteTarget, type PodFolders } from './remote-target.ts';

export interface RemoteFolder {
  readonly kind: 'folder' | 'file' | 'absent';
  /** With every link resolved, whether it exists or not. */
  readonly real: string;
  readonly hasGzip: boolean;
  /** Unknown when the pod's df does not say. */
  readonly freeBytes?: number;
  readonly freeInodes?: number;
}

/** The pod's home and work folder, real. */
export async function podFolders(pod: Pod): Promise<PodFolders> {
  const work = await pod.remote.workFolder(pod.podId, pod.call);
  const output = await pod.must(
    `cd && printf '%s\\0' "$(pwd -P)"; cd ${shellQuote(work)} && printf '%s\\0' "$(pwd -P)"\n`,
    { timeoutSeconds: 60, what: 'name its folders' },
  );
  const [home = '', realWork = ''] = output.toString('utf8').split('\0');
  if (!home.startsWith('/') || !realWork.startsWith('/'))
    throw new RemoteError('remote_failed', 'The pod did not name its home and work folder.');
  return { work: realWork, home };
}

/** What is at `target` now. Guarded where it really is; `fileName` is the one file that will be written into it. */
export async function lookAtFolder(
  pod: Pod,
  target: string,
  folders: PodFolders,
  fileName?: string,
): Promise<RemoteFolder> {
  const output = await pod.must(
    [
      `T=${shellQuote(target)}`,
      'if [ -d "$T" ]; then k=folder; elif [ -e "$T" ] || [ -h "$T" ]; then k=file; else k=absent; fi',
      'A=$T',
      'while ! [ -d "$A" ]; do A=$(dirname -- "$A"); done',
      'P=$(cd -- "$A" && pwd -P) || exit 43',
      'if command -v gzip >/dev/null 2>&1; then z=yes; else z=no; fi',
      `printf '%s\\0' "$k" "$A" "$P" "$z" "$(df -Pk -- "$A" 2>/dev/null | tail -n 1)" "$(df -Pi -- "$A" 2>/dev/null | tail -n 1)"`,
      '',
    ].join('\n'),
    { timeoutSeconds: 60, what: 'look at the target folder' },
  );
  const [kind = '', above = '', real = '', gzip = '', blocks = '', inodes = ''] = output
    .toString('utf8')
    .split('\0');
  if (!real.startsWith('/') || !target.startsWith(above))
    throw new RemoteError('remote_failed', 'The pod did not say where the target folder is.');
  const rest = target.slice(above.length).replace(/^\/+/, '');
  const whole = rest === '' ? real : `${real === '/' ? '' : real}/${rest}`;
  if (kind !== 'file')
    guardRemoteTarget(fileName === undefined ? whole : path.posix.join(whole, fileName), folders);
  const freeKilobytes = available(blocks);
  const freeInodes = available(inodes);
  return {
    kind: kind === 'folder' || kind === 'file' ? kind : 'absent',
    real: whole,
    hasGzip: gzip === 'yes',
    ...(freeKilobytes === undefined ? {} : { freeBytes: freeKilobytes * 1024 }),
    ...(freeInodes === undefined ? {} : { freeInodes }),
  };
}

/** The fourth column of a `df -P` line; a file system without inodes says 0 of 0. */
function available(line: string): number | undefined {
  const match = /\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s/.exec(line);
  if (match?.[1] === undefined || match[3] === undefined || match[1] === '0') return undefined;
  return Number(match[3]);
}
