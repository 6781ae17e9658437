const MOST = 8;

/** What decides whether somebody agrees at all, then what costs beside the price, then what is good to know, then what is only told. */
const WEIGHTS: readonly RegExp[] = [
  /is left out:|stops the meter|spent or reserved|a rehearsal:|without a GPU|balance on|pod ends after|owner ends every rental|taken away/i,
  /charged|goes on costing|failed for us|too small|main job|withdrew|ARM processor|AMD GPU|CUDA/i,
];
const LIGHT =
  /sending data out|taking data in|is added before the order|^the image is|location is not known/i;

/** "vast:1: its owner ..." */
const PREFIXED = /^(?<offer>[a-z]+:[A-Za-z0-9._@/-]{1,100}): (?<text>.*)$/s;
const EGRESS = /^(?<before>sending data out costs )\$(?<usd>[\d.]+)(?<after>.*)$/is;

interface Group {
  readonly offers: string[];
  readonly texts: string[];
  /** Of no offer in particular. */
  isCommon: boolean;
}

/**
 * Notes for the person who agrees: each thing once with the offers it is about, the weightiest first, at most eight lines. `offers`:
 * all candidates. Pure.
 */
export function arrangedNotes(
  notes: readonly string[],
  offers: readonly string[],
): readonly string[] {
  const groups = new Map<string, Group>();
  for (const note of notes) {
    const { offer, text = note } = PREFIXED.exec(note)?.groups ?? {};
    const key = EGRESS.test(text) ? 'egress' : text.toLowerCase();
    const group = groups.get(key) ?? { offers: [], texts: [], isCommon: false };
    groups.set(key, group);
    if (offer === undefined) group.isCommon = true;
    else if (!group.offers.includes(offer)) group.offers.push(offer);
    if (!group.texts.includes(text)) group.texts.push(text);
  }
  const lines = [...groups.values()].map((group) => lineOf(group, offers));
  const sorted = lines
    .map((line, at) => ({ line, at, weight: weightOf(line) }))
    .sort((a, b) => a.weight - b.weight || a.at - b.at)
    .map(({ line }) => line);
  if (sorted.length <= MOST) return sorted;
  const rest = sorted.length - (MOST - 1);
  return [...sorted.slice(0, MOST - 1), `And ${rest} more notes of less weight.`];
}

function lineOf({ offers, texts, isCommon }: Group, all: readonly string[]): string {
  const text = textOf(texts);
  const isOfAll = isCommon || all.every((offer) => offers.includes(offer));
  return isOfAll ? capital(text) : `${offers.join(', ')}: ${text}`;
}

/** Prices of the same thing at several places are one range. */
function textOf(texts: readonly string[]): string {
  const [first = '', ...others] = texts;
  if (others.length === 0) return first;
  const prices = texts.map((text) => EGRESS.exec(text)?.groups?.['usd'] ?? '0');
  const sorted = prices.sort((a, b) => Number(a) - Number(b));
  return first.replace(EGRESS, `$<before>$$${sorted[0] ?? ''} to $$${sorted.at(-1) ?? ''}$<after>`);
}

function weightOf(line: string): number {
  const heavy = WEIGHTS.findIndex((pattern) => pattern.test(line));
  if (heavy !== -1) return heavy;
  return LIGHT.test(line.replace(/^(?:[^ ]+, )*[a-z]+:[^ ]+: /, ''))
    ? WEIGHTS.length + 1
    : WEIGHTS.length;
}

function capital(text: string): string {
  // An id is written as it is.
  if (/^[a-z]+:[A-Za-z0-9]/.test(text)) return text;
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
