import type { Readable, Writable } from 'node:stream';
import type { CallOptions } from './call.ts';
import type { PodId } from './ids.ts';

export interface ExecOptions extends CallOptions {
  /** After this the command's whole process group is killed on the pod, checked, and `command_timeout` thrown. */
  readonly timeoutSeconds: number;
  /** Kept of each of stdout and stderr; what is over is counted in `droppedBytes`. Default 1 MiB. */
  readonly maxBytes?: number;
  readonly stdin?: string | Uint8Array;
}
export interface ExecResult {
  readonly exitCode: number;
  /** Bytes, since a pod may print anything. `text()` decodes with replacement characters. */
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly droppedBytes: number;
}
export interface StreamOptions extends CallOptions {
  readonly timeoutSeconds: number;
  /** Piped into the command's stdin and ended; absent: stdin is closed. */
  readonly stdin?: Readable;
  /**
   * Told of a chunk of `stdin` when nothing of it is needed any more, so that its memory can be used again. A remote may tell
   * of some or of none, and never of one that it still reads.
   */
  readonly taken?: (chunk: Buffer) => void;
  /** Receives stdout with back-pressure and is ended; absent: stdout is dropped. */
  readonly stdout?: Writable;
  /**
   * `stdout` copies what it needs of a chunk before its `write` returns and keeps no chunk itself: they may then lie in
   * memory that is used again, which is what makes a fast stream cheap.
   */
  readonly lent?: boolean;
  /**
   * A hint: streams of different lanes go over different connections, and never over the one of the commands. 1 to
   * `MAX_LANES`; 0 or absent: the common one.
   */
  readonly lane?: number;
  /**
   * A hint: how much the pod may send ahead of what was read, for links whose bandwidth times round trip is more than the
   * usual 2 MiB. Up to `MAX_WINDOW_BYTES`; so much memory may be used on both sides.
   */
  readonly windowBytes?: number;
}
export const MAX_LANES = 4;
export const MAX_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * One-shot POSIX `sh` scripts on a machine, over the one pooled connection to it. A script runs under `sh` whatever the
 * login shell is, in its own process group, with the home as its folder. A non-zero exit is a result, not an error.
 * Cancel and timeout kill the group over a second channel and look again (product.md promise 6).
 * Throws ssh_unreachable (it never ran), link_lost (outcome unknown), ssh_refused, host_key_changed, command_timeout,
 * and whatever `Machines.endpoint` throws. Only what never started is retried inside.
 */
export interface Remote extends AsyncDisposable {
  exec(podId: PodId, script: string, options: ExecOptions): Promise<ExecResult>;
  stream(
    podId: PodId,
    script: string,
    options: StreamOptions,
  ): Promise<{ readonly exitCode: number; readonly stderr: Buffer }>;
  /** Absolute folder on the pod where relative paths start: `/workspace` where it exists, else the home. Cached. */
  workFolder(podId: PodId, options: CallOptions): Promise<string>;
  /** Hangs up. The next use connects anew. */
  disconnect(podId: PodId): Promise<void>;
}

/** Our one folder on a pod, for use inside double quotes of a script. Sessions, jobs and sync state live below it. */
export const POD_FOLDER = '$HOME/.gpu-lease';
