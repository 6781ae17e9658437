const MAX_MONTHS = 6;

/**
 * What is wrong with the month in which the facts of a skill were last checked. `text` is its SKILL.md. A stamp that is
 * missing or lies in the future is an error, one that is older than six months a warning.
 */
export function freshnessOf(
  text: string,
  now: Date,
): { readonly level: 'ok' | 'warning' | 'error'; readonly message: string } {
  const [, year = '', month = ''] = /^ {2}verified: "(\d{4})-(0[1-9]|1[0-2])"$/m.exec(text) ?? [];
  if (year === '') return { level: 'error', message: 'has no verified month' };
  const age = (now.getUTCFullYear() - Number(year)) * 12 + now.getUTCMonth() + 1 - Number(month);
  if (age < 0) return { level: 'error', message: `was verified in the future: ${year}-${month}` };
  return age > MAX_MONTHS
    ? { level: 'warning', message: `was verified ${age} months ago; check its facts again` }
    : { level: 'ok', message: `was verified ${year}-${month}` };
}
