import type { Clock } from '../core/call.ts';

export interface Look<T> {
  readonly value: T;
  /** When it was asked for. ISO 8601. */
  readonly at: string;
}

/**
 * Questions that many ask at once, or soon after each other, asked once. A failure counts as an answer: it is not repeated sooner
 * either.
 */
export interface Flights<T> {
  ask(key: string, maxAgeSeconds: number, question: () => Promise<T>): Promise<Look<T>>;
  forget(key: string): void;
}

const KEPT = 200;

export function createFlights<T>(clock: Clock): Flights<T> {
  const flights = new Map<string, { readonly startedAt: number; readonly work: Promise<T> }>();
  return {
    async ask(key, maxAgeSeconds, question) {
      const now = clock.now().getTime();
      const known = flights.get(key);
      // A clock that was set back makes nothing fresh.
      const isFresh =
        known !== undefined &&
        maxAgeSeconds > 0 &&
        Math.abs(now - known.startedAt) < maxAgeSeconds * 1000;
      const flight = isFresh ? known : { startedAt: now, work: question() };
      if (!isFresh) {
        flight.work.catch(() => undefined);
        flights.delete(key);
        flights.set(key, flight);
        const [oldest] = flights.keys();
        if (flights.size > KEPT && oldest !== undefined) flights.delete(oldest);
      }
      return { value: await flight.work, at: new Date(flight.startedAt).toISOString() };
    },
    forget(key) {
      flights.delete(key);
    },
  };
}
