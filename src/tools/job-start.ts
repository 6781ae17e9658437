import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import { jobIdSchema, podIdSchema } from '../core/ids.ts';
import { isTerminal, jobStatusSchema, NOT_STARTED } from '../core/job.ts';
import {
  envParam,
  MAX_COMMAND_CHARS,
  machineOf,
  names,
  pathParam,
  podIdParam,
  profileIdParam,
  secretEnvParam,
  text,
} from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { fence, renderResult } from './words.ts';

export const jobStart = defineTool({
  name: 'job_start',
  title: 'Start a job',
  description:
    'Start long work (train, fine-tune, render, benchmark) on a GPU pod that nobody has to watch: it runs under a supervisor on the pod and survives lost links and restarts. Declare every output in artifacts: destroy refuses until they are home. Costs only the pod. Next: job_wait, then fetch_artifacts.',
  effect: 'execute',
  input: z.strictObject({
    podId: podIdParam.exactOptional(),
    profileId: profileIdParam.exactOptional(),
    command: text(MAX_COMMAND_CHARS, 'a command'),
    name: text(100).exactOptional(),
    cwd: pathParam.exactOptional().describe('Default: the work folder.'),
    env: envParam.default({}).describe('No secrets here.'),
    secretEnv: secretEnvParam
      .default([])
      .describe("Names only; values come from the server's environment."),
    artifacts: names(500).default([]).describe('Outputs: paths or globs below cwd.'),
    maxRuntimeMinutes: z.number().positive().max(525_600).default(360),
    smokeCommand: text(MAX_COMMAND_CHARS, 'a command')
      .exactOptional()
      .describe('Short test that must pass first.'),
    nodes: z.int().positive().default(1).describe('Only 1 for now.'),
  }),
  output: z.object({
    jobId: jobIdSchema,
    podId: podIdSchema,
    status: jobStatusSchema,
    name: z.string(),
    cwd: z.string(),
    artifacts: z.array(z.string()),
    firstLines: z.string(),
    ...resultShape,
  }),
  async handle({ podId, profileId, nodes, ...request }, { jobs, signal, progress }) {
    if (nodes > 1)
      throw new InputError('unsupported', 'A job runs on one pod: nodes must be 1.', {
        hint: 'Rent one pod with more GPUs (find_offer with gpuCount), or start one job per pod.',
      });
    const machine = machineOf({ podId, profileId });
    const started = await jobs.start({ podId: machine, ...request }, { signal, progress });
    const { jobId, status, name, cwd, artifacts, notStarted } = started.job;
    const declared =
      artifacts.length === 0 ? ' No artifacts are declared: nothing guards its outputs.' : '';
    const over = isTerminal(status) && status !== 'completed';
    const smoke =
      over && request.smokeCommand !== undefined
        ? ' If smokeCommand failed, command never ran.'
        : '';
    return {
      jobId,
      podId: machine,
      status,
      name,
      cwd,
      artifacts,
      firstLines: started.firstLines,
      summary: over
        ? `Job ${jobId} on ${machine} is ${status} already: nothing runs.${notStarted === undefined ? smoke : ` ${NOT_STARTED[notStarted]}`} job_wait tells why.`
        : `Job ${jobId} on ${machine} is ${status}.${declared}${started.warning === undefined ? '' : ` ${started.warning}`}`,
      next: [
        ...(isTerminal(status)
          ? [
              {
                tool: 'job_wait',
                why: over ? 'See why it failed.' : 'See how it ended.',
                arguments: { jobId, waitSeconds: 0, offset: 0 },
              },
            ]
          : [
              { tool: 'job_wait', why: 'See how it does.', arguments: { jobId } },
              { tool: 'job_cancel', why: 'End it and its processes.', arguments: { jobId } },
            ]),
      ],
    };
  },
  render(result) {
    return renderResult(result, `Folder: ${result.cwd}`, fence(result.firstLines));
  },
});
