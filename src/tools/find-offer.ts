import { z } from 'zod';
import { count } from '../core/count.ts';
import { providerNameSchema } from '../core/ids.ts';
import { type Offer, offerSchema } from '../core/offer.ts';
import { offerLine } from './offer-text.ts';
import { names, text } from './params.ts';
import { defineTool, resultShape } from './tool.ts';
import { list, type Next, oneLine, renderResult, usd } from './words.ts';

const positive = z.number().positive();
/** An offer is one line, and none of it may be cut off. */
const LINE_CHARS = 900;

export const findOffer = defineTool({
  name: 'find_offer',
  title: 'Find GPU offers',
  description:
    'Search GPU machines to rent (H100, A100, RTX 4090) over all configured clouds and local rehearsal, cheapest total price (disk included) first. Free, rents nothing. Prices are a snapshot, not a reservation. When nothing matches it names the one filter to relax. Next: show the user the shortlist, then create_pod.',
  effect: 'read',
  input: z.strictObject({
    gpu: names().default([]).describe('Any of: H100, RTX 4090.'),
    gpuCount: z.int().positive().max(64).default(1),
    minVramGb: z.number().nonnegative().default(24).describe('Per GPU, nominal.'),
    diskGb: positive.default(64),
    maxUsdPerHour: positive.exactOptional().describe('Whole pod.'),
    minReliability: z.number().min(0).max(1).default(0.9),
    minCuda: positive.exactOptional(),
    minDownloadMbps: positive.exactOptional(),
    minVcpu: positive.exactOptional(),
    minRamGb: positive.exactOptional(),
    regions: names().default([]),
    providers: z.array(providerNameSchema).default([]).describe('Empty: all configured.'),
    interruptible: z.boolean().default(false).describe('Cheaper, may be taken away.'),
    expectedHours: positive.exactOptional(),
    limit: z.int().min(1).max(50).default(5),
    vastQuery: text(2000).exactOptional().describe('Filter in the language of Vast.ai, ANDed.'),
  }),
  output: z.object({
    offers: z.array(offerSchema),
    applied: z.record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]),
    ),
    relaxations: z.array(z.object({ drop: z.string(), wouldMatch: z.int() })),
    providers: z.array(
      z.object({
        provider: providerNameSchema,
        ok: z.boolean(),
        error: z.string().exactOptional(),
      }),
    ),
    snapshotAt: z.string(),
    notes: z.array(z.string()).exactOptional(),
    ...resultShape,
  }),
  async handle(input, { offers, providerNames, signal, progress }) {
    const found = await offers.find(input, { signal, progress });
    const [best] = found.offers;
    const failed = found.providers.filter(({ ok }) => !ok).map(({ provider }) => provider);
    const gap = failed.length === 0 ? '' : ` No answer from ${failed.join(', ')}.`;
    const cloudsOff = providerNames.some((name) => name !== 'local' && name !== 'ssh')
      ? ''
      : ' No cloud is switched on: with VAST_API_KEY, RUNPOD_API_KEY or LAMBDA_API_KEY in its environment the server rents there.';
    const summary =
      best === undefined
        ? `${gap === '' ? '' : `${gap.trim()} `}${nothingWords(found.providers.length - failed.length, failed.length)}${cloudsOff}${found.relaxations.length > 0 ? ' See relaxations for the filter to drop.' : ''}`
        : best.rehearsal === true
          ? `No GPU offer matches. What is left is a rehearsal without a GPU: ${best.offerId} on this machine, free, for trying the steps only.${cloudsOff} Tell the user.${gap}`
          : `${count(found.offers.length, 'offer')}, best first: ${best.offerId} at ${usd(best.usdPerHour)}/h in all. A reading at ${found.snapshotAt}, not a reservation.${gap}`;
    return {
      offers: [...found.offers],
      snapshotAt: found.snapshotAt,
      ...(found.notes === undefined ? {} : { notes: [...found.notes] }),
      applied: Object.fromEntries(
        Object.entries(found.applied).map(([name, value]) => [
          name,
          typeof value === 'object' ? [...value] : value,
        ]),
      ),
      relaxations: [...found.relaxations],
      providers: found.providers.map(({ provider, ok, error }) => ({
        provider,
        ok,
        ...(error === undefined ? {} : { error }),
      })),
      summary,
      next: nextCalls(input, best, found.relaxations[0]?.drop, failed.length > 0),
    };
  },
  render(result) {
    return renderResult(
      result,
      list(
        result.offers.map((offer) => `${offer.offerId}: ${offerLine(offer)}`),
        50,
        LINE_CHARS,
      ),
      result.notes !== undefined && list(result.notes),
      `Filters in force: ${appliedWords(result.applied)}`,
      list(
        result.relaxations.map(
          ({ drop, wouldMatch }) => `without ${drop}: ${count(wouldMatch, 'offer')}`,
        ),
      ),
      list(
        result.providers
          .filter(({ ok }) => !ok)
          .map(({ provider, error }) => `${provider} failed: ${oneLine(error ?? 'no answer')}`),
      ),
    );
  },
});

/** Of clouds that did not answer nobody knows what they sell. */
function nothingWords(answered: number, failed: number): string {
  if (failed === 0) return 'No offer matches.';
  return answered === 0
    ? 'Whether anything matches is not known.'
    : 'No offer of those that answered matches.';
}

/** What a price depends on goes with the call, so that what is rented is what was shown. */
interface Asked {
  readonly diskGb: number;
  readonly expectedHours?: number | undefined;
}
function nextCalls(
  { diskGb, expectedHours }: Asked,
  best: Offer | undefined,
  drop: string | undefined,
  someFailed: boolean,
): Next {
  if (best === undefined)
    return [
      ...(someFailed
        ? [{ tool: 'doctor', why: 'See why a provider did not answer.', arguments: {} }]
        : []),
      {
        tool: 'find_offer',
        why:
          drop !== undefined
            ? `Search again without ${oneLine(drop, 80)}, if the user agrees.`
            : someFailed
              ? 'Ask the same again in a minute: who did not answer may sell it.'
              : 'Search again with fewer filters.',
      },
    ];
  const { offerId, minBidUsdPerHour, rehearsal } = best;
  if (rehearsal === true)
    return [
      {
        tool: 'create_pod',
        why: 'Only to rehearse on this machine: it has no GPU.',
        arguments: { offerId },
      },
      {
        tool: 'ssh_profile',
        why: 'A GPU machine that the user already has can be used.',
        arguments: { action: 'list' },
      },
    ];
  return [
    {
      tool: 'create_pod',
      why:
        minBidUsdPerHour === undefined
          ? 'Rent an offer after the user has seen the price.'
          : 'Rent it after the user chose a bid: this is the lowest, and the lowest is outbid first.',
      arguments: {
        offerId,
        diskGb,
        ...(minBidUsdPerHour === undefined ? {} : { bidUsdPerHour: minBidUsdPerHour }),
        ...(expectedHours === undefined ? {} : { expectedHours }),
      },
    },
  ];
}

function appliedWords(
  applied: Readonly<Record<string, string | number | boolean | string[]>>,
): string {
  return Object.entries(applied)
    .filter(([, value]) => !Array.isArray(value) || value.length > 0)
    .map(([name, value]) => `${name} ${oneLine(String(value), 120)}`)
    .join(', ');
}
