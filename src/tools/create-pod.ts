import { z } from 'zod';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import { offerIdSchema, quoteIdSchema } from '../core/ids.ts';
import { type Attempt, attemptSchema, quoteSchema, type Terms } from '../core/lease.ts';
import { type CreateOutcome, type Pods, podSchema } from '../core/pods.ts';
import { envParam, names, secretEnvParam, text, waitParam } from './params.ts';
import { podNext } from './pod-next.ts';
import { briefPod, renderPod } from './pod-text.ts';
import { attemptsText, quotePrice, quoteText } from './quote-text.ts';
import { defineTool, resultShape } from './tool.ts';
import { type Kept, keptWords } from './volume-text.ts';
import { inSentence, type Next, renderResult, told, usd } from './words.ts';

const positive = z.number().positive();
const DEFAULTS: Pick<Terms, 'diskGb' | 'ttlMinutes' | 'onExpiry' | 'maxAttempts'> = {
  diskGb: 64,
  ttlMinutes: 360,
  onExpiry: 'destroy',
  maxAttempts: 3,
};
/** Shown with its default and left out where the caller gave none: beside a quoteId only what was given is compared. */
const standing = <Schema extends z.ZodType>(schema: Schema, value: z.output<Schema>) =>
  schema.exactOptional().meta({ default: value });

export const createPod = defineTool({
  name: 'create_pod',
  title: 'Rent a GPU pod',
  description:
    'Rent a GPU pod (cloud instance) from an offer. COSTS MONEY until destroyed or ttlMinutes. Asks the user in a form; else answers needs_confirmation with a quote: show its price and notes, then call again with quoteId. A host that fails is proven gone and the next offer taken. Free pods start at once. Waits up to waitSeconds; then get_pod with waitFor "ready".',
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
    template: text(200).exactOptional().describe('Hash, id or name.'),
    workload: z
      .enum(['pytorch', 'cuda', 'transformers', 'tensorflow', 'vllm', 'jax'])
      .exactOptional()
      .describe('Or image, or template.'),
    diskGb: standing(positive.max(100_000), DEFAULTS.diskGb),
    setup: text(60_000).exactOptional().describe('Boot script, setup only.'),
    env: standing(envParam, {}).describe('No secrets here.'),
    secretEnv: standing(secretEnvParam, []).describe('Names only.'),
    ports: standing(names(50), []).describe('Like "8888/http".'),
    registryAuth: text(200).exactOptional().describe('Variable with user:password@host.'),
    volume: text(200).exactOptional().describe('"ID:/mount" or "new:20:/mount" (GB).'),
    bidUsdPerHour: positive.exactOptional().describe('For interruptible offers.'),
    expectedHours: positive.exactOptional(),
    budgetUsd: positive.exactOptional().describe('The pod ends when this is spent.'),
    ttlMinutes: standing(positive.max(525_600), DEFAULTS.ttlMinutes).describe('Deadline from now.'),
    onExpiry: standing(z.enum(['destroy', 'stop']), DEFAULTS.onExpiry),
    maxAttempts: standing(z.int().min(1).max(20), DEFAULTS.maxAttempts),
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
  async handle({ offerId, offerIds, quoteId, waitSeconds, ...stated }, context) {
    const { pods, signal, progress, ask } = context;
    const candidates = candidatesOf(offerId, offerIds, quoteId !== undefined);
    const sources = ['image', 'template', 'workload'] as const;
    const chosen = sources.filter((source) => stated[source] !== undefined);
    if (chosen.length > 1)
      throw new InputError('invalid_input', `Give at most one of ${sources.join(', ')}.`);
    const outcome = await pods.create(
      {
        terms: {
          ...DEFAULTS,
          env: {},
          secretEnv: [],
          ports: [],
          ...stated,
          offerIds: candidates,
        },
        waitSeconds,
        ...(quoteId === undefined
          ? {}
          : {
              quoteId,
              stated: candidates.length === 0 ? stated : { ...stated, offerIds: candidates },
            }),
      },
      { signal, progress, ask },
    );
    const kept = await keptOf(outcome, pods);
    return { ...resultOf(outcome), ...wordsOf(outcome, kept) };
  },
  render(result) {
    const { quote, pod, attempts } = result;
    return renderResult(
      result,
      quote !== undefined && quoteText(quote),
      pod !== undefined && renderPod(pod),
      attempts.length > 0 && attemptsText(attempts),
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

/** Disks that were made for machines that did not come up: they outlive them and are charged [VO-03]. */
async function keptOf(outcome: CreateOutcome, pods: Pods): Promise<readonly Kept[]> {
  if (outcome.status === 'needs_confirmation') return [];
  const ids = outcome.attempts.flatMap(({ podId }) => (podId === undefined ? [] : [podId]));
  const receipts = await Promise.all(ids.map(async (podId) => pods.receipt(podId)));
  return receipts.flatMap((receipt) => receipt?.volumes ?? []);
}

function wordsOf(outcome: CreateOutcome, kept: readonly Kept[]): { summary: string; next: Next } {
  switch (outcome.status) {
    case 'needs_confirmation': {
      const { quoteId, expiresAt, notes = [] } = outcome.quote;
      const price = quotePrice(outcome.quote);
      const caution = notes.length === 0 ? '' : ` Show its ${count(notes.length, 'note')} too.`;
      if (outcome.declined === true)
        return {
          summary: `The user declined (${price}). Nothing is rented. Ask the user before calling create_pod again.`,
          next: [{ tool: 'find_offer', why: 'Look for something the user likes better.' }],
        };
      return {
        summary: `Nothing is rented yet. Show the user this price and ask: ${price}. The quote lives until ${expiresAt}.${caution}`,
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
      const tried = outcome.attempts.length;
      const state =
        outcome.status === 'ready'
          ? 'is ready'
          : outcome.pod.isBeingReplaced === true
            ? 'failed and is being ended; another is rented in its place'
            : 'is rented and starting';
      return {
        summary: `Pod ${podId} ${state} at ${usd(usdPerHour)}/h${deadlineAt === undefined ? '' : `, until ${deadlineAt} at the latest`}.${tried === 0 ? '' : ` ${count(tried, 'machine')} before it did not come up, see attempts.`}${told(outcome.cautions)}${keptWords(kept)}`,
        next: podNext(outcome.pod),
      };
    }
    case 'failed': {
      const open = outcome.attempts.filter(
        ({ cleanup }) => cleanup === 'present' || cleanup === 'unknown',
      ).length;
      return {
        summary: `No pod came up after ${count(outcome.attempts.length, 'attempt')}. ${lastReason(outcome.attempts)}${open === 0 ? `${kept.length === 0 ? 'Nothing' : 'No pod'} is left running.${keptWords(kept)}` : `${count(open, 'machine')} may still be charged: call list_pods.`}`,
        next: [
          ...(open > 0 || kept.length > 0 || outcome.pod !== undefined
            ? [{ tool: 'list_pods', why: 'See what may still be charged.', arguments: {} }]
            : []),
          ...outcome.attempts
            .slice(-1)
            .flatMap(({ podId, foreignText }) =>
              podId === undefined || foreignText === undefined
                ? []
                : [{ tool: 'diagnose', why: 'See why, with its boot log.', arguments: { podId } }],
            ),
          afterFailure(outcome.attempts),
        ],
      };
    }
  }
}

/** No other offer helps where the account is to blame. */
function afterFailure(attempts: readonly Attempt[]): Next[number] {
  return /^(?:insufficient_credit|auth_rejected|config_missing):/.test(
    attempts.at(-1)?.reason ?? '',
  )
    ? { tool: 'doctor', why: 'See what the account lacks, and tell the user.', arguments: {} }
    : { tool: 'find_offer', why: 'Choose another offer, unless image or login are to blame.' };
}

/** Why the last one failed, in our own words. */
function lastReason(attempts: readonly Attempt[]): string {
  const last = attempts.at(-1);
  return last === undefined ? '' : `Last: ${inSentence(last.reason)}. `;
}
