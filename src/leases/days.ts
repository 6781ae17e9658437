const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** A span that is longer than any lease is an error of a clock: its rest is counted to its last day. */
const MOST_DAYS = 4000;

/** US dollars by UTC day, "2026-01-31". */
export type DayUsd = Readonly<Record<string, number>>;

/** The UTC day of a time. */
export function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

/** When the UTC day after this moment begins. Milliseconds since the epoch, both. */
export function nextDayAt(at: number): number {
  return (Math.floor(at / DAY_MS) + 1) * DAY_MS;
}

/** What `usdPerHour` costs from one moment to another (milliseconds since the epoch), each part on its own day. */
export function spread(usdPerHour: number, from: number, to: number): DayUsd {
  const days: Record<string, number> = {};
  if (usdPerHour === 0) return days;
  let start = from;
  for (let count = 1; start < to; count += 1) {
    const end = count === MOST_DAYS ? to : Math.min(to, nextDayAt(start));
    days[dayOf(new Date(start))] = ((end - start) / HOUR_MS) * usdPerHour;
    start = end;
  }
  return days;
}

export function addDays(one: DayUsd, other: DayUsd): DayUsd {
  const sum: Record<string, number> = { ...one };
  for (const [day, amount] of Object.entries(other)) sum[day] = (sum[day] ?? 0) + amount;
  return sum;
}

/** What stands on this day and on all days after it: a clock that was set back frees nothing of them. */
export function sumFrom(days: DayUsd, day: string): number {
  return Object.entries(days).reduce(
    (sum, [each, amount]) => (each >= day ? sum + amount : sum),
    0,
  );
}
