import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { type JobId, jobIdSchema, type PodId, podIdSchema } from './ids.ts';
import { jobStatusSchema } from './job.ts';
import { podStatusSchema } from './pods.ts';

const BROKEN = ', but failed its check: ';
/** A file that is home as the job wrote it, and cannot be opened: where it lies and which check failed, in our own words. */
export function brokenName(path: string, localPath: string | undefined, why: string): string {
  const place = localPath === undefined ? 'home' : `home at ${localPath}`;
  return `${path} (${place}${BROKEN}${why.replace(/\.$/, '')})`;
}
/** Whether a name of a missing file says so. */
export const isBrokenName = (name: string): boolean => name.includes(BROKEN) && name.endsWith(')');

const successSchema = z.enum(['yes', 'no', 'partly', 'unknown', 'not_applicable']);
/** RP-01, RP-02, RP-03: the three successes are apart, and unknown is a value. */
export const reportSchema = z.object({
  podId: podIdSchema,
  mode: z.enum(['managed', 'user_managed', 'unmanaged']),
  status: podStatusSchema,
  gpu: z.string().exactOptional(),
  usdPerHour: z.number().exactOptional(),
  runtimeSeconds: z.number().exactOptional(),
  costUsd: z.number().exactOptional().describe('Estimated from price and time.'),
  success: z.object({
    command: successSchema,
    artifacts: successSchema,
    scientific: successSchema,
  }),
  jobs: z.array(
    z.object({
      jobId: jobIdSchema,
      name: z.string(),
      command: z.string(),
      status: jobStatusSchema,
      exitCode: z.int().exactOptional(),
      runtimeSeconds: z.number().exactOptional(),
    }),
  ),
  filesHome: z.array(
    z.object({
      path: z.string(),
      localPath: z.string(),
      bytes: z.int(),
      sha256: z.string(),
      proof: z.string(),
    }),
  ),
  filesMissing: z.array(z.string()),
  sessions: z.array(
    z.object({ sessionId: z.string(), state: z.string(), transcript: z.string().exactOptional() }),
  ),
  /** Every way that led to the pod, oldest first, with the port list it was read from (foreign text). */
  connections: z.array(z.string()).exactOptional(),
  errors: z.array(z.string()),
  notTracked: z.array(z.string()),
  destroyed: z.object({ how: z.string(), readAt: z.string() }).exactOptional(),
  waiver: z.string().exactOptional(),
  nextStep: z.string(),
});
export type Report = z.output<typeof reportSchema>;

export interface Reports {
  report(
    target: { readonly podId?: PodId | undefined; readonly jobId?: JobId | undefined },
    options: CallOptions,
  ): Promise<Report>;
}
