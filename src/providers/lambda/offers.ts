import type { CallOptions } from '../../core/call.ts';
import type { OfferId } from '../../core/ids.ts';
import type { Offer, OfferQuery } from '../../core/offer.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import type { LambdaApi } from './api.ts';
import { gpuOf } from './gpu.ts';
import { offerIdOf, type Shape, shapeOf } from './ids.ts';
import type { InstanceType, TypeItem } from './wire.ts';

/** Above this an hourly price is a misreading. */
const MAX_USD_PER_HOUR = 10_000;

/** One offer for each type and region that Lambda says it has free, cheapest first. There is nothing to bid on. */
export async function listLambdaOffers(
  api: Pick<LambdaApi, 'types'>,
  query: OfferQuery,
  options: CallOptions & { readonly patienceSeconds?: number },
): Promise<readonly Offer[]> {
  if (query.interruptible) return [];
  const types = await api.types(options);
  return [...types.values()]
    .flatMap(offersOf)
    .filter((offer) => isFitting(offer, query))
    .sort((a, b) => a.usdPerHour - b.usdPerHour);
}

/** What is still free of these, at the price of now. */
export async function getLambdaOffers(
  api: Pick<LambdaApi, 'types'>,
  offerIds: readonly OfferId[],
  { diskGb, interruptible }: { readonly diskGb: number; readonly interruptible: boolean },
  options: CallOptions,
): Promise<readonly Offer[]> {
  const shapes = offerIds.flatMap((id) => shapeOf(id) ?? []);
  if (interruptible || shapes.length === 0) return [];
  const types = await api.types(options);
  return shapes.flatMap((shape) => {
    const found = offerIn(types, shape);
    return found !== undefined && found.diskGb >= diskGb ? found : [];
  });
}

/** The offer of a shape; `undefined`: the type is unknown or nothing of it is free in that region. */
export function offerIn(types: ReadonlyMap<string, TypeItem>, shape: Shape): Offer | undefined {
  const offers = [...types.values()]
    .filter(({ instance_type: { name } }) => name === shape.type)
    .flatMap(offersOf);
  return offers.find(({ offerId }) => offerId === offerIdOf(shape));
}

function offersOf({ instance_type: type, regions_with_capacity_available: regions }: TypeItem) {
  return regions.flatMap((region) => toOffer(type, region.name, region.description ?? '') ?? []);
}

/** `undefined`: no GPU, an id that nobody could give back, or a price that cannot be true. Pure. */
export function toOffer(type: InstanceType, region: string, place: string): Offer | undefined {
  const offerId = offerIdOf({ type: type.name, region });
  const gpu = gpuOf(type);
  const usdPerHour = type.price_cents_per_hour / 100;
  const { vcpus, memory_gib: ramGb, storage_gib: diskGb, gpus } = type.specs;
  if (offerId === undefined || gpu === undefined) return undefined;
  if (usdPerHour <= 0 || usdPerHour > MAX_USD_PER_HOUR) return undefined;
  if (vcpus <= 0 || ramGb <= 0 || diskGb <= 0) return undefined;
  return {
    offerId,
    provider: 'lambda',
    gpu: gpu.name,
    gpuCount: gpus,
    ...(gpu.vramGb === undefined ? {} : { vramGb: gpu.vramGb }),
    vcpu: vcpus,
    ramGb,
    diskGb,
    region: regionOf(region, place),
    pricing: 'on_demand',
    usdPerHour,
    gpuUsdPerHour: usdPerHour,
    diskUsdPerHour: 0,
    egressUsdPerGb: 0,
    ingressUsdPerGb: 0,
    directSsh: true,
    warnings: [
      'Lambda cannot stop a pod: it is charged in full until it is destroyed.',
      ...(gpu.isArm ? ['ARM processor: programs built for x86 do not run on it.'] : []),
    ],
  };
}

/** "us-west-1 (California, USA)": codes alone say no country. */
function regionOf(region: string, place: string): string {
  const shown = quoteForeign(place, 60).replace(/[^\p{L}\p{N} ,.-]/gu, '');
  const country = shown.endsWith('USA') ? `${shown}, US` : shown;
  return shown === '' ? region : `${region} (${country})`;
}

/** Only what is certain: the rest is filtered, and counted, by whoever asks. */
function isFitting(offer: Offer, { diskGb }: OfferQuery): boolean {
  return offer.diskGb >= diskGb;
}
