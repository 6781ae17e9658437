/** `GPU_LEASE_TEST_WHOLE=1 npx vitest run FILE` runs every row of a matrix. Unset: each row and each column of it, not each pair. */
export const IS_WHOLE = process.env['GPU_LEASE_TEST_WHOLE'] === '1';

/** One of so many `columns`, beginning with another one in the next row. */
export function sampled<T>(columns: readonly T[], row: number, oneOf = 2): readonly T[] {
  return IS_WHOLE ? columns : columns.filter((_, nth) => (nth + row) % oneOf === 0);
}
