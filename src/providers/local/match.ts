import type { Offer, OfferQuery } from '../../core/offer.ts';

/**
 * Whether a local offer answers the query. A rehearsal has no GPU and takes the disk as it is, so it is exempt from
 * those filters.
 */
export function matches(offer: Offer, query: OfferQuery): boolean {
  if (offer.vcpu < (query.minVcpu ?? 0) || offer.ramGb < (query.minRamGb ?? 0)) return false;
  if (query.interruptible) return offer.rehearsal === true;
  if (offer.rehearsal) return true;
  const name = (offer.gpu ?? '').toLowerCase().replace(/[^a-z0-9]/g, '');
  const isWanted =
    query.gpu.length === 0 ||
    query.gpu.some((wanted) => name.includes(wanted.toLowerCase().replace(/[^a-z0-9]/g, '')));
  return (
    isWanted &&
    offer.gpuCount >= query.gpuCount &&
    (offer.vramGb ?? 0) >= query.minVramGb &&
    offer.diskGb >= query.diskGb
  );
}
