/* How figures are taken and told. */

export const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ??
  Number.NaN;

export const say = (name: string, value: string, target: string): void => {
  process.stdout.write(`${name.padEnd(46)} ${value.padStart(18)}   target ${target}\n`);
};
