import { Buffer } from 'node:buffer';
import type { Redactor } from '../core/redact.ts';
import type { Look, LookRequest } from './look.ts';
import { TAIL_BYTES } from './pod-shell.ts';

/** Asks also for what lies around the page, so that a secret across its edge is seen whole. */
export function widened(request: LookRequest, { longestBytes }: Redactor): LookRequest {
  const { offset, maxBytes } = request;
  if (maxBytes === 0 || longestBytes === 0) return request;
  const before = leadOf(request, longestBytes);
  return { ...request, offset: offset - before, maxBytes: maxBytes + before + longestBytes };
}

/** What may be shown of a look that `widened` asked for: known secrets masked in their place, the page as it was asked for. */
export function maskedLook(look: Look, request: LookRequest, redactor: Redactor): Look {
  const { state, bytes, offset, size } = look;
  const [stdoutTail, stderrTail] = [look.stdoutTail, look.stderrTail].map((tail) =>
    redactor.redact(wholeLines(tail)),
  );
  const texts = { stdoutTail: stdoutTail ?? '', stderrTail: stderrTail ?? '' };
  // A page from the end is of the last bytes; else the log may have been shorter than the offset.
  const start =
    request.offset < 0
      ? Math.max(0, size - request.maxBytes - offset)
      : Math.min(Math.max(0, request.offset - offset), bytes.length);
  const masked = redactor.mask(bytes, start);
  const isLive = ['running', 'orphan', 'fresh'].includes(state) || offset + bytes.length < size;
  const end = masked.pageEnd(start, Math.min(bytes.length, start + request.maxBytes), isLive);
  return { ...look, ...texts, bytes: masked.bytes.subarray(start, end), offset: offset + start };
}

function leadOf({ offset }: LookRequest, longestBytes: number): number {
  return offset < 0 ? 0 : Math.min(offset, longestBytes);
}

/** A tail that was cut may begin within a secret: its first line is left out, unless it is all there is. */
function wholeLines(tail: string): string {
  const isCut = Object.values(TAIL_BYTES).some((limit) => Buffer.byteLength(tail) === limit);
  return isCut ? tail.slice(tail.search(/[\r\n]/) + 1) : tail;
}
