import { count } from '../core/count.ts';
import type { Quote } from '../core/lease.ts';
import { cleanTerminalText } from '../core/untrusted.ts';
import { atMostUsd } from '../core/usd.ts';
import { hours } from './cost-notes.ts';
import { catalogueName } from './gpu-catalog.ts';
import { bindingMinutes, usd } from './money.ts';

const SHOWN_NOTES = 8;
const SHOWN_GPUS = 3;
const NOTE_CHARS = 240;

/** What a person is asked before money is spent: amounts and times of our own, and our notes; nothing a provider wrote. */
export function questionOf(quote: Quote): string {
  const { usdPerHour, maxUsd, expectedUsd, terms, offers, notes = [] } = quote;
  const minutes = Math.round(bindingMinutes(terms, usdPerHour));
  const [first] = offers;
  const expected =
    expectedUsd === undefined || terms.expectedHours === undefined
      ? ''
      : usdPerHour > 0 && expectedUsd / usdPerHour < terms.expectedHours - 0.01
        ? `, about ${usd(expectedUsd)} for ${hours(expectedUsd / usdPerHour)} of the ${hours(terms.expectedHours)} expected`
        : `, about ${usd(expectedUsd)} for the ${hours(terms.expectedHours)} expected`;
  const stopped = offers.map((offer) => offer.usdPerHourStopped ?? offer.usdPerHour);
  const later =
    terms.onExpiry === 'stop' && usdPerHour > 0
      ? `, then up to ${usd(Math.max(...stopped) * 24)} a day while it is stopped`
      : '';
  const question = [
    `Rent a pod${gpusOf(offers)} from ${first?.provider ?? 'the provider'} (offer ${terms.offerIds.join(', then ')})`,
    `for at most ${usd(atMostUsd(usdPerHour))} an hour${partsOf(quote)}, ${terms.diskGb} GB disk,`,
    `ends by itself after ${count(minutes, 'minute')} (${terms.onExpiry}): at most ${usd(atMostUsd(maxUsd))} in all${later}${expected}?`,
  ].join(' ');
  const shown = notes.slice(0, SHOWN_NOTES).map((note) => `- ${oneLine(note)}`);
  const more =
    notes.length > shown.length ? [`- and ${notes.length - shown.length} more notes.`] : [];
  return [question, ...shown, ...more].join('\n');
}

/** The GPUs in words of our own catalogue: what a provider writes is never asked of a person. */
function gpusOf(offers: Quote['offers']): string {
  const kinds = offers.flatMap(({ gpu, gpuCount }) =>
    gpuCount === 0 ? [] : [`${gpuCount} x ${catalogueName(gpu ?? '') ?? 'GPU'}`],
  );
  const different = [...new Set(kinds)].slice(0, SHOWN_GPUS);
  return different.length === 0 ? '' : ` with ${different.join(' or ')}`;
}

/** Of one candidate whose price has parts; of several the parts would only confuse. */
function partsOf({ offers, terms }: Quote): string {
  const [only, ...others] = offers;
  if (only?.diskUsdPerHour === undefined || others.length > 0) return '';
  const gpu = terms.bidUsdPerHour ?? only.gpuUsdPerHour;
  return gpu === undefined ? '' : ` (machine ${usd(gpu)}, disk ${usd(only.diskUsdPerHour)})`;
}

function oneLine(note: string): string {
  const line = cleanTerminalText(note).replace(/\s+/g, ' ').trim();
  return line.length <= NOTE_CHARS ? line : `${line.slice(0, NOTE_CHARS)}…`;
}
