/* What the cloud was asked, asked again of each row: a filter that it did not know or read otherwise shuts nothing out in silence. */
import type { Offer } from '../../../core/offer.ts';
import { type Conditions, type FieldConditions, isSame, listOf, type Scalar } from './filter.ts';
import type { RawRow } from './row.ts';
import { countryOf } from './to-offer.ts';

/** Tells whether a row keeps every condition. A column that the row does not have is left to the cloud. */
export function keeperOf(asked: FieldConditions): (row: RawRow, offer: Offer) => boolean {
  const columns = [...asked].map(([field, conditions]) => ({ field, tests: testsOf(conditions) }));
  return (row, offer) =>
    columns.every(({ field, tests }) => {
      const have = valueOf(field, row, offer);
      return have === undefined || tests.every((test) => test(have));
    });
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

type Test = (have: unknown) => boolean;
function testsOf({ eq, neq, gt, gte, lt, lte, in: among, notin }: Conditions): readonly Test[] {
  const not = [...listOf(neq), ...listOf(notin)];
  return [
    ...(eq === undefined ? [] : [isEither(listOf(eq))]),
    ...(among === undefined ? [] : [isEither(listOf(among))]),
    ...(not.length === 0 ? [] : [(have: unknown): boolean => !isEither(not)(have)]),
    ...compares(gt, (difference) => difference > 0),
    ...compares(gte, (difference) => difference >= -TOLERANCE),
    ...compares(lt, (difference) => difference < 0),
    ...compares(lte, (difference) => difference <= TOLERANCE),
  ];
}

/** Prices come through two roundings. */
const TOLERANCE = 2e-6;

/** A country's code means every place in it. */
function isEither(wanted: readonly Scalar[]): Test {
  return (have) =>
    wanted.some(
      (value) =>
        isSame(have, value) ||
        (typeof value === 'string' &&
          typeof have === 'string' &&
          /^[A-Za-z]{2}$/.test(value) &&
          countryOf(have) === value.toUpperCase()),
    );
}

function compares(
  bound: Scalar | readonly Scalar[] | undefined,
  fits: (difference: number) => boolean,
): readonly Test[] {
  const right = Number(bound ?? Number.NaN);
  if (!Number.isFinite(right)) return [];
  return [
    (have) => {
      if (have === null) return false;
      const difference = Number(have) - right;
      return Number.isNaN(difference) || fits(difference);
    },
  ];
}
