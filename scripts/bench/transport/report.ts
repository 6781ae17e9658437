/* What a run came to: on the console, as JSON, and as the table of docs/benchmarks.md. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { replaceBetween } from '../../docs/markdown.ts';
import { cut, type Row, reached, type Series } from './rows.ts';

const seriesSchema = z.object({
  median: z.number(),
  min: z.number(),
  max: z.number(),
  p95: z.number(),
  runs: z.int(),
});
const unitSchema = z.enum(['x', 'ms', 'MB', 'lost']);
const rowSchema = z.object({
  id: z.string(),
  work: z.string(),
  link: z.string(),
  beside: z.string(),
  target: z
    .object({ value: z.number(), unit: unitSchema, atMost: z.literal(true).exactOptional() })
    .exactOptional(),
  figure: z.number(),
  unit: unitSchema,
  ours: seriesSchema.exactOptional(),
  theirs: seriesSchema.exactOptional(),
  seriesUnit: z.enum(['ms', 's', '']),
  how: z.string().exactOptional(),
});
const resultsSchema = z.looseObject({
  machine: z.object({
    cpu: z.string(),
    cores: z.int(),
    memoryGib: z.number(),
    system: z.string(),
    node: z.string(),
    openssh: z.string(),
    rsync: z.string(),
  }),
  command: z.string(),
  /** Each row as it was last taken. */
  rows: z.array(
    z.object({
      ...rowSchema.shape,
      part: z.string(),
      takenAt: z.string(),
      commit: z.string(),
      scale: z.string(),
      /** Of the last minute when it began: from as many as there are cores on, others were measured too. */
      load: z.number(),
    }),
  ),
});
export type Results = z.output<typeof resultsSchema>;
/** Why a row is as it is, by hand, by the row's id. */
const notesSchema = z.record(z.string(), z.string());
type Notes = z.output<typeof notesSchema>;

export const RESULTS_FILE = 'docs/benchmarks.json';
export const PAGE_FILE = 'docs/benchmarks.md';
const NOTES = path.join(import.meta.dirname, 'notes.json');

const number = (value: number): string => String(cut(value));

function targetOf({ target }: Row): string {
  if (target === undefined) return '';
  const { value, unit, atMost } = target;
  return `${atMost === true ? '<=' : '>='} ${value}${unit === 'lost' ? '' : ` ${unit}`}`;
}
const figureOf = ({ figure, unit }: Row): string =>
  `${number(figure)}${unit === 'lost' ? '' : ` ${unit}`}`;

const verdictOf = (row: Row): string => {
  const isReached = reached(row);
  return isReached === undefined ? '' : isReached ? 'yes' : 'no';
};
const seriesText = (series: Series | undefined, unit: string): string =>
  series === undefined
    ? ''
    : `${number(series.median)} ${unit} (${number(series.min)}–${number(series.max)})`;

/** One line for a person who watches. */
export const lineOf = (row: Row): string =>
  [
    row.work.padEnd(58),
    row.link.padEnd(12),
    row.beside.padEnd(28),
    figureOf(row).padStart(9),
    targetOf(row).padStart(10),
    { yes: 'reached', no: 'MISSED', '': '' }[verdictOf(row)] ?? '',
    seriesText(row.ours, row.seriesUnit),
    row.theirs === undefined ? '' : `/ ${seriesText(row.theirs, row.seriesUnit)}`,
    row.how === undefined ? '' : `[${row.how}]`,
  ].join('  ');

/** The rows of `latest`, and those of other parts that were not taken anew, in the order of `parts`. */
export function merge(
  before: Results | undefined,
  latest: Results,
  parts: readonly string[],
): Results {
  const anew = new Set(latest.rows.map(({ part }) => part));
  const old = before?.rows.filter(({ part }) => !anew.has(part) && parts.includes(part)) ?? [];
  const place = ({ part }: { readonly part: string }): number => parts.indexOf(part);
  // Other benches keep their results beside these.
  return {
    ...before,
    ...latest,
    rows: [...old, ...latest.rows].toSorted((a, b) => place(a) - place(b)),
  };
}

/** The part of docs/benchmarks.md between its markers. */
export function transportTable({ machine, command, rows }: Results, notes: Notes): string {
  const aimed = rows.filter(({ target }) => target !== undefined);
  const isReached = aimed.filter((row) => reached(row) === true).length;
  const days = [...new Set(rows.map(({ takenAt }) => takenAt.slice(0, 10)))].toSorted();
  const commits = [...new Set(rows.map(({ commit }) => commit))].join(', ');
  const table = (some: Results['rows']): string[] => [
    '| work | link | beside | target | ratio or figure | reached | ours: median (min–max) | theirs: median (min–max) | runs | load |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...some
      .map((row) =>
        [
          row.work,
          row.link,
          row.beside,
          targetOf(row),
          figureOf(row),
          verdictOf(row),
          seriesText(row.ours, row.seriesUnit),
          seriesText(row.theirs, row.seriesUnit),
          row.ours === undefined ? '' : String(row.ours.runs),
          row.load.toFixed(1),
        ]
          .map((cell) => cell.replaceAll('|', '\\|'))
          .join(' | '),
      )
      .map((line) => `| ${line} |`),
  ];
  const told = rows.filter(({ id, how }) => notes[id] !== undefined || how !== undefined);
  return [
    '',
    `Taken on ${days.join(' and ')}, commit ${commits}, with \`${command}\`: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGib} GiB, ${machine.system}, Node ${machine.node}, ${machine.openssh}, ${machine.rsync}. Client and sshd share the cores; load is the machine's average of the minute before a row, and a row that began at more than ${machine.cores} shared them with other work too. ${isReached} of ${aimed.length} targets reached.`,
    '',
    '### Targets',
    '',
    ...table(aimed),
    '',
    '### Beside other ways to do the same',
    '',
    ...table(rows.filter(({ target }) => target === undefined)),
    '',
    '### Row by row',
    '',
    ...told.map((row) => {
      const label = `${row.work}, ${row.link}${row.beside === '–' ? '' : `, beside ${row.beside}`}`;
      const parts = [row.how, notes[row.id]].filter((part) => part !== undefined);
      return `- **${label}** (${verdictOf(row) === 'no' ? 'not reached' : figureOf(row)}): ${parts.join('. ')}.`.replace(
        /\.\.$/,
        '.',
      );
    }),
    '',
  ].join('\n');
}

/** What was kept of runs before, if there was one. */
export function resultsOf(root: string): Results | undefined {
  const file = path.join(root, RESULTS_FILE);
  if (!existsSync(file)) return undefined;
  return resultsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
}

/** docs/benchmarks.md with its tables made anew from the results that are kept and the notes on them. */
export function benchmarksPage(root: string): string {
  const page = readFileSync(path.join(root, PAGE_FILE), 'utf8');
  const results = resultsOf(root);
  const notes = notesSchema.parse(JSON.parse(readFileSync(NOTES, 'utf8')));
  return results === undefined
    ? page
    : replaceBetween(page, 'transport', transportTable(results, notes));
}
