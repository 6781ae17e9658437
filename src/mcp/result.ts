import type { CallToolResult } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { AppError } from '../core/errors.ts';
import type { Redactor } from '../core/redact.ts';
import { quoteForeign } from '../core/untrusted.ts';
import type { Tool } from '../tools/tool.ts';
import { fence, lines } from '../tools/words.ts';
import { fitResult, MAX_RESULT_CHARS } from './fit-result.ts';

const MAX_ERROR_CHARS = 8_000;
const objectSchema = z.record(z.string(), z.unknown());

/** Parsed by the tool's own schema (which strips what is not declared), redacted, and made to fit. */
export function success(tool: Tool, output: unknown, redactor: Redactor): CallToolResult {
  const parsed = tool.output.parse(output);
  const text = redactor.redact(tool.render(parsed));
  const structuredContent = fitResult(objectSchema.parse(redactor.redactAll(parsed)));
  return { content: [{ type: 'text', text: cut(text, MAX_RESULT_CHARS) }], structuredContent };
}

/**
 * `message` and `hint` are ours; what a machine said comes fenced, last, and only as far as there is room. `notes`: sentences of ours
 * about the pod, after the hint.
 */
export function failure(
  error: AppError,
  redactor: Redactor,
  notes: readonly string[] = [],
): CallToolResult {
  const { code, retryable, retryAfterSeconds } = error;
  const message = cut(redactor.redact(error.message), 1500);
  const hint = [
    cut(redactor.redact(error.hint), 1000),
    ...notes.map((note) => cut(note, 400)),
  ].join(' ');
  const foreign =
    error.foreignText === undefined || error.foreignText === ''
      ? undefined
      : redactor.redact(quoteForeign(redactor.redact(error.foreignText)));
  const build = (foreignText: string | undefined): Record<string, unknown> => ({
    code,
    message,
    hint,
    retryable,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(foreignText === undefined ? {} : { foreignText }),
  });
  const over = JSON.stringify(build(foreign)).length - MAX_ERROR_CHARS;
  const foreignText =
    foreign === undefined || over <= 0 ? foreign : cut(foreign, Math.max(0, foreign.length - over));
  const wait = retryAfterSeconds === undefined ? '' : ` after ${retryAfterSeconds} seconds`;
  const text = lines(
    `${code}: ${message}`,
    hint,
    retryable ? `The same call may succeed${wait}.` : 'The same call will fail again.',
    foreignText !== undefined && fence(foreignText),
  );
  return {
    content: [{ type: 'text', text: cut(text, MAX_ERROR_CHARS) }],
    structuredContent: build(foreignText),
    isError: true,
  };
}

function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const keep = Math.max(0, maxChars - 60);
  return `${text.slice(0, keep)}… [${text.length - keep} characters left out]`;
}
