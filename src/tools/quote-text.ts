import type { Attempt, Quote } from '../core/lease.ts';
import { atMostUsd } from '../core/usd.ts';
import { gpuOf } from './offer-text.ts';
import { duration, fence, lines, list, oneLine, usd } from './words.ts';

/** The money of a quote in half a sentence: rate, what it will probably cost, what it can cost at most. */
export function quotePrice(quote: Quote): string {
  const { usdPerHour, expectedUsd, maxUsd, terms } = quote;
  const expected =
    expectedUsd === undefined || terms.expectedHours === undefined
      ? ''
      : `, about ${usd(expectedUsd)} for ${duration(hoursFor(expectedUsd, usdPerHour, terms.expectedHours) * 3600)}`;
  const kind =
    usdPerHour === 0 ? '' : terms.bidUsdPerHour === undefined ? ' on demand' : ' as a bid';
  return `${usd(usdPerHour)}/h${kind}${expected}, at most ${usd(atMostUsd(maxUsd))} in ${timeWords(quote)}${stoppedWords(quote)}`;
}

/** How long it lasts: what a budget pays for may be less than what was asked for. */
function timeWords({ usdPerHour, terms }: Quote): string {
  const asked = terms.ttlMinutes * 60;
  const { budgetUsd } = terms;
  if (budgetUsd === undefined || usdPerHour === 0) return duration(asked);
  const paid = (budgetUsd / usdPerHour) * 3600;
  return paid >= asked
    ? duration(asked)
    : `${duration(Math.floor(paid))}, when budgetUsd is spent (${duration(asked)} were asked for)`;
}

/** What is stopped at its deadline is charged on: that is not in "at most". */
function stoppedWords({ usdPerHour, terms, offers }: Quote): string {
  if (terms.onExpiry !== 'stop' || usdPerHour === 0) return '';
  const rates = offers.map((offer) => offer.usdPerHourStopped ?? offer.usdPerHour);
  return `, then up to ${usd(Math.max(...rates) * 24)} a day while it is stopped`;
}

/** Deadline or budget may end the pod before the expected time: then the money is for that much. */
const hoursFor = (expectedUsd: number, usdPerHour: number, expectedHours: number): number =>
  usdPerHour === 0 ? expectedHours : Math.min(expectedHours, expectedUsd / usdPerHour);

/** A quote for people: money first, then what is bought with it, then what speaks against it. */
export function quoteText(quote: Quote): string {
  const { quoteId, terms, offers, expiresAt, notes = [] } = quote;
  return lines(
    `Quote ${quoteId}: ${quotePrice(quote)}, ${terms.diskGb} GB disk, then ${terms.onExpiry}. Valid until ${expiresAt}, once.`,
    terms.bidUsdPerHour !== undefined &&
      `Bid: ${usd(terms.bidUsdPerHour)}/h; the machine may be taken away at any time.`,
    terms.volume !== undefined && `Volume: ${oneLine(terms.volume)}`,
    list(
      offers.map(
        (offer) =>
          `${offer.offerId}: ${gpuOf(offer)}, ${offer.region}, ${usd(offer.usdPerHour)}/h${offer.usdPerHourStopped === undefined ? '' : `, stopped ${usd(offer.usdPerHourStopped)}/h`}`,
      ),
    ),
    notes.length > 0 && `Before you agree:\n${list(notes)}`,
  );
}

/** What became of each machine that was tried, with the last it printed as quoted data. */
export function attemptsText(attempts: readonly Attempt[]): string {
  const printed = attempts.map(
    ({ offerId, foreignText }) =>
      foreignText !== undefined && fence(foreignText, `boot log of ${offerId}`),
  );
  return lines('Attempts:', list(attempts.map(attemptLine)), ...printed);
}

function attemptLine({ offerId, podId, stage, seconds, reason, cleanup }: Attempt): string {
  const how = [
    podId,
    stage !== undefined && `reached ${oneLine(stage, 40)}`,
    seconds !== undefined && `after ${duration(seconds)}`,
  ].filter((part) => part !== undefined && part !== false);
  return `${offerId}${how.length === 0 ? '' : ` (${how.join(', ')})`}: ${oneLine(reason)} (cleanup: ${cleanup})`;
}
