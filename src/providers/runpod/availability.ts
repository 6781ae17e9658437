import type { Catalog, CloudRow, DataCenterRow, GpuRow, Stock } from './catalog.ts';
import type { Cloud } from './offer-id.ts';

export type Storage = 'supported' | 'unsupported' | 'failed' | 'unknown';

/** One place for one kind of GPU, at the moment it was asked for: a reading, never a reservation (OF-09, OF-10). */
export interface AvailabilityRow {
  readonly gpu: GpuRow;
  readonly cloud: Cloud;
  readonly price: CloudRow;
  /** Absent: wherever there is one. Nothing is pinned to a place without need (OF-21). */
  readonly dataCenter?: DataCenterRow | undefined;
  readonly stock: Stock;
  readonly isAvailable: boolean;
  /** Some places show stock and take no new pods (OF-12). */
  readonly isCreatable: boolean;
  readonly storage: Storage;
}

/** Every place and cloud for every kind of GPU; `failedStorage`: data centers that refused a volume lately (OF-13). */
export function availabilityRows(
  { gpus, dataCenters }: Catalog,
  failedStorage: ReadonlySet<string>,
): readonly AvailabilityRow[] {
  return gpus.flatMap((gpu) => {
    const { secure, community } = gpu.clouds;
    const anywhere = (cloud: Cloud, price: CloudRow): AvailabilityRow => ({
      gpu,
      cloud,
      price,
      stock: price.stock,
      isAvailable: price.stock !== 'none',
      isCreatable: true,
      // Volumes belong to one place, and to the secure cloud alone (OF-22).
      storage: 'unsupported',
    });
    const pinned = (dataCenter: DataCenterRow, price: CloudRow): AvailabilityRow => {
      const stock = dataCenter.stock.get(gpu.id) ?? 'none';
      return {
        gpu,
        cloud: 'secure',
        price,
        dataCenter,
        stock,
        isAvailable: stock !== 'none',
        isCreatable: dataCenter.isCreatable,
        storage: storageOf(dataCenter, failedStorage),
      };
    };
    return [
      ...(community === undefined ? [] : [anywhere('community', community)]),
      ...(secure === undefined
        ? []
        : [anywhere('secure', secure), ...dataCenters.map((center) => pinned(center, secure))]),
    ];
  });
}

function storageOf({ id, hasStorage }: DataCenterRow, failedStorage: ReadonlySet<string>): Storage {
  if (failedStorage.has(id)) return 'failed';
  return hasStorage === undefined ? 'unknown' : hasStorage ? 'supported' : 'unsupported';
}

const LEVELS: readonly Stock[] = ['high', 'medium', 'low', 'none'];

/**
 * The best first (OF-11): available, creatable and storage not known to fail; then available and creatable; then available.
 * Among equals the one with more stock.
 */
export function ranked(rows: readonly AvailabilityRow[]): readonly AvailabilityRow[] {
  return [...rows].sort(
    (a, b) => rankOf(a) - rankOf(b) || LEVELS.indexOf(a.stock) - LEVELS.indexOf(b.stock),
  );
}

/** `undefined`: nothing is available anywhere. */
export function bestCandidate(rows: readonly AvailabilityRow[]): AvailabilityRow | undefined {
  const [best] = ranked(rows);
  return best?.isAvailable === true ? best : undefined;
}

function rankOf({ isAvailable, isCreatable, storage }: AvailabilityRow): number {
  if (!isAvailable) return 3;
  if (!isCreatable) return 2;
  return storage === 'failed' ? 1 : 0;
}
