import type { VastSearch } from '../../../../src/providers/vast/offers/search.ts';

type Ask = Readonly<Record<string, unknown>>;
type Body = Readonly<Record<string, unknown>>;
type Row = Readonly<Record<string, unknown>>;

export interface FakeSearch extends VastSearch {
  readonly bodies: Body[];
  readonly skipped: number[];
}

/**
 * The search of vast.md 3.4: ANDed operators on columns, virtual columns, prices at `allocated_storage`, order, and a cap on the
 * rows of one answer. `ignores` names fields that it does not filter by.
 */
export function fakeSearch(
  rows: readonly Row[],
  {
    cap = 64,
    ignores = [],
    verifiedByDefault = false,
  }: {
    readonly cap?: number;
    readonly ignores?: readonly string[];
    readonly verifiedByDefault?: boolean;
  } = {},
): FakeSearch {
  const bodies: Body[] = [];
  const skipped: number[] = [];
  return {
    bodies,
    skipped,
    onSkipped: (count) => skipped.push(count),
    search: async (body, { signal }) => {
      await Promise.resolve();
      signal.throwIfAborted();
      bodies.push(body);
      const { order, type, limit, allocated_storage: storage, ...filters } = body;
      const [[by]] = order as [[string, string]];
      return rows
        .map((row) => priced(row, Number(storage)))
        .filter((row) =>
          Object.entries(filters).every(
            ([field, ask]) => ignores.includes(field) || fits(columnOf(field, row), ask as Ask),
          ),
        )
        .filter(() => type === 'on-demand' || type === 'bid')
        .filter(
          (row) => !verifiedByDefault || 'verified' in body || row['verification'] === 'verified',
        )
        .sort((a, b) => Number(a[by]) - Number(b[by]))
        .slice(0, Math.min(cap, Number(limit)));
    },
  };
}

function priced(row: Row, storage: number): Row {
  if (typeof row['storage_cost'] !== 'number' || typeof row['dph_base'] !== 'number') return row;
  return { ...row, dph_total: row['dph_base'] + (storage * row['storage_cost']) / 720 };
}
function columnOf(field: string, row: Row): unknown {
  if (field === 'id') return undefined;
  if (field === 'verified') return row['verification'] === 'verified';
  if (field === 'datacenter') return row['hosting_type'] === 1;
  if (field === 'geolocation') return typeof row[field] === 'string' ? row[field].slice(-2) : '';
  if (field === 'driver_version') return row['driver_vers'];
  return row[field];
}
function fits(have: unknown, ask: Ask): boolean {
  return Object.entries(ask).every(([operator, want]) => {
    switch (operator) {
      case 'eq':
        return have === want;
      case 'neq':
        return have !== want;
      case 'gt':
        return Number(have) > Number(want);
      case 'gte':
        return Number(have) >= Number(want);
      case 'lt':
        return Number(have) < Number(want);
      case 'lte':
        return Number(have) <= Number(want);
      case 'in':
        return (want as unknown[]).includes(have);
      case 'notin':
        return !(want as unknown[]).includes(have);
      default:
        throw new Error(`${operator} is not a valid search op`);
    }
  });
}
