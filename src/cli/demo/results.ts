import { z } from 'zod';

/* The parts of the results that the demo reads, as any client would: by the documented names. */

const amount = z.number();

export const doctorResult = z.object({
  providers: z.array(z.object({ provider: z.string(), configured: z.boolean() })),
});
export const offersResult = z.object({
  offers: z.array(
    z.object({
      offerId: z.string(),
      vcpu: amount,
      ramGb: amount,
      gpu: z.string().optional(),
      usdPerHour: amount,
    }),
  ),
});
export const createResult = z.object({
  status: z.string(),
  pod: z.object({ podId: z.string(), status: z.string() }),
});
export const podResult = z.object({
  reached: z.boolean(),
  pod: z.object({
    podId: z.string(),
    status: z.string(),
    deadlineAt: z.string().optional(),
    stages: z.array(z.object({ stage: z.string(), seconds: amount })).default([]),
  }),
});
export const sessionResult = z.object({ sessionId: z.string(), nextOffset: amount });
export const writeResult = z.object({
  done: z.boolean(),
  exitCode: z.number().optional(),
  output: z.string(),
  offset: amount,
  nextOffset: amount,
  summary: z.string(),
  next: z.array(z.unknown()),
});
export const readResult = z.object({
  state: z.string(),
  output: z.string(),
  offset: amount,
  nextOffset: amount,
  hasMore: z.boolean(),
});
export const closeResult = z.object({ state: z.string() });
const count = z.object({ files: amount, bytes: amount });
export const syncResult = z.object({ sent: count, unchanged: count, verified: z.boolean() });
export const startResult = z.object({ jobId: z.string(), status: z.string() });
export const waitResult = z.object({
  status: z.string(),
  exitCode: z.number().optional(),
  output: z.string(),
  nextOffset: amount,
  progress: z.object({ done: amount, total: amount.optional() }).optional(),
});
export const cancelResult = z.object({ status: z.string() });
export const listResult = z.object({
  pods: z.array(
    z.object({
      podId: z.string(),
      status: z.string(),
      sessions: z.array(z.unknown()).default([]),
      jobs: z.array(z.unknown()).default([]),
    }),
  ),
});
export const destroyResult = z.object({
  outcome: z.string(),
  missing: z.array(z.object({ gate: z.string(), path: z.string().optional() })).default([]),
  receipt: z
    .object({
      estimatedUsd: amount,
      runtimeSeconds: amount,
      proof: z.object({ how: z.string(), readAt: z.string() }),
    })
    .optional(),
});
export const fetchResult = z.object({
  manifest: z.object({
    files: z.array(
      z.object({
        path: z.string(),
        localPath: z.string(),
        bytes: amount,
        sha256: z.string(),
        proof: z.string(),
        problem: z.string().optional(),
      }),
    ),
  }),
  missing: z.array(z.string()),
  leftOnPod: z.array(z.unknown()),
});
export const logsResult = z.object({ output: z.string() });
export const reportResult = z.object({
  status: z.string(),
  costUsd: amount.optional(),
  runtimeSeconds: amount.optional(),
  success: z.object({ command: z.string(), artifacts: z.string(), scientific: z.string() }),
  filesHome: z.array(z.unknown()),
  filesMissing: z.array(z.string()),
  nextStep: z.string(),
});
/** Every error result. */
export const errorResult = z.object({ code: z.string(), message: z.string(), hint: z.string() });
/** Every result. */
export const summaryResult = z.object({ summary: z.string() });
