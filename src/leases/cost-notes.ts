import { count } from '../core/count.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import { bindingMinutes, usd } from './money.ts';

/** As cheap as not to mention, US dollars per GB. */
const SMALL_EGRESS_USD = 0.002;
/** A run takes longer than it was thought to (OF-16). */
export const SPARE_TIME = 1.5;

/** What these offers cost beside the hourly price, and clocks that end them before the terms do (OF-16, OF-20, CO-09). */
export function costNotes(terms: Terms, offers: readonly Offer[]): readonly string[] {
  const many = offers.length > 1;
  const isMixed = offers.some(({ rehearsal }) => rehearsal !== true);
  return offers.flatMap((offer) =>
    notesOf(terms, offer, isMixed).map((note) =>
      many ? `${offer.offerId}: ${note}` : capital(note),
    ),
  );
}

function notesOf(terms: Terms, offer: Offer, isMixed: boolean): readonly string[] {
  const { expectedHours } = terms;
  const usdPerHour = terms.bidUsdPerHour ?? offer.usdPerHour;
  const plannedHours = bindingMinutes(terms, usdPerHour) / 60;
  const { hoursLeft, egressUsdPerGb = 0, ingressUsdPerGb = 0, usdPerHourStopped } = offer;
  const wantedHours =
    expectedHours === undefined ? plannedHours : Math.max(plannedHours, expectedHours * SPARE_TIME);
  return [
    ...(expectedHours !== undefined && expectedHours > plannedHours + 0.001
      ? [
          `the pod ends after ${hours(plannedHours)} by its deadline or budget; ${hours(expectedHours)} are expected.`,
        ]
      : []),
    ...(hoursLeft !== undefined && hoursLeft < wantedHours
      ? [`its owner ends every rental in ${hours(hoursLeft)}, sooner than the pod may be needed.`]
      : []),
    ...(terms.onExpiry === 'stop' && usdPerHourStopped !== undefined && usdPerHour > 0
      ? [`stopped, it goes on costing ${usd(usdPerHourStopped * 24)} a day.`]
      : []),
    ...(egressUsdPerGb > SMALL_EGRESS_USD
      ? [`sending data out costs ${usd(egressUsdPerGb)} a GB on top of the price.`]
      : []),
    ...(ingressUsdPerGb > SMALL_EGRESS_USD
      ? [`taking data in (images, models, your files) costs ${usd(ingressUsdPerGb)} a GB on top.`]
      : []),
    ...(offer.pricing === 'interruptible'
      ? [
          'it may be taken away at any time, when somebody bids more; its disk is charged meanwhile.',
        ]
      : []),
    ...(offer.rehearsal === true && isMixed
      ? ['it is a rehearsal on this machine, without a GPU: taken only when all before it fail.']
      : []),
    ...(offer.warnings ?? []),
  ];
}

export function hours(number: number): string {
  if (number < 1) return count(Math.round(number * 60), 'minute');
  return number < 48 ? `${Number(number.toFixed(1))} h` : count(Math.floor(number / 24), 'day');
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
