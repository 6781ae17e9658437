import type { Offer } from '../core/offer.ts';
import { oneLine, usd } from './words.ts';

/** One offer on one line, for people: what it is, what it costs in parts, what speaks for it and against it. */
export function offerLine(offer: Offer): string {
  const { vramGb, reliability, downloadMbps, hoursLeft, machineId, cuda, why, warnings } = offer;
  return [
    `${gpuOf(offer)}${vramGb === undefined ? '' : `, ${vramGb} GB VRAM`}`,
    `${offer.vcpu} vCPU, ${offer.ramGb} GB RAM`,
    `${usd(offer.usdPerHour)}/h${partsOf(offer)}, ${offer.pricing}`,
    offer.region,
    reliability !== undefined &&
      why?.includes('reliability') !== true &&
      `reliability ${reliability.toFixed(3)}`,
    downloadMbps !== undefined && `${Math.round(downloadMbps)} Mbps`,
    cuda !== undefined && `CUDA ${cuda}`,
    machineId !== undefined && `machine ${oneLine(machineId, 40)}`,
    hoursLeft !== undefined && `rentable for ${daysOrHours(hoursLeft)}`,
    offer.directSsh === false &&
      warnings?.some((warning) => /proxy/i.test(warning)) !== true &&
      'SSH through a proxy only',
    offer.rehearsal === true && why === undefined && 'rehearsal',
    why !== undefined && oneLine(why),
    warnings !== undefined &&
      warnings.length > 0 &&
      `CAUTION: ${warnings.map((each) => oneLine(each)).join('; ')}`,
  ]
    .filter((part) => part !== false)
    .join(', ');
}

export const gpuOf = ({ gpu, gpuCount }: Offer): string =>
  gpu === undefined ? 'no GPU' : `${gpuCount} x ${oneLine(gpu, 60)}`;

/** What the total consists of and what is not in it. */
function partsOf(offer: Offer): string {
  const { gpuUsdPerHour, diskUsdPerHour, usdPerHourStopped, egressUsdPerGb, ingressUsdPerGb } =
    offer;
  const parts = [
    gpuUsdPerHour !== undefined && `GPU ${usd(gpuUsdPerHour)}`,
    diskUsdPerHour !== undefined && `disk ${usd(diskUsdPerHour)}`,
    usdPerHourStopped !== undefined && `stopped ${usd(usdPerHourStopped)}/h`,
    egressUsdPerGb !== undefined && `sending out ${usd(egressUsdPerGb)}/GB`,
    ingressUsdPerGb !== undefined && `taking in ${usd(ingressUsdPerGb)}/GB`,
    offer.minBidUsdPerHour !== undefined && `lowest bid ${usd(offer.minBidUsdPerHour)}/h`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

export const daysOrHours = (hours: number): string =>
  hours >= 48 ? `${Math.floor(hours / 24)} days` : `${hours.toFixed(1)} h`;
