import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { JobId } from '../core/ids.ts';
import type { Page } from '../core/page.ts';
import type { nextSchema } from './tool.ts';

/* How facts become text. Pure. */

export type Next = z.input<typeof nextSchema>;

export function usd(amount: number): string {
  return `$${amount.toFixed(amount >= 100 || amount === 0 ? 2 : amount >= 0.1 ? 2 : 4)}`;
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(1)} kB`;
  if (count < 1_000_000_000) return `${(count / 1_000_000).toFixed(1)} MB`;
  return `${(count / 1_000_000_000).toFixed(2)} GB`;
}

/**
 * Foreign text between two lines that it cannot contain: the boundary is a digest of the text itself, so nobody who
 * writes the text can know it.
 */
export function fence(output: string, source = 'remote output'): string {
  if (output === '') return `(no ${source})`;
  const id = createHash('sha256').update(output).digest('hex').slice(0, 16);
  return `--- ${source} ${id} ---\n${output}\n--- end ${id} ---`;
}

/** A page with our own notes in brackets around it. */
export function renderPage({ output, offset, nextOffset, hasMore }: Page): string {
  const more = hasMore ? `more from offset ${nextOffset}` : `end at ${nextOffset}`;
  return `[bytes ${offset} to ${nextOffset}; ${more}]\n${fence(output)}`;
}

/** Lines, without those that have nothing to say. */
export function lines(...parts: readonly (string | false | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== false && part !== '').join('\n');
}

/** A list for people: the first `limit` lines and how many more there are. */
export function list(items: readonly string[], limit = 20, maxChars = 300): string {
  const shown = items.slice(0, limit).map((item) => `- ${oneLine(item, maxChars)}`);
  return [...shown, ...(items.length > limit ? [`- … ${items.length - limit} more`] : [])].join(
    '\n',
  );
}

/** A name or reason that may be foreign: on one line, so that it cannot pretend to be a line of ours. */
export function oneLine(value: string, maxChars = 300): string {
  const flat = value.replace(/\s+/g, ' ').trim();
  return flat.length <= maxChars ? flat : `${flat.slice(0, maxChars)}…`;
}

/** The one way past the gate of `destroy`; a person decides. */
export const GIVE_UP =
  'A file that will never exist can only be given up: ask the user, then destroy with discardUnfetched and their reason.';

/** Our own sentence, to stand inside another one. */
export const inSentence = (sentence: string): string => oneLine(sentence).replace(/\.$/, '');

/** The call that brings the results of a job home, complete as it stands. */
export function fetchCall(jobId: JobId, why: string): Next[number] {
  return { tool: 'fetch_artifacts', why, arguments: { jobId, localPath: `results/${jobId}` } };
}

/** Of a job whose pod is gone: what it made is home, or nowhere. */
export function reportCall(jobId: JobId): Next[number] {
  return {
    tool: 'report',
    why: 'See what of it is home, where, and what is not.',
    arguments: { jobId },
  };
}

/** Another fetch brings the same bytes: only the job can make a whole file. */
export function brokenCall(jobId: JobId): Next[number] {
  return {
    tool: 'job_logs',
    why: 'A result is broken as the job wrote it: see why, then run the job again, or ask the user whether to give it up.',
    arguments: { jobId },
  };
}

/** `summary`, the body, then the suggested calls: the order of every text. */
export function renderResult(
  { summary, next }: { readonly summary: string; readonly next: Next },
  ...body: readonly (string | false | undefined)[]
): string {
  const calls = next.map(
    ({ tool, why, arguments: args }) =>
      `- ${tool}${args === undefined ? '' : ` ${JSON.stringify(args)}`}: ${why}`,
  );
  return lines(summary, ...body, calls.length > 0 && `Next:\n${calls.join('\n')}`);
}

/** Sentences of our own behind a summary. */
export function told(sentences: readonly string[] = []): string {
  return sentences.map((sentence) => ` ${sentence}`).join('');
}
