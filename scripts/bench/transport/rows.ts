/* What a row of the table is. */
import { quantile } from '../figures.ts';

export interface Series {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly p95: number;
  readonly runs: number;
}
/** `x`: how many times faster than the other. Otherwise a figure of ours alone in that unit. */
export interface Target {
  readonly value: number;
  readonly unit: 'x' | 'ms' | 'MB' | 'lost';
  readonly atMost?: true;
}
export interface Row {
  /** Stable: notes and earlier results are filed under it. */
  readonly id: string;
  readonly work: string;
  readonly link: string;
  readonly beside: string;
  readonly target?: Target;
  readonly figure: number;
  readonly unit: Target['unit'];
  readonly ours?: Series;
  readonly theirs?: Series;
  readonly seriesUnit: 'ms' | 's' | '';
  /** What is worth knowing about how it was taken. */
  readonly how?: string;
}

export const seriesOf = (values: readonly number[]): Series => ({
  median: quantile(values, 0.5),
  min: Math.min(...values),
  max: Math.max(...values),
  p95: quantile(values, 0.95),
  runs: values.length,
});

/** Only three figures mean anything here; a ratio is cut, never rounded up to its target. */
export const cut = (value: number): number => {
  const step = value >= 100 ? 1 : value >= 10 ? 10 : 100;
  return Math.floor(value * step) / step;
};

export const reached = ({ target, figure }: Row): boolean | undefined =>
  target === undefined
    ? undefined
    : target.atMost === true
      ? figure <= target.value
      : figure >= target.value;

export type Ways = Readonly<Record<string, () => Promise<void>>>;
export interface Rounds {
  readonly rounds: number;
  /** Runs of every way that are not counted. */
  readonly warmUp?: number;
  /** Before every run, outside its time. */
  readonly before?: (way: string, round: number) => Promise<void>;
  /** After every run, outside its time: proves that the work was done. */
  readonly after?: (way: string, round: number) => Promise<void>;
}

/** All ways in turn, the order reversed every round. Seconds of each run. */
export async function takeTurns<W extends Ways>(
  ways: W,
  { rounds, warmUp = 1, before, after }: Rounds,
): Promise<Readonly<Record<keyof W, number[]>>> {
  const names: (keyof W & string)[] = Object.keys(ways);
  const took = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    keyof W,
    number[]
  >;
  for (let round = -warmUp; round < rounds; round += 1)
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      await before?.(name, round);
      const start = performance.now();
      await ways[name]?.();
      const seconds = (performance.now() - start) / 1000;
      await after?.(name, round);
      if (round >= 0) took[name].push(seconds);
    }
  return took;
}

interface Versus extends Pick<Row, 'id' | 'work' | 'link' | 'beside' | 'how'> {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  readonly atLeast?: number | undefined;
  readonly unit?: 'ms' | 's';
}

/** A row of medians in seconds beside those of somebody else; the figure is theirs over ours. */
export function versus({ ours, theirs, atLeast, unit = 's', how, ...rest }: Versus): Row {
  const scale = unit === 'ms' ? 1000 : 1;
  const [mine, others] = [ours, theirs].map((all) => seriesOf(all.map((each) => each * scale)));
  return {
    ...rest,
    ...(how === undefined ? {} : { how }),
    ...(atLeast === undefined ? {} : { target: { value: atLeast, unit: 'x' } as const }),
    ...(mine === undefined ? {} : { ours: mine }),
    ...(others === undefined ? {} : { theirs: others }),
    seriesUnit: unit,
    figure: (others?.median ?? Number.NaN) / (mine?.median ?? Number.NaN),
    unit: 'x',
  };
}
