import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { randomToken } from '../core/ids.ts';
import { maskedFile } from '../core/masked-file.ts';
import type { Redactor } from '../core/redact.ts';
import type { Remote } from '../core/remote.ts';
import type { SessionRecord } from '../core/session.ts';
import { shellQuote } from '../core/shell-quote.ts';

/** Of a longer transcript the last part comes home; the hole before it keeps every offset what it was. */
const MAX_ARCHIVE_BYTES = 50 * 1024 * 1024;
const COPY_SECONDS = 120;

export interface ArchiveDeps {
  readonly remote: Remote;
  readonly home: string;
  readonly redactor: Redactor;
}

/** The first byte that comes home. */
export function archiveStart({ size, keptFrom }: { size: number; keptFrom: number }): number {
  return Math.max(keptFrom, size - MAX_ARCHIVE_BYTES);
}

/**
 * Copies a transcript home (0600) from byte `start` on, whole or not at all, known secrets masked in their place. Answers
 * where it is.
 */
export async function archiveTranscript(
  { remote, home, redactor }: ArchiveDeps,
  { sessionId, podId, folder }: SessionRecord,
  start: number,
  options: CallOptions,
): Promise<string> {
  const target = path.join(home, 'transcripts', `${sessionId}.log`);
  const draft = `${target}.${randomToken(8)}`;
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  try {
    const { exitCode } = await remote.stream(
      podId,
      `tail -c +${start + 1} ${shellQuote(`${folder}/out`)} | head -c ${MAX_ARCHIVE_BYTES}`,
      {
        ...options,
        timeoutSeconds: COPY_SECONDS,
        stdout: maskedFile(draft, redactor, start),
      },
    );
    if (exitCode !== 0) throw new Error('The transcript could not be read.');
    await rename(draft, target);
    return target;
  } catch (failure) {
    await rm(draft, { force: true });
    throw failure;
  }
}

/** Size of the archive and at most `maxBytes` from `offset`. */
export async function readArchive(
  file: string,
  offset: number,
  maxBytes: number,
): Promise<{ readonly size: number; readonly bytes: Buffer }> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, size - offset)));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    return { size, bytes: buffer.subarray(0, bytesRead) };
  } finally {
    await handle.close();
  }
}
