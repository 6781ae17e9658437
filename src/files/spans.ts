/** Bytes from `start` to before `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** `spans` and one more, in order, none touching another. */
export function addSpan(spans: readonly Span[], { start, end }: Span): readonly Span[] {
  if (end <= start) return spans;
  const apart = spans.filter((one) => one.end < start || one.start > end);
  const touching = spans.filter((one) => one.end >= start && one.start <= end);
  const merged = {
    start: Math.min(start, ...touching.map((one) => one.start)),
    end: Math.max(end, ...touching.map((one) => one.end)),
  };
  return [...apart, merged].toSorted((one, other) => one.start - other.start);
}

/** What of `bytes` is in none of the spans, which are in order and apart. */
export function gapsOf(spans: readonly Span[], bytes: number): readonly Span[] {
  const gaps: Span[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    if (start > at) gaps.push({ start: at, end: start });
    at = Math.max(at, end);
  }
  if (at < bytes) gaps.push({ start: at, end: bytes });
  return gaps;
}

/** How far the bytes from `at` on are all there. */
export function reachOf(spans: readonly Span[], at: number): number {
  return spans.find(({ start, end }) => start <= at && at < end)?.end ?? at;
}

export function spanLine({ start, end }: Span): string {
  return `${start} ${end}\n`;
}

/** What a journal of `spanLine`s says is there. Lines that were cut or make no sense for `bytes` count for nothing. */
export function parseSpans(text: string, bytes: number): readonly Span[] {
  let spans: readonly Span[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const [, start, end] = /^(\d{1,15}) (\d{1,15})$/.exec(line) ?? [];
    if (start === undefined || end === undefined || Number(end) > bytes) continue;
    spans = addSpan(spans, { start: Number(start), end: Number(end) });
  }
  return spans;
}
