import type { Json } from './answers.ts';
import { isObject, numberOf } from './foreign.ts';

export const OPERATORS = ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'in', 'notin'] as const;
export type Operator = (typeof OPERATORS)[number];

export const isOperator = (name: string): name is Operator =>
  OPERATORS.some((operator) => operator === name);

/** `wanted` in the type of the column: numbers and booleans may be sent as text, underscores stand for spaces. */
function coerced(actual: unknown, wanted: unknown): unknown {
  if (typeof actual === 'number') {
    if (typeof wanted === 'boolean') return wanted ? 1 : 0;
    return numberOf(wanted) ?? wanted;
  }
  if (typeof actual === 'boolean') {
    const word = String(wanted).toLowerCase();
    if (word === 'true' || word === '1') return true;
    if (word === 'false' || word === '0') return false;
    return wanted;
  }
  if (typeof actual === 'string')
    return typeof wanted === 'string' ? wanted.replaceAll('_', ' ') : String(wanted);
  return wanted;
}

const plain = (value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll('_', ' ') : value;

function equal(actual: unknown, wanted: unknown): boolean {
  if (actual === null || actual === undefined) return wanted === null;
  return wanted !== null && plain(actual) === plain(coerced(actual, wanted));
}

function compared(actual: unknown, wanted: unknown): number | undefined {
  if (actual === null || actual === undefined || wanted === null) return undefined;
  const other = coerced(actual, wanted);
  if (typeof actual === 'number' && typeof other === 'number') return actual - other;
  if (typeof actual === 'boolean' && typeof other === 'boolean')
    return Number(actual) - Number(other);
  if (typeof actual === 'string' && typeof other === 'string')
    return actual < other ? -1 : actual > other ? 1 : 0;
  return undefined;
}

/** Whether a column's value passes one condition; an unknown value (`null`) passes no comparison, as in SQL. */
export function passes(actual: unknown, operator: Operator, wanted: unknown): boolean {
  const order = (test: (difference: number) => boolean): boolean => {
    const difference = compared(actual, wanted);
    return difference !== undefined && test(difference);
  };
  const known = actual !== null && actual !== undefined;
  const among = (): boolean =>
    (Array.isArray(wanted) ? wanted : [wanted]).some((one: unknown) => equal(actual, one));
  switch (operator) {
    case 'eq':
      return equal(actual, wanted);
    case 'neq':
      return wanted === null ? known : known && !equal(actual, wanted);
    case 'gt':
      return order((difference) => difference > 0);
    case 'gte':
      return order((difference) => difference >= 0);
    case 'lt':
      return order((difference) => difference < 0);
    case 'lte':
      return order((difference) => difference <= 0);
    case 'in':
      return among();
    case 'notin':
      return known && !among();
  }
}

/** One condition of a filter object. */
export interface Condition {
  readonly column: string;
  readonly operator: Operator;
  readonly wanted: unknown;
}

/** `{column: {operator: value}}` as conditions; the first word that is no operator is answered instead. */
export function conditionsOf(
  filters: Json,
): { readonly conditions: readonly Condition[] } | { readonly badOperator: string } {
  const conditions: Condition[] = [];
  for (const [column, tests] of Object.entries(filters)) {
    if (!isObject(tests)) continue;
    for (const [operator, wanted] of Object.entries(tests)) {
      if (!isOperator(operator)) return { badOperator: operator };
      conditions.push({ column, operator, wanted });
    }
  }
  return { conditions };
}

/** Sorts by columns of a row; `null` comes last whichever way. Stable. */
export function sortRows(
  rows: readonly Json[],
  order: readonly { readonly column: string; readonly descending: boolean }[],
): Json[] {
  return rows.toSorted((left, right) => {
    for (const { column, descending } of order) {
      const [a, b] = [left[column], right[column]];
      if (a === b) continue;
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      const difference = compared(a, b) ?? 0;
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  });
}
