import { count } from '../core/count.ts';
import { hostIdOf } from '../core/host.ts';
import type { Offer } from '../core/offer.ts';
import { plain } from './offer-warnings.ts';

const SHOWN_REGIONS = 6;

export interface Shortlisted {
  readonly offer: Offer;
  /** Where the very same is sold at the same price, left out here. */
  readonly elsewhere: readonly string[];
}

/**
 * The first `limit` of ranked offers, in their order. A shape that a cloud sells at one price in many regions takes one place while
 * another shape is there to choose; marketplaces, whose machines differ, are taken as they are.
 */
export function shortlist(ranked: readonly Offer[], limit: number): readonly Shortlisted[] {
  const seen = new Set<string>();
  const firsts: Offer[] = [];
  const twins: Offer[] = [];
  for (const offer of ranked) {
    const shape = shapeOf(offer);
    (shape !== undefined && seen.has(shape) ? twins : firsts).push(offer);
    if (shape !== undefined) seen.add(shape);
  }
  const chosen = new Set([...firsts, ...twins].slice(0, limit));
  const told = new Set<string>();
  return ranked
    .filter((offer) => chosen.has(offer))
    .map((offer) => {
      const shape = shapeOf(offer);
      if (shape === undefined || told.has(shape)) return { offer, elsewhere: [] };
      told.add(shape);
      const left = twins.filter((twin) => !chosen.has(twin) && shapeOf(twin) === shape);
      return { offer, elsewhere: [...new Set(left.map(({ region }) => plain(region)))] };
    });
}

/** ", the same in 4 more regions: a, b" */
export function elsewhereWords(regions: readonly string[]): string {
  if (regions.length === 0) return '';
  const more = regions.length > SHOWN_REGIONS ? ' and more' : '';
  const where = count(regions.length, 'more region');
  return `, the same in ${where}: ${regions.slice(0, SHOWN_REGIONS).join(', ')}${more}`;
}

/** `undefined`: a machine of its own. */
function shapeOf(offer: Offer): string | undefined {
  if (hostIdOf(offer) !== undefined || offer.rehearsal === true) return undefined;
  const { provider, gpu, gpuCount, vramGb, vcpu, ramGb, pricing, usdPerHour } = offer;
  const { warnings = [] } = offer;
  return JSON.stringify([
    ...[provider, gpu, gpuCount, vramGb, vcpu, ramGb, pricing],
    usdPerHour.toFixed(4),
    warnings,
  ]);
}
