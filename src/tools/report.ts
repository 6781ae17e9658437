import { z } from 'zod';
import { isTerminal } from '../core/job.ts';
import { type Report, reportSchema } from '../core/report.ts';
import { exactlyOne, jobIdParam, podIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { duration, list, type Next, oneLine, renderResult, usd } from './words.ts';

export const report = defineTool({
  name: 'report',
  title: 'Final report',
  description:
    'Final report of a GPU pod or job for the user: mode, GPU, price, runtime, cost; success of the command, of the artifacts and of the science kept apart; files home with proof, files missing, errors, what was left, proof of destruction, next step. Works after the pod is gone. Free.',
  effect: 'read',
  input: z.strictObject({
    podId: podIdParam.exactOptional(),
    jobId: jobIdParam.exactOptional().describe('Instead of podId.'),
  }),
  output: z.object({ ...reportSchema.shape, ...resultShape }),
  async handle(target, { reports, signal, progress }) {
    exactlyOne({ podId: target.podId, jobId: target.jobId });
    const result = await reports.report(target, { signal, progress });
    return {
      ...result,
      summary: summaryOf(result),
      next: nextOf(result),
    };
  },
  render(result) {
    return renderResult(
      result,
      `Mode: ${result.mode}. GPU: ${oneLine(result.gpu ?? 'none')}. Price: ${result.usdPerHour === undefined ? 'not tracked' : `${usd(result.usdPerHour)}/h`}.`,
      list(
        result.jobs.map(
          ({ jobId, name, command, status, exitCode }) =>
            `${jobId} "${oneLine(name, 80)}" ${oneLine(command, 120)}: ${status}${exitCode === undefined ? '' : `, exit code ${exitCode}`}`,
        ),
      ),
      result.filesHome.length > 0 &&
        `Files home:\n${list(result.filesHome.map(({ localPath, proof }) => `${localPath} (${proof})`))}`,
      result.filesMissing.length > 0 && `Files missing:\n${list(result.filesMissing)}`,
      result.sessions.length > 0 &&
        list(result.sessions.map(({ sessionId, state }) => `session ${sessionId}: ${state}`)),
      result.errors.length > 0 && `Errors:\n${list(result.errors)}`,
      result.notTracked.length > 0 && `Not tracked: ${result.notTracked.join(', ')}`,
      result.waiver !== undefined && `Waiver: ${oneLine(result.waiver)}`,
      result.destroyed !== undefined &&
        `Destroyed: ${oneLine(result.destroyed.how)} at ${result.destroyed.readAt}`,
      `Next step: ${oneLine(result.nextStep)}`,
    );
  },
});

/** First the work, then its results, then the meter: `destroy` is offered only when nothing else is open. */
function nextOf({ podId, mode, status, destroyed, jobs, filesMissing, usdPerHour }: Report): Next {
  if (destroyed !== undefined || status === 'gone') return [];
  const running = jobs.find((job) => !isTerminal(job.status));
  if (running !== undefined)
    return [
      {
        tool: 'job_wait',
        why: 'A job has not ended yet.',
        arguments: { jobId: running.jobId },
      },
    ];
  if (filesMissing.length > 0)
    return jobs.slice(0, 3).map(({ jobId }) => ({
      tool: 'fetch_artifacts',
      why: 'Declared results are not home.',
      arguments: { jobId },
    }));
  if (mode !== 'managed') return [];
  return [
    {
      tool: 'destroy',
      why:
        usdPerHour === 0
          ? 'End the pod if the user no longer needs it.'
          : 'The pod is still charged: end it if the user no longer needs it.',
      arguments: { podId },
    },
  ];
}

function summaryOf({ podId, status, success, costUsd, runtimeSeconds, destroyed }: Report): string {
  const cost = costUsd === undefined ? '' : `, about ${usd(costUsd)}`;
  const time = runtimeSeconds === undefined ? '' : ` after ${duration(runtimeSeconds)}`;
  const gone = destroyed === undefined ? '' : `; seen gone at ${destroyed.readAt}`;
  return `Pod ${podId} is ${status}${time}${cost}${gone}. Command success: ${success.command}; artifacts: ${success.artifacts}; scientific: ${success.scientific}.`;
}
