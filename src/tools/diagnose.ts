import { z } from 'zod';
import { count } from '../core/count.ts';
import type { JobId } from '../core/ids.ts';
import { findingSchema } from '../core/job.ts';
import { exactlyOne, jobIdParam, podIdParam, text } from './params.ts';
import { factsOf } from './pod-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { fence, fetchCall, lines, type Next, renderResult } from './words.ts';

const VERDICTS = {
  ok: 'Nothing wrong was found.',
  warn: 'Something needs attention.',
  rerent: 'This machine is not worth saving: bring results home and rent another.',
  unknown: 'Nobody could look: this says nothing about the pod.',
} as const;
const GONE = 'The pod is gone: only what it printed while it booted is left.';

export const diagnose = defineTool({
  name: 'diagnose',
  title: 'Diagnose a pod, job or error',
  description:
    'Why did it fail, is this GPU pod healthy? Checks a pod (GPU, memory, disk, clock) or a job, its boot log when it never came up, or an error text (CUDA out of memory, no space left, NCCL): verdict ok, warn, rerent or unknown, and findings with class, whether a retry helps, and the remedy. Free. Takes half a minute on a pod.',
  effect: 'read',
  input: z.strictObject({
    podId: podIdParam.exactOptional(),
    jobId: jobIdParam.exactOptional(),
    text: text(100_000).exactOptional().describe('Error output to classify.'),
  }),
  output: z.object({
    verdict: z.enum(['ok', 'warn', 'rerent', 'unknown']),
    facts: z.record(z.string(), z.union([z.string(), z.number()])),
    findings: z.array(findingSchema),
    bootLog: z.string().exactOptional(),
    ...resultShape,
  }),
  async handle(target, { health, signal, progress }) {
    exactlyOne({ podId: target.podId, jobId: target.jobId, text: target.text });
    const { verdict, facts, findings, bootLog } = await health.diagnose(target, {
      signal,
      progress,
    });
    const isGone = facts['problem'] === 'pod_gone';
    return {
      verdict,
      facts: { ...facts },
      findings: [...findings],
      ...(bootLog === undefined ? {} : { bootLog }),
      summary: `${isGone ? GONE : VERDICTS[verdict]} ${count(findings.length, 'finding')}.`,
      next: nextOf(isGone ? 'gone' : verdict, target.podId, target.jobId),
    };
  },
  render(result) {
    return renderResult(
      result,
      Object.keys(result.facts).length > 0 && `Facts: ${factsOf(result.facts)}`,
      ...result.findings.map(({ code, class: kind, retryable, remedy, evidence }) =>
        lines(
          `${code} (${kind}, retry: ${retryable}): ${remedy}`,
          evidence !== undefined && fence(evidence, 'evidence'),
        ),
      ),
      result.bootLog !== undefined && fence(result.bootLog, 'boot log'),
    );
  },
});

function nextOf(
  verdict: keyof typeof VERDICTS | 'gone',
  podId: string | undefined,
  jobId: JobId | undefined,
): Next {
  if (verdict === 'rerent')
    return [
      ...(jobId === undefined ? [] : [fetchCall(jobId, 'Save what there is first.')]),
      { tool: 'find_offer', why: 'Look for another machine.' },
    ];
  if (verdict === 'gone')
    return podId === undefined
      ? []
      : [{ tool: 'report', why: 'Read what became of it.', arguments: { podId } }];
  if (verdict === 'unknown' && podId !== undefined)
    return [{ tool: 'get_pod', why: 'See what the provider says.', arguments: { podId } }];
  return [];
}
