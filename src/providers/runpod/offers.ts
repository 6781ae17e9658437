import type { Offer, OfferQuery } from '../../core/offer.ts';
import { quoteForeign } from '../../core/untrusted.ts';
import { type AvailabilityRow, availabilityRows, ranked } from './availability.ts';
import type { Catalog } from './catalog.ts';
import { offerIdOf, slugOf } from './offer-id.ts';
import { disksFor, diskUsdPerHour, stoppedUsdPerHour } from './prices.ts';

/** What RunPod itself takes for the least, where it does not tell: per GPU. */
const LEAST = { vcpu: 2, ramGb: 8 };
/** The largest disk that is sold; a machine may have less, and then the order is refused. */
const LARGEST_DISK_GB = 4000;

export interface OfferTerms {
  readonly diskGb: number;
  readonly interruptible: boolean;
  /** 0: every number that is there. */
  readonly gpuCount: number;
}

/** What fits the search. Places are told apart only where the search asks for a GPU or a region: otherwise each kind appears once. */
export function offersOf(
  catalog: Catalog,
  query: OfferQuery,
  failedStorage: ReadonlySet<string>,
): readonly Offer[] {
  const isDetailed = query.gpu.length > 0 || query.regions.length > 0 || query.gpuCount === 0;
  return ranked(availabilityRows(catalog, failedStorage))
    .filter((row) => row.isAvailable && (row.dataCenter === undefined || isDetailed))
    .flatMap((row) => countsOf(row, query.gpuCount).map((count) => toOffer(row, count, query)))
    .filter((offer) => offer !== undefined);
}

function countsOf({ price }: AvailabilityRow, wanted: number): readonly number[] {
  const { counts, mostGpus } = price;
  const there = counts ?? [1, 2, 4, 8].filter((count) => count <= mostGpus);
  if (wanted === 0) return there.filter((count) => count >= 1 && count <= 99);
  return (counts === undefined ? wanted <= mostGpus : counts.includes(wanted)) ? [wanted] : [];
}

/** `undefined`: it is not sold by bids. */
export function toOffer(
  row: AvailabilityRow,
  gpuCount: number,
  { diskGb, interruptible, gpuCount: asked }: OfferTerms,
): Offer | undefined {
  const { gpu, cloud, price, dataCenter } = row;
  const bid = price.leastBidPerGpu;
  if (interruptible && bid === undefined) return undefined;
  const disks = disksFor(diskGb, false);
  const diskUsd = diskUsdPerHour(disks);
  const gpuUsd = (interruptible ? (bid ?? 0) : price.usdPerGpu) * gpuCount;
  // What is told is for the number that was asked for.
  const scale = asked === 0 ? gpuCount : 1;
  const warnings = warningsOn(row);
  return {
    offerId: offerIdOf({
      cloud,
      gpu: slugOf(gpu.id),
      dataCenterId: dataCenter?.id,
      gpuCount,
      isSpot: interruptible,
    }),
    provider: 'runpod',
    gpu: quoteForeign(gpu.name, 80),
    gpuCount,
    vramGb: gpu.vramGb,
    vcpu: price.vcpu === undefined ? LEAST.vcpu * gpuCount : price.vcpu * scale,
    ramGb: price.ramGb === undefined ? LEAST.ramGb * gpuCount : price.ramGb * scale,
    diskGb: LARGEST_DISK_GB,
    region: regionOf(row),
    pricing: interruptible ? 'interruptible' : 'on_demand',
    usdPerHour: gpuUsd + diskUsd,
    gpuUsdPerHour: gpuUsd,
    diskUsdPerHour: diskUsd,
    usdPerHourStopped: stoppedUsdPerHour(disks),
    egressUsdPerGb: 0,
    ingressUsdPerGb: 0,
    directSsh: true,
    ...(interruptible ? { minBidUsdPerHour: gpuUsd } : {}),
    ...(price.cuda === undefined ? {} : { cuda: price.cuda }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

function regionOf({ cloud, dataCenter }: AvailabilityRow): string {
  if (dataCenter === undefined) return `any (${cloud} cloud)`;
  const place = quoteForeign(dataCenter.place, 40);
  return place === '' || place === dataCenter.id ? dataCenter.id : `${dataCenter.id}, ${place}`;
}

function warningsOn({ cloud, stock, isCreatable, dataCenter, storage }: AvailabilityRow): string[] {
  return [
    ...(stock === 'low' ? ['Stock is low: the order may be refused.'] : []),
    ...(cloud === 'community' ? ['Community cloud: the machine of a private owner.'] : []),
    ...(isCreatable ? [] : ['This data center shows stock but takes no new pods.']),
    ...(dataCenter !== undefined && storage === 'failed'
      ? ['A volume was refused there in the last 24 hours.']
      : []),
    ...(dataCenter !== undefined && storage === 'unsupported' ? ['No network volumes there.'] : []),
  ];
}

/** The row that an offer id means, in a reading of now. `undefined`: RunPod sells no such thing any more. */
export function rowFor(
  rows: readonly AvailabilityRow[],
  key: { readonly cloud: string; readonly gpu: string; readonly dataCenterId?: string | undefined },
): AvailabilityRow | undefined {
  return rows.find(
    ({ gpu, cloud, dataCenter }) =>
      cloud === key.cloud && slugOf(gpu.id) === key.gpu && dataCenter?.id === key.dataCenterId,
  );
}
