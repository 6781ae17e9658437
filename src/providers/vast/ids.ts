import { localPartOf, type OfferId, type PodId, podIdSchema, providerOf } from '../../core/ids.ts';

/** The number of a pod or an offer at Vast.ai; `undefined` for an id that Vast.ai never gives. */
export function numberOf(id: PodId | OfferId): number | undefined {
  return providerOf(id) === 'vast' ? numberIn(localPartOf(id)) : undefined;
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
