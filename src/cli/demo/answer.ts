import { z } from 'zod';
import { errorResult, summaryResult } from './results.ts';
import type { ToolAnswer } from './server.ts';
import { ExpectationError } from './step.ts';

export interface ReadAnswer<T> {
  readonly summary: string;
  readonly data: T;
}

/** Reads one result, or says what was wrong with it: an error result in its own words, else the field that does not fit. */
export function readAnswer<T extends z.ZodType>(
  tool: string,
  answer: ToolAnswer,
  schema: T,
): ReadAnswer<z.output<T>> {
  if (answer.isError) {
    const error = errorResult.safeParse(answer.data);
    const said = error.success
      ? `${error.data.code}: ${error.data.message} ${error.data.hint}`
      : 'an error without a code';
    throw new ExpectationError(`${tool} to succeed; it answered ${said}`);
  }
  const summary = summaryResult.safeParse(answer.data);
  const data = schema.safeParse(answer.data);
  if (summary.success && data.success) return { summary: summary.data.summary, data: data.data };
  const problem = summary.success ? data.error : summary.error;
  const where = problem === undefined ? '' : z.prettifyError(problem).replace(/\s+/g, ' ');
  throw new ExpectationError(`${tool} to answer in its documented shape; ${where}`);
}
