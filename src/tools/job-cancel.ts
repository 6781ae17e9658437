import { z } from 'zod';
import { jobIdSchema } from '../core/ids.ts';
import { jobStatusSchema } from '../core/job.ts';
import { jobIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { fetchCall, renderResult } from './words.ts';

export const jobCancel = defineTool({
  name: 'job_cancel',
  title: 'Cancel a job',
  description:
    'Cancel a job on a GPU pod: kills its whole process group over a second channel and looks whether it is dead. What it wrote stays on the pod. The pod goes on costing: next fetch_artifacts, then destroy. Cancelling an ended job changes nothing.',
  effect: 'destroy',
  input: z.strictObject({ jobId: jobIdParam }),
  output: z.object({
    jobId: jobIdSchema,
    status: jobStatusSchema,
    processesGone: z.enum(['yes', 'no', 'unknown']),
    ...resultShape,
  }),
  async handle({ jobId }, { jobs, signal, progress }) {
    const { job, processesGone } = await jobs.cancel(jobId, { signal, progress });
    const gone = {
      yes: 'Its processes are dead (checked).',
      no: 'Some of its processes are still alive.',
      unknown: 'Nobody could check its processes.',
    } as const;
    return {
      jobId,
      status: job.status,
      processesGone,
      summary: `Job ${jobId} is ${job.status}. ${gone[processesGone]}`,
      next: [
        ...(processesGone === 'yes'
          ? []
          : [{ tool: 'job_cancel', why: 'Try again.', arguments: { jobId } }]),
        job.status === 'lost'
          ? {
              tool: 'get_pod',
              why: 'See what became of the pod.',
              arguments: { podId: job.podId },
            }
          : fetchCall(jobId, 'Bring home what it made so far.'),
      ],
    };
  },
  render(result) {
    return renderResult(result);
  },
});
