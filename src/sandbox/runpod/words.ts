/** "Fri Nov 20 2026 10:14:40 GMT+0000 (Coordinated Universal Time)". */
function longTime(seconds: number): string {
  const [, weekday = '', day = '', month = '', year = '', time = ''] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(seconds * 1_000).toUTCString()) ?? [];
  return `${weekday} ${month} ${day} ${year} ${time} GMT+0000 (Coordinated Universal Time)`;
}
export type Change = 'Rented by User' | 'Exited by user' | 'Exited by Runpod' | 'Outbid';
/** As `lastStatusChange` words it. */
export const statusChange = (change: Change, seconds: number): string =>
  `${change}: ${longTime(seconds)}`;

/** RFC 3339 without fractions. */
export const timestamp = (seconds: number): string =>
  new Date(seconds * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');
export const preciseTime = (seconds: number): string => new Date(seconds * 1_000).toISOString();
/** Go's layout, which REST v1 uses for `createdAt`. */
export const goTime = (seconds: number): string =>
  `${new Date(seconds * 1_000).toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
