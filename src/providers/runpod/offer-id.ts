import { type OfferId, offerIdSchema } from '../../core/ids.ts';

export type Cloud = 'secure' | 'community';

/** What an offer of RunPod is: a cloud, a kind of GPU, where, how many, and how it is paid. */
export interface OfferKey {
  readonly cloud: Cloud;
  /** The id of the GPU in small letters and dashes: "nvidia-geforce-rtx-4090". */
  readonly gpu: string;
  /** Upper case as RunPod writes it; absent: wherever there is one. */
  readonly dataCenterId?: string | undefined;
  readonly gpuCount: number;
  readonly isSpot: boolean;
}

const OFFER =
  /^runpod:(secure|community)\/([a-z0-9-]{2,60})\/(any|[a-z]{2,4}(?:-[a-z0-9]{1,6}){1,3})\/([1-9]\d?)(\/spot)?$/;

/** "runpod:secure/nvidia-geforce-rtx-4090/us-ks-2/1": the same shape has the same id tomorrow. */
export function offerIdOf({ cloud, gpu, dataCenterId, gpuCount, isSpot }: OfferKey): OfferId {
  const where = dataCenterId?.toLowerCase() ?? 'any';
  return offerIdSchema.parse(`runpod:${cloud}/${gpu}/${where}/${gpuCount}${isSpot ? '/spot' : ''}`);
}

/** `undefined`: no offer of RunPod is called so. */
export function offerKeyOf(offerId: OfferId): OfferKey | undefined {
  const [, cloud, gpu, where, count, spot] = OFFER.exec(offerId) ?? [];
  if (gpu === undefined || where === undefined) return undefined;
  return {
    cloud: cloud === 'secure' ? 'secure' : 'community',
    gpu,
    gpuCount: Number(count),
    isSpot: spot !== undefined,
    ...(where === 'any' ? {} : { dataCenterId: where.toUpperCase() }),
  };
}

/** The id of a GPU as it stands in an offer id. */
export function slugOf(gpuId: string): string {
  return gpuId
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 60);
}
