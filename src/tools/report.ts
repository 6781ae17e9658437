import { z } from 'zod';
import type { JobId } from '../core/ids.ts';
import { isTerminal } from '../core/job.ts';
import { isBrokenName, type Report, reportSchema } from '../core/report.ts';
import { exactlyOne, jobIdParam, podIdParam } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import {
  brokenCall,
  duration,
  fetchCall,
  inSentence,
  list,
  type Next,
  oneLine,
  renderResult,
  usd,
} from './words.ts';

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
  async handle(target, { reports, jobs, signal, progress }) {
    exactlyOne({ podId: target.podId, jobId: target.jobId });
    const result = await reports.report(target, { signal, progress });
    const declaring = (await jobs.list(result.podId))
      .filter(({ artifacts }) => artifacts.length > 0)
      .map(({ jobId }) => jobId);
    return {
      ...result,
      summary: `${jobWords(target.jobId, result)}${summaryOf(result)}`,
      next: nextOf(result, declaring),
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
      result.filesMissing.length > 0 &&
        `Files missing or broken:\n${list(result.filesMissing, 50, 600)}`,
      result.sessions.length > 0 &&
        list(result.sessions.map(({ sessionId, state }) => `session ${sessionId}: ${state}`)),
      result.connections !== undefined &&
        result.connections.length > 0 &&
        `Ways in:\n${list(result.connections, 10, 1000)}`,
      result.errors.length > 0 && `Errors:\n${list(result.errors)}`,
      result.notTracked.length > 0 && `Not tracked: ${result.notTracked.join(', ')}`,
      result.waiver !== undefined && `Waiver: ${oneLine(result.waiver, 4000)}`,
      result.destroyed !== undefined &&
        `Destroyed: ${inSentence(result.destroyed.how)}, read at ${result.destroyed.readAt}`,
      `Next step: ${oneLine(result.nextStep)}`,
    );
  },
});

/** First the work, then its results, then the meter: `destroy` is offered only when nothing else is open. */
function nextOf(
  { podId, mode, status, destroyed, jobs, filesMissing, usdPerHour }: Report,
  declaring: readonly JobId[],
): Next {
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
  const wanting = jobs.filter(({ jobId }) => declaring.includes(jobId)).slice(0, 3);
  if (filesMissing.length > 0)
    return filesMissing.every(isBrokenName)
      ? wanting.map(({ jobId }) => brokenCall(jobId))
      : wanting.map(({ jobId }) => fetchCall(jobId, 'Declared results are not home.'));
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

/** A report that was asked for a job opens with the job. */
function jobWords(jobId: JobId | undefined, { jobs }: Report): string {
  const job = jobs.find((each) => each.jobId === jobId);
  if (job === undefined) return '';
  const exit = job.exitCode === undefined ? '' : ` with exit code ${job.exitCode}`;
  const ran = job.runtimeSeconds === undefined ? '' : ` after ${duration(job.runtimeSeconds)}`;
  return `Job ${job.jobId} is ${job.status}${exit}${ran}. `;
}

function summaryOf({ podId, status, success, costUsd, runtimeSeconds, destroyed }: Report): string {
  const cost = costUsd === undefined ? '' : `, about ${usd(costUsd)}`;
  const time = runtimeSeconds === undefined ? '' : ` after ${duration(runtimeSeconds)}`;
  const gone = destroyed === undefined ? '' : `; seen gone at ${destroyed.readAt}`;
  return `Pod ${podId} is ${status}${time}${cost}${gone}. Command success: ${success.command}; artifacts: ${success.artifacts}; scientific: ${success.scientific}.`;
}
