import { fieldOf } from '../../../../src/providers/vast/offers/fields.ts';
import type { Scalar, VastFilter } from '../../../../src/providers/vast/offers/filter.ts';

const SIGNS = {
  eq: '=',
  neq: '!=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  in: 'in',
  notin: 'notin',
} as const;

/** The inverse of the parser: one way to write a filter. */
export function printVastQuery({ conditions, lifted }: VastFilter): string {
  const parts = [...lifted].map((field) => `${field}=any`);
  for (const [field, asks] of conditions)
    for (const [operator, value] of Object.entries(asks)) {
      const sign = SIGNS[operator as keyof typeof SIGNS];
      parts.push(
        Array.isArray(value)
          ? `${field} ${sign} [${value.map((one: Scalar) => printed(field, one)).join(',')}]`
          : `${field} ${sign} ${printed(field, value as Scalar)}`,
      );
    }
  return parts.join(' ');
}

function printed(field: string, value: Scalar): string {
  if (typeof value === 'number')
    return String(Number((value / (fieldOf(field)?.field.factor ?? 1)).toPrecision(15)));
  return typeof value === 'string' ? `"${value}"` : String(value);
}
