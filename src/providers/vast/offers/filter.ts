/* Conditions on the columns of an offer: AND of fields, AND of the operators of one field. */

export type Operator = 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'notin';
export type Scalar = string | number | boolean | null;
export type Conditions = Readonly<Partial<Record<Operator, Scalar | readonly Scalar[]>>>;
export type FieldConditions = ReadonlyMap<string, Conditions>;

/** What a query asks for, in the units of the API. */
export interface VastFilter {
  readonly conditions: FieldConditions;
  /** Fields that were said to be of `any` value: a default for them does not hold. */
  readonly lifted: ReadonlySet<string>;
}
export const NO_FILTER: VastFilter = { conditions: new Map(), lifted: new Set() };

/** Both at once; `undefined`: no offer can be so. An operator on both sides becomes the tighter of the two. */
export function bothConditions(a: Conditions, b: Conditions): Conditions | undefined {
  const excluded = [...listOf(a.notin), ...listOf(b.notin)];
  const neq = [a.neq, b.neq].flatMap((value) => (value === undefined ? [] : listOf(value)));
  const [firstNeq, ...moreNeq] = [...new Set(neq)];
  const notin = [...new Set(moreNeq.length > 0 ? [...excluded, ...neq] : excluded)];
  if (a.eq !== undefined && b.eq !== undefined && !isSame(a.eq, b.eq)) return undefined;
  const only =
    a.in !== undefined && b.in !== undefined
      ? listOf(a.in).filter((value) => listOf(b.in).some((other) => isSame(value, other)))
      : (a.in ?? b.in);
  if (only !== undefined && listOf(only).length === 0) return undefined;
  return {
    ...defined('eq', a.eq ?? b.eq),
    ...(firstNeq === undefined || moreNeq.length > 0 ? {} : { neq: firstNeq }),
    ...defined('gt', tighter(a.gt, b.gt, Math.max)),
    ...defined('gte', tighter(a.gte, b.gte, Math.max)),
    ...defined('lt', tighter(a.lt, b.lt, Math.min)),
    ...defined('lte', tighter(a.lte, b.lte, Math.min)),
    ...defined('in', only),
    ...(notin.length === 0 ? {} : { notin }),
  };
}

/** All conditions of both; `undefined`: they contradict each other. */
export function bothFilters(a: FieldConditions, b: FieldConditions): FieldConditions | undefined {
  const all = new Map(a);
  for (const [field, conditions] of b) {
    const both = bothConditions(all.get(field) ?? {}, conditions);
    if (both === undefined) return undefined;
    all.set(field, both);
  }
  return all;
}

/** Case and underscores do not count in text; 1 and true are the same. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const left = comparable(a);
  const right = comparable(b);
  if (typeof left === 'number' && typeof right === 'number')
    return Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(left));
  return left !== undefined && String(left) === String(right);
}

function comparable(value: unknown): string | number | undefined {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const plain = value.replaceAll('_', ' ').trim().toLowerCase();
  return plain !== '' && Number.isFinite(Number(plain)) ? Number(plain) : plain;
}

export function listOf(value: Scalar | readonly Scalar[] | undefined): readonly Scalar[] {
  if (value === undefined) return [];
  return isList(value) ? value : [value];
}
function isList(value: Scalar | readonly Scalar[]): value is readonly Scalar[] {
  return Array.isArray(value);
}

type Value = Scalar | readonly Scalar[];
function tighter(
  a: Value | undefined,
  b: Value | undefined,
  pick: (a: number, b: number) => number,
): Value | undefined {
  return typeof a === 'number' && typeof b === 'number' ? pick(a, b) : (b ?? a);
}
function defined(operator: Operator, value: Value | undefined): Conditions {
  return value === undefined ? {} : { [operator]: value };
}
