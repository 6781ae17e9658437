import { z } from 'zod';
import { InputError } from '../core/errors.ts';
import { offerIdSchema, quoteIdSchema } from '../core/ids.ts';
import { attemptSchema, quoteSchema } from '../core/lease.ts';
import { type CreateOutcome, podSchema } from '../core/pods.ts';
import { envParam, names, secretEnvParam, text, waitParam } from './params.ts';
import { podNext } from './pod-next.ts';
import { briefPod, renderPod } from './pod-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { count, duration, lines, list, type Next, oneLine, renderResult, usd } from './words.ts';

const positive = z.number().positive();

export const createPod = defineTool({
  name: 'create_pod',
  title: 'Rent a GPU pod',
  description:
    'Rent a GPU pod (cloud instance) from an offer. COSTS MONEY until destroyed or ttlMinutes. Asks the user in a form; else answers needs_confirmation with a quote: show the price to the user, then call again with quoteId (its terms are used). Free pods start at once. Waits up to waitSeconds; then get_pod with waitFor "ready".',
  effect: 'spend',
  input: z.strictObject({
    offerId: offerIdSchema.exactOptional(),
    offerIds: z
      .array(offerIdSchema)
      .min(1)
      .max(20)
      .exactOptional()
      .describe('Instead of offerId: candidates in order.'),
    name: text(100).exactOptional(),
    image: text(500).exactOptional(),
    template: text(200).exactOptional(),
    workload: z
      .enum(['pytorch', 'cuda', 'transformers', 'tensorflow', 'vllm', 'jax'])
      .exactOptional()
      .describe('Or image, or template.'),
    diskGb: positive.max(100_000).default(64),
    setup: text(60_000).exactOptional().describe('Boot script, setup only.'),
    env: envParam.default({}).describe('No secrets here.'),
    secretEnv: secretEnvParam.default([]).describe('Names only.'),
    ports: names(50).default([]).describe('Like "8888/http".'),
    registryAuth: text(200).exactOptional().describe('Name of a credential.'),
    volume: text(200).exactOptional(),
    bidUsdPerHour: positive.exactOptional().describe('For interruptible offers.'),
    expectedHours: positive.exactOptional(),
    budgetUsd: positive.exactOptional().describe('The pod ends when this is spent.'),
    ttlMinutes: positive.max(525_600).default(360).describe('Deadline from now.'),
    onExpiry: z.enum(['destroy', 'stop']).default('destroy'),
    maxAttempts: z.int().min(1).max(20).default(3),
    quoteId: quoteIdSchema.exactOptional().describe('Only after the user agreed.'),
    waitSeconds: waitParam.default(25),
  }),
  output: z.object({
    status: z.enum(['needs_confirmation', 'provisioning', 'ready', 'failed']),
    quote: quoteSchema.exactOptional(),
    pod: podSchema.describe('As in get_pod.').exactOptional(),
    attempts: z.array(attemptSchema),
    declined: z.boolean().exactOptional(),
    ...resultShape,
  }),
  async handle({ offerId, offerIds, quoteId, waitSeconds, ...terms }, context) {
    const { pods, signal, progress, ask } = context;
    const candidates = candidatesOf(offerId, offerIds, quoteId !== undefined);
    const sources = ['image', 'template', 'workload'] as const;
    const chosen = sources.filter((source) => terms[source] !== undefined);
    if (chosen.length > 1)
      throw new InputError('invalid_input', `Give at most one of ${sources.join(', ')}.`);
    const outcome = await pods.create(
      {
        terms: { ...terms, offerIds: candidates },
        waitSeconds,
        ...(quoteId === undefined ? {} : { quoteId }),
      },
      { signal, progress, ask },
    );
    return { ...resultOf(outcome), ...wordsOf(outcome) };
  },
  render(result) {
    const { quote, pod, attempts } = result;
    return renderResult(
      result,
      quote !== undefined &&
        lines(
          `Quote ${quote.quoteId}: at most ${usd(quote.usdPerHour)}/h, ${usd(quote.maxUsd)} in all for ${duration(quote.terms.ttlMinutes * 60)}, ${quote.terms.diskGb} GB disk, then ${quote.terms.onExpiry}. Valid until ${quote.expiresAt}, once.`,
          list(
            quote.offers.map(
              (offer) =>
                `${offer.offerId}: ${offer.gpu === undefined ? 'no GPU' : `${offer.gpuCount} x ${offer.gpu}`}, ${offer.region}, ${usd(offer.usdPerHour)}/h`,
            ),
          ),
        ),
      pod !== undefined && renderPod(pod),
      attempts.length > 0 &&
        `Attempts:\n${list(attempts.map((attempt) => `${attempt.offerId}: ${oneLine(attempt.reason)} (cleanup: ${attempt.cleanup})`))}`,
    );
  },
});

function candidatesOf<Id>(
  offerId: Id | undefined,
  offerIds: readonly Id[] | undefined,
  hasQuote: boolean,
): Id[] {
  if (offerId !== undefined && offerIds !== undefined)
    throw new InputError('invalid_input', 'Give exactly one of offerId, offerIds: got both.');
  if (offerId !== undefined) return [offerId];
  if (offerIds !== undefined) return [...offerIds];
  if (hasQuote) return [];
  throw new InputError(
    'invalid_input',
    'Give exactly one of offerId, offerIds (or the quoteId of an earlier answer): got none.',
    { hint: 'Call find_offer first and use an offerId from its answer.' },
  );
}

function resultOf(outcome: CreateOutcome) {
  if (outcome.status === 'needs_confirmation') {
    const { status, quote, declined } = outcome;
    return { status, quote, attempts: [], ...(declined === undefined ? {} : { declined }) };
  }
  const { status, pod, attempts } = outcome;
  return { status, attempts: [...attempts], ...(pod === undefined ? {} : { pod: briefPod(pod) }) };
}

function wordsOf(outcome: CreateOutcome): { summary: string; next: Next } {
  switch (outcome.status) {
    case 'needs_confirmation': {
      const { quoteId, usdPerHour, maxUsd, terms, expiresAt } = outcome.quote;
      const price = `${usd(usdPerHour)}/h, at most ${usd(maxUsd)} in ${duration(terms.ttlMinutes * 60)}`;
      if (outcome.declined === true)
        return {
          summary: `The user declined (${price}). Nothing is rented. Ask the user before calling create_pod again.`,
          next: [{ tool: 'find_offer', why: 'Look for something the user likes better.' }],
        };
      return {
        summary: `Nothing is rented yet. Show the user this price and ask: ${price}. The quote lives until ${expiresAt}.`,
        next: [
          {
            tool: 'create_pod',
            why: 'Only after the user agreed to the price.',
            arguments: { quoteId },
          },
        ],
      };
    }
    case 'ready':
    case 'provisioning': {
      const { podId, usdPerHour = 0, deadlineAt } = outcome.pod;
      const state = outcome.status === 'ready' ? 'is ready' : 'is rented and starting';
      return {
        summary: `Pod ${podId} ${state} at ${usd(usdPerHour)}/h${deadlineAt === undefined ? '' : `, until ${deadlineAt} at the latest`}.`,
        next: podNext(outcome.pod),
      };
    }
    case 'failed': {
      const open = outcome.attempts.filter(
        ({ cleanup }) => cleanup === 'present' || cleanup === 'unknown',
      ).length;
      return {
        summary: `No pod came up after ${count(outcome.attempts.length, 'attempt')}. ${open === 0 ? 'Nothing is left running.' : `${count(open, 'machine')} may still be charged: call list_pods.`}`,
        next: [
          ...(open > 0 || outcome.pod !== undefined
            ? [{ tool: 'list_pods', why: 'See what may still be charged.', arguments: {} }]
            : []),
          { tool: 'find_offer', why: 'Choose another offer.' },
        ],
      };
    }
  }
}
