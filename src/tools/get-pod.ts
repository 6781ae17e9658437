import { z } from 'zod';
import { podSchema } from '../core/pods.ts';
import { podIdParam, waitParam } from './params.ts';
import { isNeverMade, podNext } from './pod-next.ts';
import { renderPod } from './pod-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { renderResult, usd } from './words.ts';

export const getPod = defineTool({
  name: 'get_pod',
  title: 'Look at a pod',
  description:
    'State of one GPU pod (instance): readiness stage, SSH endpoint, measured hardware, spend so far, deadline, which paths survive. With waitFor it waits up to waitSeconds (max 45) and says in `reached` whether it came true. Free. Status "unknown" means nobody could look, not that it is gone.',
  effect: 'read',
  input: z.strictObject({
    podId: podIdParam,
    waitFor: z.enum(['ready', 'stopped', 'gone']).exactOptional(),
    waitSeconds: waitParam.default(0),
  }),
  output: z.object({ pod: podSchema, reached: z.boolean(), ...resultShape }),
  async handle({ podId, ...request }, { pods, signal, progress }) {
    const { pod, reached } = await pods.get(podId, request, { signal, progress });
    const instead =
      pod.podId === podId
        ? ''
        : `Pod ${podId} did not come up and was replaced, as the quote allowed. `;
    const replaced =
      pod.replacedBy !== undefined
        ? ` Pod ${pod.replacedBy} was rented in its place.`
        : pod.isBeingReplaced === true
          ? `${isNeverMade(pod) ? ' No machine came of it;' : ' It is being ended, and'} another is rented in its place.`
          : '';
    const stage = pod.status === 'provisioning' && pod.stage !== undefined ? ` (${pod.stage})` : '';
    const { waitFor } = request;
    const waited = waitFor === undefined || reached ? '' : ` It is not ${waitFor} yet.`;
    const money = pod.spentUsd === undefined ? '' : ` ${usd(pod.spentUsd)} spent so far.`;
    return {
      pod,
      reached,
      summary: `${instead}Pod ${pod.podId} is ${pod.status}${stage}.${replaced}${waited}${money}`,
      next: podNext(pod),
    };
  },
  render(result) {
    return renderResult(result, renderPod(result.pod));
  },
});
