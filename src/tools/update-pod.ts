import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import type { Gate } from '../core/files.ts';
import { quoteIdSchema } from '../core/ids.ts';
import { type Quote, quoteSchema } from '../core/lease.ts';
import { type Pod, podSchema } from '../core/pods.ts';
import { cutOffSessions, cutOffWords, openSessions } from './cut-off.ts';
import { podIdParam, text } from './params.ts';
import { podNext } from './pod-next.ts';
import { briefPod, renderPod } from './pod-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { inSentence, list, type Next, oneLine, renderResult, told } from './words.ts';

/** A pod that ends earlier than before may end under somebody's work: that is said aloud. */
function deadlineWords(before: string | undefined, after: string | undefined): string {
  if (after === undefined) return '';
  return before !== undefined && Date.parse(after) < Date.parse(before)
    ? ` Its deadline is now EARLIER: ${after}, was ${before}.`
    : ` Deadline ${after}.`;
}

/** Nobody could be asked by a form: the agent asks, and calls again. */
function confirmWords(
  { podId }: Pod,
  { quoteId, notes = [], expiresAt, change }: Quote,
): { readonly summary: string; readonly next: Next } {
  return {
    summary: `Not done yet: ${change?.discardUnfetched === true ? 'work would be LOST' : 'this costs money'}. Show the user this and ask: ${notes.map(inSentence).join('; ')}. The quote lives until ${expiresAt}.`,
    next: [
      {
        tool: 'update_pod',
        why: 'Only after the user agreed.',
        arguments: { podId, quoteId },
      },
      ...(change?.discardUnfetched === true
        ? [
            {
              tool: 'fetch_artifacts',
              why: 'Or bring it home first, to a localPath.',
              arguments: { podId },
            },
          ]
        : []),
    ],
  };
}

type Action = 'start' | 'stop' | 'restart' | undefined;
/** Clouds take their time: what is seen right after the order is the state before it. */
const isOnItsWay = ({ status }: Pod, action: Action): boolean =>
  action === 'stop' ? status !== 'stopped' : action !== undefined && status !== 'ready';

function nextOf(pod: Pod, action: Action): Next {
  if (!isOnItsWay(pod, action)) return podNext(pod);
  const waitFor = action === 'stop' ? 'stopped' : 'ready';
  return [
    {
      tool: 'get_pod',
      why: `Wait until it is ${waitFor}.`,
      arguments: { podId: pod.podId, waitFor, waitSeconds: 40 },
    },
  ];
}

/** The disk is kept, the GPUs are not: nobody fetches from a pod that cannot start again. */
function notHomeWords(notHome: readonly Gate[] = []): string {
  if (notHome.length === 0) return '';
  const names = [...new Set(notHome.map((gate) => gate.path ?? gate.jobId ?? 'not checked'))];
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return ` NOT HOME: ${names
    .slice(0, 3)
    .map((name) => oneLine(name, 80))
    .join(
      ', ',
    )}${more}. It stays on the disk, but can be fetched only once the pod starts again, and its GPUs may be taken by then. Tell the user.`;
}

export const updatePod = defineTool({
  name: 'update_pod',
  title: 'Change a pod',
  description:
    'Start, stop or restart a GPU pod, move its deadline (ttlMinutes from now) or budget, rename it, or adopt an unmanaged machine. MAY COST MONEY: more time is asked of the user like a new rent; a stopped pod may still be charged for its disk, `stillCharged` says what. Answers when the order is accepted; next get_pod with waitFor.',
  effect: 'spend',
  input: z.strictObject({
    podId: podIdParam,
    action: z.enum(['start', 'stop', 'restart']).exactOptional(),
    ttlMinutes: z.number().positive().max(525_600).exactOptional().describe('From now.'),
    budgetUsd: z.number().positive().exactOptional(),
    name: text(100).exactOptional(),
    bidUsdPerHour: z.number().positive().exactOptional(),
    adopt: z.boolean().exactOptional().describe('Take over an unmanaged machine; asks the user.'),
    quoteId: quoteIdSchema.exactOptional(),
  }),
  output: z.object({
    pod: podSchema.describe('As in get_pod.'),
    stillCharged: z.string(),
    quote: quoteSchema.describe('As in create_pod.').exactOptional(),
    ...resultShape,
  }),
  async handle({ podId, ...request }, { pods, sessions, signal, progress, ask }) {
    if (Object.values(request).every((value) => value === false))
      throw new InputError(
        'invalid_input',
        'Nothing to change: give action, ttlMinutes, budgetUsd, name, bidUsdPerHour or adopt.',
      );
    const open = await openSessions(sessions, podId);
    const { pod, stillCharged, deadlineBefore, quote, notHome, cautions } = await pods.update(
      podId,
      request,
      {
        signal,
        progress,
        ask,
      },
    );
    if (quote !== undefined)
      return { pod: briefPod(pod), stillCharged, quote, ...confirmWords(pod, quote) };
    const done = Object.entries(request)
      .filter(([, value]) => value !== false)
      .map(([name, value]) =>
        name === 'action' ? String(value) : name === 'quoteId' ? 'what was agreed' : name,
      )
      .join(', ');
    const deadline = deadlineWords(deadlineBefore, pod.deadlineAt);
    const cut = cutOffWords(await cutOffSessions(sessions, podId, open));
    return {
      pod: briefPod(pod),
      stillCharged,
      summary: `${isOnItsWay(pod, request.action) ? `Pod ${pod.podId}: ${done} is ordered, the pod was last seen ${pod.status}.` : `Pod ${pod.podId} is ${pod.status} after ${done}.`}${deadline}${cut}${notHomeWords(notHome)}${told(cautions)}`,
      next: nextOf(pod, request.action),
    };
  },
  render(result) {
    return renderResult(
      result,
      result.quote !== undefined &&
        `Quote ${result.quote.quoteId}, valid until ${result.quote.expiresAt}, once: ${list(result.quote.notes ?? [])}`,
      `Still charged: ${oneLine(result.stillCharged)}`,
      renderPod(result.pod),
    );
  },
});
