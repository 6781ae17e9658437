/** Rounding, not money. */
const SLACK = 1e-9;

/**
 * US dollars for words like "at most": the least amount that is shown whole, in cents or below a dime in hundredths of a cent,
 * and is no less than `amount`.
 */
export function atMostUsd(amount: number): number {
  const parts = Math.abs(amount) < 0.1 ? 10_000 : 100;
  return Math.max(0, Math.ceil(amount * parts - SLACK)) / parts;
}
