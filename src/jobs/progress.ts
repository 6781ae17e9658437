import type { z } from 'zod';
import type { progressSchema } from '../core/job.ts';

export type Progress = z.output<typeof progressSchema>;

const MAX_LINES = 40;
const MAX_LINE_CHARS = 300;
/* Every repetition is bounded and every line is short: no input makes these slow. */
const BAR = /(\d{1,3})%\|[^|]{0,120}\|\s{0,4}(\d{1,12})\/(\d{1,12})(?:[^<\n]{0,24}<([\d:]{4,12}))?/;
const OF =
  /\b(step|iteration|iter|epoch|batch|sample|file|frame|chunk|task)s?\b[\s:=#[(]{0,4}(\d{1,12})\s{0,2}(?:\/|of)\s{0,2}(\d{1,12})/gi;
const ALONE = /\b(step|iteration|iter|epoch)s?\b[\s:=#[(]{0,4}(\d{1,12})\b(?!\s?\/)/i;
/** "eta 13s", "ETA: 1h02m", "eta=01:30". */
const ETA =
  /\b(?:eta|time left|remaining)\b[\s:=]{0,3}(?:(\d{1,4}(?::\d{2}){1,2})|((?:\d{1,6}(?:\.\d{1,3})?\s?(?:h|min|m|sec|s)[a-z]{0,6}\s?){1,3}))/i;
/** Earlier than this the start of the program weighs more than its pace. */
const EARLY_PERCENT = 5;
const EARLY_SECONDS = 300;
const PERCENT = /(?:^|[\s[(])(\d{1,3})(?:\.\d{1,4})?\s?%/;

/**
 * How far the job says it is, from the newest of its last lines that says so. `runtimeSeconds` gives the estimate of
 * the time left when the line has none.
 */
export function progressFrom(text: string, runtimeSeconds?: number): Progress | undefined {
  const lines = text.split(/[\r\n]+/).slice(-MAX_LINES - 1);
  for (const line of lines.reverse()) {
    const progress = progressOfLine(line.slice(-MAX_LINE_CHARS));
    if (progress !== undefined) return withEta(withOwnEta(progress, line), runtimeSeconds);
  }
  return undefined;
}

function progressOfLine(line: string): Progress | undefined {
  const bar = BAR.exec(line);
  if (bar !== null) {
    const known = whole('step', Number(bar[2]), Number(bar[3]));
    const eta = secondsFrom(bar[4]);
    if (known !== undefined) return eta === undefined ? known : { ...known, etaSeconds: eta };
  }
  const counts = [...line.matchAll(OF)].flatMap(([, unit, done, total]) => {
    const known = whole(unitOf(unit ?? 'step'), Number(done), Number(total));
    return known === undefined ? [] : [known];
  });
  const epoch = counts.find((known) => known.unit === 'epoch');
  const inner = counts.find((known) => known.unit !== 'epoch');
  if (epoch?.total !== undefined && inner?.percent !== undefined && epoch.done >= 1) {
    const share = (epoch.done - 1 + inner.percent / 100) / epoch.total;
    return { ...inner, percent: rounded(Math.min(share, 1) * 100) };
  }
  const known = inner ?? epoch;
  if (known !== undefined) return known;
  const percent = PERCENT.exec(line);
  if (percent !== null && Number(percent[1]) <= 100)
    return { done: Number(percent[1]), total: 100, unit: 'percent', percent: Number(percent[1]) };
  const alone = ALONE.exec(line);
  return alone === null ? undefined : { done: Number(alone[2]), unit: unitOf(alone[1] ?? 'step') };
}

function whole(unit: string, done: number, total: number): Progress | undefined {
  if (total <= 0 || done > total) return undefined;
  return { done, total, unit, percent: rounded((done / total) * 100) };
}

function withEta(progress: Progress, runtimeSeconds: number | undefined): Progress {
  const { percent, etaSeconds } = progress;
  if (etaSeconds !== undefined || percent === undefined || percent <= 0) return progress;
  if (runtimeSeconds === undefined || runtimeSeconds <= 0) return progress;
  if (percent < EARLY_PERCENT && runtimeSeconds < EARLY_SECONDS) return progress;
  return { ...progress, etaSeconds: Math.round((runtimeSeconds * (100 - percent)) / percent) };
}

/** What the job itself says is left, on the same line. */
function withOwnEta(progress: Progress, line: string): Progress {
  if (progress.etaSeconds !== undefined) return progress;
  const found = ETA.exec(line.slice(-MAX_LINE_CHARS));
  if (found === null) return progress;
  const parts = [...(found[2] ?? '').matchAll(/(\d{1,6}(?:\.\d{1,3})?)\s?(h|m|s)/gi)];
  const spoken = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (SECONDS_OF[(unit ?? 's').toLowerCase()] ?? 1),
    0,
  );
  const etaSeconds = secondsFrom(found[1]) ?? Math.round(spoken);
  return { ...progress, etaSeconds };
}
const SECONDS_OF: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** "01:02:03" or "02:03". */
function secondsFrom(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,4}(?::\d{2}){1,2}$/.test(text)) return undefined;
  return text.split(':').reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

function unitOf(word: string): string {
  const unit = word.toLowerCase();
  return unit === 'iter' ? 'iteration' : unit;
}

function rounded(percent: number): number {
  return Math.round(percent * 10) / 10;
}
