import { z } from 'zod';
import { fetchOutcomeSchema, proofSchema, syncResultSchema } from '../core/files.ts';
import { jobIdSchema, podIdSchema } from '../core/ids.ts';
import { jobSchema } from '../core/job.ts';
import { sshEndpointSchema } from '../core/machine.ts';

const names = z.array(z.string());
const pod = z.object({ podId: podIdSchema });
const nothing = z.undefined();

/** What the worker does for the server. */
export const SYNC = {
  name: 'sync',
  args: z.object({
    podId: podIdSchema,
    localPath: z.string(),
    remotePath: z.string(),
    include: names,
    exclude: names,
    delete: z.boolean(),
    dryRun: z.boolean(),
    allowSecrets: names,
  }),
  result: syncResultSchema,
};
export const FETCH = {
  name: 'fetch',
  args: z.object({
    podId: podIdSchema,
    jobId: jobIdSchema.optional(),
    paths: names,
    localPath: z.string(),
    exclude: names,
    verify: z.union([proofSchema, z.literal('load')]),
    strict: z.boolean(),
    dryRun: z.boolean(),
  }),
  result: fetchOutcomeSchema,
};
export const DISCONNECT = { name: 'disconnect', args: pod, result: nothing };
/** Hangs up everything and closes the state, so that the thread can be ended. */
export const CLOSE = { name: 'close', args: nothing, result: nothing };

/** What the server does for the worker. */
export const ENDPOINT = {
  name: 'endpoint',
  args: z.object({ podId: podIdSchema, moved: z.boolean() }),
  result: sshEndpointSchema,
};
export const JOB = { name: 'job', args: z.object({ jobId: jobIdSchema }), result: jobSchema };
export const JOBS = { name: 'jobs', args: pod, result: z.array(jobSchema) };
export const REFRESH = { name: 'refresh', args: pod, result: z.array(jobSchema) };
