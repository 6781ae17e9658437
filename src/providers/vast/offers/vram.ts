/* Cards report a little less memory than they are sold with, and what is missing differs by driver and by error correction. */

/** Sizes that cards are sold with, in GB. */
const NOMINAL_GB = [
  2, 3, 4, 5, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 128, 141, 144, 180, 192,
  256, 288,
];
/** An L40S of 48 GB reports 46,068 MiB, a T4 of 16 GB down to 15,109. */
const LEAST_SHARE = 0.92;
const MOST_SHARE = 1.03;

/** What a card of so many reported MB is sold as: 24,564 is 24, 81,559 is 80, 46,068 is 48. */
export function nominalGb(reportedMb: number): number {
  const gib = reportedMb / 1024;
  let nearest: number | undefined;
  for (const size of NOMINAL_GB) {
    const share = gib / size;
    if (share < LEAST_SHARE || share > MOST_SHARE) continue;
    if (nearest === undefined || Math.abs(1 - share) < Math.abs(1 - gib / nearest)) nearest = size;
  }
  return nearest ?? Math.max(1, Math.round(gib));
}

/** The fewest MB that a card of `gb` may report. */
export function leastReportedMb(gb: number): number {
  return Math.floor(gb * 1024 * LEAST_SHARE);
}
