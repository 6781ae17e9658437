import { Buffer } from 'node:buffer';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { CallOptions } from '../core/call.ts';
import type { Job, LogRequest } from '../core/job.ts';
import { LOG_STREAMS } from '../core/job.ts';
import type { Remote } from '../core/remote.ts';
import type { LogCut } from './log-page.ts';
import { lookFrom, lookScript } from './look.ts';

/** Kept of each stream: its end. */
const MAX_COPY_BYTES = 20 * 1024 * 1024;
const COPY_LIMIT_SECONDS = 120;

const copySchema = z.object({ firstOffset: z.int().nonnegative(), size: z.int().nonnegative() });

export interface LogCopies {
  /** Brings the logs of one job home. Answers with their folder and with what was left out. */
  collect(
    job: Job,
    options: CallOptions,
  ): Promise<{ readonly folder: string; readonly cut: readonly string[] }>;
  /** A cut of the copy at home, or `undefined` where there is none. */
  read(job: Job, request: LogRequest, windowBytes: number): Promise<LogCut | undefined>;
}

/** Copies of job logs under `<home>/jobs/<jobId>/`, readable by their owner alone. */
export function createLogCopies(deps: {
  readonly remote: Remote;
  readonly home: string;
}): LogCopies {
  const folderOf = (job: Job): string => join(deps.home, 'jobs', job.jobId);
  const copyStream = async (
    job: Job,
    stream: LogRequest['stream'],
    options: CallOptions,
  ): Promise<string | undefined> => {
    const script = lookScript({
      jobId: job.jobId,
      stream,
      offset: 0,
      maxBytes: 0,
      waitSeconds: 0,
      artifacts: [],
      cwd: job.cwd,
      mayClaim: false,
    });
    const answer = await deps.remote.exec(job.podId, script, { ...options, timeoutSeconds: 30 });
    const { size } = lookFrom(answer.stdout, answer.stderr.toString('utf8'));
    const firstOffset = Math.max(0, size - MAX_COPY_BYTES);
    const target = join(folderOf(job), `${stream}.log`);
    const partial = `${target}.${process.pid}.partial`;
    const file =
      stream === 'bootstrap'
        ? '$HOME/.gpu-lease/bootstrap.log'
        : `$HOME/.gpu-lease/jobs/${job.jobId}/${stream}`;
    try {
      const { exitCode } = await deps.remote.stream(
        job.podId,
        `[ -f "${file}" ] || exit 0\ntail -c "+${firstOffset + 1}" "${file}" | head -c ${size - firstOffset}`,
        {
          ...options,
          timeoutSeconds: COPY_LIMIT_SECONDS,
          stdout: createWriteStream(partial, { mode: 0o600 }),
        },
      );
      if (exitCode !== 0) return `${stream}: could not be read on the pod`;
      await writeFile(`${target}.json`, JSON.stringify({ firstOffset, size }), { mode: 0o600 });
      await rename(partial, target);
    } finally {
      await rm(partial, { force: true });
    }
    return firstOffset === 0 ? undefined : `${stream}: only the last 20 MiB of ${size} bytes kept`;
  };
  return {
    async collect(job, options) {
      const folder = folderOf(job);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const cut: string[] = [];
      for (const stream of LOG_STREAMS) {
        const problem = await copyStream(job, stream, options);
        if (problem !== undefined) cut.push(problem);
      }
      return { folder, cut };
    },
    async read(job, request, windowBytes) {
      const path = join(folderOf(job), `${request.stream}.log`);
      const about = await readFile(`${path}.json`, 'utf8').catch(() => undefined);
      if (about === undefined) return undefined;
      const { firstOffset, size } = copySchema.parse(JSON.parse(about));
      const wanted = request.offset ?? (request.tailLines === undefined ? 0 : size - windowBytes);
      const offset = Math.min(Math.max(wanted, firstOffset), size);
      await using file = await open(path, 'r');
      const bytes = Buffer.alloc(Math.min(windowBytes, size - offset));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset - firstOffset);
      return { bytes: bytes.subarray(0, bytesRead), offset, size, complete: true };
    },
  };
}
