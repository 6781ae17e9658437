import type { Operator } from './filter.ts';
import { VastQueryError } from './query-error.ts';

/** One comparison as it was written, with the places of its parts in the text. */
export interface Comparison {
  readonly field: string;
  readonly fieldAt: number;
  readonly operator: Operator;
  readonly value: string;
  readonly valueAt: number;
}

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['=', 'eq'],
  ['==', 'eq'],
  ['eq', 'eq'],
  ['!=', 'neq'],
  ['neq', 'neq'],
  ['noteq', 'neq'],
  ['not eq', 'neq'],
  ['>', 'gt'],
  ['gt', 'gt'],
  ['>=', 'gte'],
  ['gte', 'gte'],
  ['<', 'lt'],
  ['lt', 'lt'],
  ['<=', 'lte'],
  ['lte', 'lte'],
  ['in', 'in'],
  ['notin', 'notin'],
  ['nin', 'notin'],
  ['not in', 'notin'],
]);
const SIGN = /\s*([=<>!]+)/y;
const WORD = /\s+(not\s+eq|not\s+in|noteq|notin|neq|nin|eq|gte|gt|lte|lt|in)(?=[\s["]|$)/iy;
const FIELD = /[A-Za-z0-9_]+/y;
const BARE = /[^\s]+/y;
const MAX_CHARS = 2000;

/** Splits a query into its comparisons. Throws VastQueryError; any text, linear time. */
export function scanQuery(text: string): readonly Comparison[] {
  if (text.length > MAX_CHARS)
    throw new VastQueryError(MAX_CHARS, `it is longer than ${MAX_CHARS} characters.`);
  const comparisons: Comparison[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const field = match(FIELD, text, at)?.[0];
    if (field === undefined)
      throw new VastQueryError(at, 'a field name was expected: letters, digits and "_".');
    const { operator, end } = operatorAt(text, at + field.length);
    const valueAt = skipSpace(text, end);
    const value = valueFrom(text, valueAt);
    comparisons.push({ field, fieldAt: at, operator, value, valueAt });
    at = skipSpace(text, valueAt + value.length);
  }
  return comparisons;
}

function operatorAt(text: string, at: number): { operator: Operator; end: number } {
  const found = match(SIGN, text, at) ?? match(WORD, text, at);
  const start = skipSpace(text, at);
  if (found === undefined)
    throw new VastQueryError(
      start,
      'an operator was expected. Free text does not search; a value with spaces needs double quotes.',
    );
  const written = (found[1] ?? '').toLowerCase().replace(/\s+/, ' ');
  const operator = OPERATORS.get(written);
  if (operator === undefined)
    throw new VastQueryError(start, 'no such operator. There are: = != > >= < <= in notin.');
  return { operator, end: at + found[0].length };
}

/** A value as it is written, quotes and brackets included. */
function valueFrom(text: string, at: number): string {
  const first = text[at];
  if (first === undefined) throw new VastQueryError(at, 'a value was expected.');
  if (first === '"' || first === '[') {
    const close = first === '"' ? '"' : ']';
    const end = text.indexOf(close, at + 1);
    if (end < 0) throw new VastQueryError(at, `this is never closed by a ${close}`);
    return text.slice(at, end + 1);
  }
  const value = match(BARE, text, at)?.[0] ?? '';
  const stray = value.search(/[=<>!]/);
  if (stray >= 0)
    throw new VastQueryError(
      at + stray,
      'an operator inside a value. Comparisons are separated by spaces, not by commas.',
    );
  const mark = value.search(/["'[\]]/);
  if (mark >= 0)
    throw new VastQueryError(
      at + mark,
      'a quote or bracket inside a value. Use double quotes around a whole value, brackets around a whole list.',
    );
  return value;
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? '')) at += 1;
  return at;
}
