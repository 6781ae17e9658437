import {
  localPartOf,
  type OfferId,
  offerIdSchema,
  type PodId,
  podIdSchema,
  providerOf,
} from '../../core/ids.ts';

/** The number of a pod at Vast.ai; `undefined` for an id that Vast.ai never gives. */
export function numberOf(id: PodId): number | undefined {
  return providerOf(id) === 'vast' ? numberIn(localPartOf(id)) : undefined;
}

const BID = '/bid';
export interface Ask {
  readonly ask: number;
  /** To be rented by a bid. At Vast.ai the number is that of the on-demand offer; only our id tells them apart. */
  readonly isBid: boolean;
}
/** "vast:123" or "vast:123/bid"; `undefined` for an id that is neither. */
export function askOf(offerId: OfferId): Ask | undefined {
  if (providerOf(offerId) !== 'vast') return undefined;
  const local = localPartOf(offerId);
  const isBid = local.endsWith(BID);
  const ask = numberIn(isBid ? local.slice(0, -BID.length) : local);
  return ask === undefined ? undefined : { ask, isBid };
}
export function offerIdOf(ask: number | string, isBid: boolean): OfferId {
  return offerIdSchema.parse(`vast:${ask}${isBid ? BID : ''}`);
}
export function podIdOf(contract: number): PodId {
  return podIdSchema.parse(`vast:${contract}`);
}

/** "vast:V.881", "V.881" or "881": how people, tools and Vast.ai write volumes. */
export function volumeNumberOf(text: string): number | undefined {
  return numberIn(text.replace(/^vast:/, '').replace(/^V\./, ''));
}
export function volumeIdOf(volume: number): PodId {
  return podIdSchema.parse(`vast:V.${volume}`);
}

function numberIn(text: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}
