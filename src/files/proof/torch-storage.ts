import type { PickleStorage } from './pickle-stack.ts';

export const NOT_FINITE =
  'a tensor holds NaN or infinity. If it may (a mask), fetch again with verify "structure"';

/** By storage type: bytes of one item, and our name of its numbers when they can be NaN. */
const STORAGES: Readonly<Record<string, readonly [number, string]>> = {
  DoubleStorage: [8, 'F64'],
  FloatStorage: [4, 'F32'],
  HalfStorage: [2, 'F16'],
  BFloat16Storage: [2, 'BF16'],
  ComplexFloatStorage: [8, 'F32'],
  ComplexDoubleStorage: [16, 'F64'],
  LongStorage: [8, ''],
  IntStorage: [4, ''],
  ShortStorage: [2, ''],
  CharStorage: [1, ''],
  ByteStorage: [1, ''],
  BoolStorage: [1, ''],
  QInt8Storage: [1, ''],
  QUInt8Storage: [1, ''],
  QInt32Storage: [4, ''],
  UntypedStorage: [1, ''],
};

/** Bytes of a storage; undefined for a type that is not known here. */
export function sizeOf({ type, items }: PickleStorage): number | undefined {
  const width = Object.hasOwn(STORAGES, type) ? STORAGES[type]?.[0] : undefined;
  return width === undefined ? undefined : width * items;
}

/** The name `allFinite` has for its numbers; '' for those that cannot be NaN. */
export function floatsOf({ type }: PickleStorage): string {
  return (Object.hasOwn(STORAGES, type) ? STORAGES[type]?.[1] : undefined) ?? '';
}
