import type { CallOptions, Clock } from '../../src/core/call.ts';

/** Time stands still until somebody sleeps: a sleep turns the clock at once, so waiting loops run without waiting. */
export class ManualClock implements Clock {
  #now: number;

  constructor(start = '2026-01-01T00:00:00.000Z') {
    this.#now = Date.parse(start);
  }
  now(): Date {
    return new Date(this.#now);
  }
  advance(seconds: number): void {
    this.#now += seconds * 1000;
  }
  async sleep(seconds: number, { signal }: CallOptions): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    this.advance(seconds);
  }
}
