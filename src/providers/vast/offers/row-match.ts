/* What the cloud was asked, asked again of each row: a filter that it did not know or read otherwise shuts nothing out in silence. */
import type { Offer } from '../../../core/offer.ts';
import { type Conditions, type FieldConditions, isSame, listOf, type Scalar } from './filter.ts';
import type { RawRow } from './row.ts';
import { countryOf } from './to-offer.ts';

/** Whether the row keeps every condition. A column that the row does not have is left to the cloud. */
export function keepsConditions(row: RawRow, offer: Offer, asked: FieldConditions): boolean {
  for (const [field, conditions] of asked) {
    const have = valueOf(field, row, offer);
    if (have !== undefined && !holds(have, conditions)) return false;
  }
  return true;
}

/** The columns that the cloud makes up while it searches, and those whose row says it in another way. */
function valueOf(field: string, row: RawRow, offer: Offer): unknown {
  switch (field) {
    case 'id':
    case 'ask_contract_id':
      return row['ask_contract_id'] ?? row['id'];
    case 'verified':
      return typeof row['verification'] === 'string'
        ? row['verification'] === 'verified'
        : undefined;
    case 'datacenter':
      return typeof row['hosting_type'] === 'number' ? row['hosting_type'] === 1 : undefined;
    case 'external':
    case 'rented':
      return row[field] === null ? false : row[field];
    case 'dph_total':
      return offer.usdPerHour;
    case 'reliability':
      return row['reliability2'] ?? row['reliability'];
    case 'driver_version':
      return row['driver_vers'];
    case 'ubuntu_version':
      return row['os_version'];
    default:
      return row[field];
  }
}

function holds(have: unknown, conditions: Conditions): boolean {
  const { eq, neq, gt, gte, lt, lte, in: among, notin } = conditions;
  return (
    (eq === undefined || isEither(have, listOf(eq))) &&
    (among === undefined || isEither(have, listOf(among))) &&
    !isEither(have, listOf(neq)) &&
    !isEither(have, listOf(notin)) &&
    compares(have, gt, (difference) => difference > 0) &&
    compares(have, gte, (difference) => difference >= -TOLERANCE) &&
    compares(have, lt, (difference) => difference < 0) &&
    compares(have, lte, (difference) => difference <= TOLERANCE)
  );
}

/** Prices come through two roundings. */
const TOLERANCE = 2e-6;

/** A country's code means every place in it. */
function isEither(have: unknown, wanted: readonly Scalar[]): boolean {
  return wanted.some(
    (value) =>
      isSame(have, value) ||
      (typeof value === 'string' &&
        typeof have === 'string' &&
        /^[A-Za-z]{2}$/.test(value) &&
        countryOf(have) === value.toUpperCase()),
  );
}

function compares(
  have: unknown,
  bound: Scalar | readonly Scalar[] | undefined,
  fits: (difference: number) => boolean,
): boolean {
  if (bound === undefined) return true;
  const left = Number(have ?? Number.NaN);
  const right = Number(bound);
  if (have === null) return false;
  return !Number.isFinite(left) || !Number.isFinite(right) || fits(left - right);
}
