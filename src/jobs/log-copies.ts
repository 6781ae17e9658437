import { Buffer } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { CallOptions } from '../core/call.ts';
import type { Job, LogRequest } from '../core/job.ts';
import { LOG_STREAMS } from '../core/job.ts';
import { maskedFile } from '../core/masked-file.ts';
import type { Redactor } from '../core/redact.ts';
import { POD_FOLDER, type Remote } from '../core/remote.ts';
import { shellQuote } from '../core/shell-quote.ts';
import type { LogCut } from './log-page.ts';
import { FILE_FUNCTIONS } from './pod-shell.ts';

/** Kept of each stream: its end. */
const MAX_COPY_BYTES = 20 * 1024 * 1024;
const COPY_LIMIT_SECONDS = 120;

const copySchema = z.object({ firstOffset: z.int().nonnegative(), size: z.int().nonnegative() });
type Copy = z.output<typeof copySchema>;

export interface LogCopies {
  /** Brings the logs of one job home. Answers with their folder and with what was left out. */
  collect(
    job: Job,
    options: CallOptions,
  ): Promise<{ readonly folder: string; readonly cut: readonly string[] }>;
  /** A cut of the copy at home, or `undefined` where there is none. */
  read(job: Job, request: LogRequest, windowBytes: number): Promise<LogCut | undefined>;
}

/** Copies of job logs under `<home>/jobs/<jobId>/`, readable by their owner alone, known secrets masked in their place. */
export function createLogCopies(deps: {
  readonly remote: Remote;
  readonly home: string;
  readonly redactor: Redactor;
}): LogCopies {
  const folderOf = (job: Job): string => join(deps.home, 'jobs', job.jobId);
  const fileOf = (job: Job, stream: LogRequest['stream']): string =>
    stream === 'bootstrap'
      ? `"${POD_FOLDER}/bootstrap.log"`
      : `"${POD_FOLDER}/jobs/"${shellQuote(job.jobId)}/${stream}`;
  /** Bytes of each log on the pod; those that are not there are not in the answer. */
  const sizesOf = async (job: Job, options: CallOptions): Promise<ReadonlyMap<string, number>> => {
    const script = LOG_STREAMS.map(
      (stream) =>
        `[ -f ${fileOf(job, stream)} ] && printf '%s %s\n' ${stream} "$(size_of ${fileOf(job, stream)})"`,
    ).join('\n');
    const answer = await deps.remote.exec(job.podId, `${FILE_FUNCTIONS}${script}\nexit 0`, {
      ...options,
      timeoutSeconds: 30,
    });
    const rows = answer.stdout.toString('utf8').matchAll(/^([a-z]+) (\d{1,15})$/gm);
    return new Map([...rows].map(([, stream = '', size]) => [stream, Number(size)]));
  };
  const copyStream = async (
    job: Job,
    stream: LogRequest['stream'],
    size: number,
    options: CallOptions,
  ): Promise<string | undefined> => {
    const target = join(folderOf(job), `${stream}.log`);
    const known = await aboutOf(target);
    if (known?.size === size && (await exists(target))) return undefined;
    const firstOffset = Math.max(0, size - MAX_COPY_BYTES);
    const partial = `${target}.${process.pid}.partial`;
    const copy = maskedFile(partial, deps.redactor);
    try {
      const kept = await keep(target, known, firstOffset, size, copy);
      const { exitCode } = await deps.remote.stream(
        job.podId,
        `${FILE_FUNCTIONS}cut_of ${fileOf(job, stream)} ${firstOffset + kept} ${size - firstOffset - kept}`,
        { ...options, timeoutSeconds: COPY_LIMIT_SECONDS, stdout: copy },
      );
      if (exitCode !== 0) return `${stream}: could not be read on the pod`;
      if ((await stat(partial)).size !== size - firstOffset)
        return `${stream}: did not arrive whole`;
      await writeFile(`${target}.json`, JSON.stringify({ firstOffset, size }), { mode: 0o600 });
      await rename(partial, target);
    } finally {
      copy.destroy();
      await rm(partial, { force: true });
    }
    return firstOffset === 0 ? undefined : `${stream}: only the last 20 MiB of ${size} bytes kept`;
  };
  /**
   * Writes what the copy at home already has of the new one, so that only the rest comes from the pod. The end of it comes
   * again: a secret may have begun there that nobody could know yet. Answers how many bytes it wrote.
   */
  const keep = async (
    target: string,
    known: Copy | undefined,
    firstOffset: number,
    size: number,
    copy: Writable,
  ): Promise<number> => {
    if (known === undefined || known.size > size || known.firstOffset > firstOffset) return 0;
    const kept = known.size - deps.redactor.longestBytes - firstOffset;
    if (kept <= 0 || !(await exists(target))) return 0;
    const start = firstOffset - known.firstOffset;
    await pipeline(createReadStream(target, { start, end: start + kept - 1 }), copy, {
      end: false,
    });
    return kept;
  };
  return {
    async collect(job, options) {
      const folder = folderOf(job);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const sizes = await sizesOf(job, options);
      const cut: string[] = [];
      for (const stream of LOG_STREAMS) {
        const size = sizes.get(stream);
        const problem =
          size === undefined ? undefined : await copyStream(job, stream, size, options);
        if (problem !== undefined) cut.push(problem);
      }
      return { folder, cut };
    },
    async read(job, request, windowBytes) {
      const path = join(folderOf(job), `${request.stream}.log`);
      const about = await aboutOf(path);
      if (about === undefined) return undefined;
      const { firstOffset, size } = about;
      const wanted = request.offset ?? (request.tailLines === undefined ? 0 : size - windowBytes);
      const offset = Math.min(Math.max(wanted, firstOffset), size);
      await using file = await open(path, 'r');
      const bytes = Buffer.alloc(Math.min(windowBytes, size - offset));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset - firstOffset);
      return { bytes: bytes.subarray(0, bytesRead), offset, size, complete: true };
    },
  };
}

async function aboutOf(path: string): Promise<Copy | undefined> {
  const about = await readFile(`${path}.json`, 'utf8').catch(() => undefined);
  return about === undefined ? undefined : copySchema.parse(JSON.parse(about));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
