import type { Buffer } from 'node:buffer';
import { type Page, wholeCharacters } from '../core/page.ts';
import { cleanTerminalText } from '../core/untrusted.ts';

/** A cut out of a log: `bytes` begin at `offset`, the log holds `size` bytes now. */
export interface LogCut {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly size: number;
  /** Nothing will be added, so a character cut at the very end is as whole as it gets. */
  readonly complete: boolean;
}

/** The first `maxBytes` of the cut that make whole characters, cleaned for reading; offsets stay those of the raw log. */
export function pageOf(cut: LogCut, maxBytes: number): Page {
  const atEnd = cut.offset + cut.bytes.length >= cut.size;
  const room = cut.bytes.subarray(0, Math.max(4, maxBytes));
  const whole = atEnd && cut.complete && room.length === cut.bytes.length;
  const length = whole ? room.length : wholeCharacters(room);
  const nextOffset = cut.offset + length;
  return {
    output: cleanTerminalText(room.subarray(0, length).toString('utf8')),
    offset: cut.offset,
    nextOffset,
    hasMore: nextOffset < cut.size,
  };
}

/** Only the last `lines` lines of the cut, which must reach to the end of the log. */
export function tailOf(cut: LogCut, lines: number): LogCut {
  let at = cut.bytes.length;
  if (at > 0 && cut.bytes[at - 1] === 0x0a) at -= 1;
  for (let seen = 0; seen < lines && at > 0; seen += 1) {
    const newline = at === 0 ? -1 : cut.bytes.lastIndexOf(0x0a, at - 1);
    if (newline < 0) {
      at = 0;
      break;
    }
    at = newline;
    if (seen === lines - 1) at += 1;
  }
  return { ...cut, bytes: cut.bytes.subarray(at), offset: cut.offset + at };
}

/**
 * The lines of the cut that hold `text` (letter case ignored, no patterns), until `maxBytes` are full. `nextOffset` is
 * where the search goes on.
 */
export function matchesOf(cut: LogCut, text: string, maxBytes: number): Page {
  const needle = text.toLowerCase();
  const found: string[] = [];
  let used = 0;
  let at = 0;
  while (at < cut.bytes.length) {
    const newline = cut.bytes.indexOf(0x0a, at);
    const isLast = newline < 0;
    const end = isLast ? cut.bytes.length : newline + 1;
    // A line that is still being written, or cut by the window, is looked at when it is whole.
    const reachesEnd = cut.offset + end >= cut.size;
    if (isLast && at > 0 && !(reachesEnd && cut.complete)) break;
    const line = cleanTerminalText(cut.bytes.subarray(at, end).toString('utf8')).replace(/\n$/, '');
    if (line.toLowerCase().includes(needle)) {
      const shown = line.slice(0, maxBytes);
      if (found.length > 0 && used + shown.length + 1 > maxBytes) break;
      found.push(shown);
      used += shown.length + 1;
    }
    at = end;
  }
  const nextOffset = cut.offset + at;
  return {
    output: found.map((line) => `${line}\n`).join(''),
    offset: cut.offset,
    nextOffset,
    hasMore: nextOffset < cut.size,
  };
}
