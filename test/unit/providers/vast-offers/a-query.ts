import type { OfferQuery } from '../../../../src/core/offer.ts';

/** The defaults of find_offer. */
export function aQuery(changes: Partial<OfferQuery> = {}): OfferQuery {
  return {
    gpu: [],
    gpuCount: 1,
    minVramGb: 24,
    diskGb: 64,
    minReliability: 0.9,
    regions: [],
    interruptible: false,
    ...changes,
  };
}
