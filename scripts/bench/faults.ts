/* Links that are cut at seeded bytes under every kind of work: what is lost, doubled, hung. All of it must be none. */
import type { Fault } from '../../test/support/fault-proxy.ts';
import { Hung, openTransport, type TransportBench } from '../../test/support/transport-bench.ts';
import {
  execWork,
  fetchWork,
  jobWork,
  type Struck,
  sessionReadWork,
  sessionWork,
  strikeAtBytes,
  syncWork,
  type Work,
} from '../../test/support/transport-works.ts';
import { commitOf, keepText, takenWords } from './kept.ts';

const SEED = 20_261_122;
const FAULTS: readonly Fault[] = [
  { kind: 'reset' },
  { kind: 'end' },
  { kind: 'reset' },
  { kind: 'silence' },
  { kind: 'end' },
  { kind: 'stall', seconds: 1 },
  { kind: 'reset' },
  { kind: 'drip', seconds: 2 },
];
const WORKS: Readonly<Record<string, (bench: TransportBench) => Work | Promise<Work>>> = {
  exec: execWork,
  session_write: sessionWork,
  session_read: sessionReadWork,
  job: jobWork,
  sync: syncWork,
  fetch: fetchWork,
};
const FULL_COUNT = 200;
/** Silent links are found after 3 to 4 s: soon enough for hundreds of them, and no busy machine is taken for one. */
const KEEPALIVE_SECONDS = 1;
const SHOWN_BROKEN = 40;
const COMMAND = 'npm run bench -- faults';

interface Row {
  readonly work: string;
  readonly struck: number;
  readonly mended: number;
  /** Codes of the calls that ended in an error, and how often. */
  readonly told: string;
  readonly worstSeconds: number;
  readonly lost: number;
  readonly doubled: number;
  readonly hung: number;
  readonly broken: readonly string[];
}

/**
 * `npm run bench -- faults [COUNT] [WORK...] [--dry]`: so many seeded bytes for each kind of work, 200 unless said; the
 * works run side by side, each with a machine and links of its own. A full run goes into docs/benchmarks.md.
 */
export async function benchFaults(args: readonly string[]): Promise<void> {
  const words = args.filter((each) => !each.startsWith('--'));
  const count = Number(words.find((each) => /^\d+$/.test(each)) ?? FULL_COUNT);
  const wanted = words.filter((each) => !/^\d+$/.test(each));
  const works = Object.entries(WORKS).filter(
    ([name]) => wanted.length === 0 || wanted.includes(name),
  );
  if (works.length === 0) throw new Error(`There are: ${Object.keys(WORKS).join(', ')}`);
  const commit = commitOf();
  const rows = await Promise.all(
    works.map(async ([name, open]) => {
      const row = await strikeWork(name, open, count).catch((failure: unknown) =>
        failedRow(name, failure),
      );
      process.stdout.write(`${lineOf(row)}\n`);
      return row;
    }),
  );
  const broken = rows.flatMap((row) => row.broken);
  for (const line of broken.slice(0, SHOWN_BROKEN)) process.stdout.write(`  ${line}\n`);
  const body = faultsReport(rows, count, commit);
  process.stdout.write(`${body}\n`);
  if (broken.length > 0) process.exitCode = 1;
  if (args.includes('--dry') || count < FULL_COUNT || wanted.length > 0) return;
  keepText('faults', body);
}

async function strikeWork(
  name: string,
  open: (bench: TransportBench) => Work | Promise<Work>,
  count: number,
): Promise<Row> {
  await using bench = await openTransport({ keepaliveSeconds: KEEPALIVE_SECONDS });
  const work = await open(bench);
  const struck = await strikeAtBytes(bench, work, { count, seed: SEED, faults: FAULTS });
  const broken = struck.filter(isBad).map(told);
  const left = await work.finish().catch((failure: unknown) => {
    broken.push(`${name}: ${String(failure)}`);
    return { lost: 0, doubled: 0 };
  });
  if (left.lost + left.doubled > 0)
    broken.push(`${name}: in the end ${left.lost} lost, ${left.doubled} doubled`);
  const sum = (of: (one: Struck) => number): number =>
    struck.reduce((total, one) => total + of(one), 0);
  const met = struck.filter((one) => one.struck);
  const codes = struck.flatMap((one) => one.codes);
  return {
    work: name,
    struck: met.length,
    mended: met.filter((one) => one.codes.length === 0 && !isBad(one)).length,
    told: [...new Set(codes)]
      .toSorted()
      .map((code) => `${codes.filter((one) => one === code).length} x \`${code}\``)
      .join(', '),
    worstSeconds: Math.max(...struck.map((one) => one.seconds)),
    lost: left.lost + sum(({ lost }) => lost),
    doubled: left.doubled + sum(({ doubled }) => doubled),
    hung: struck.filter(({ failure }) => failure instanceof Hung).length,
    broken,
  };
}

/** Of a work that did not even go through without a fault. */
function failedRow(work: string, failure: unknown): Row {
  const hung = failure instanceof Hung ? 1 : 0;
  const broken = [`${work}: ${String(failure)}`];
  return {
    work,
    struck: 0,
    mended: 0,
    told: '',
    worstSeconds: 0,
    lost: 0,
    doubled: 0,
    hung,
    broken,
  };
}

function isBad({ failure, lost, doubled }: Struck): boolean {
  return failure !== undefined || lost + doubled > 0;
}

function told({ work, strike, codes, seconds, failure, lost, doubled }: Struck): string {
  const { byte, direction, fault } = strike;
  const why = failure instanceof Error ? `${failure.name}: ${failure.message}` : '';
  return `${work}: ${fault.kind} ${direction} at ${byte}: lost ${lost}, doubled ${doubled}, ${seconds.toFixed(1)} s ${codes.join(' ')} ${why}`;
}

const cellsOf = (row: Row): readonly string[] => [
  `\`${row.work}\``,
  String(row.struck),
  String(row.mended),
  row.told === '' ? 'none' : row.told,
  row.worstSeconds.toFixed(1),
  String(row.lost),
  String(row.doubled),
  String(row.hung),
  String(row.broken.length),
];
const lineOf = (row: Row): string => cellsOf(row).join('  ');

/** The part of docs/benchmarks.md between its markers. */
function faultsReport(rows: readonly Row[], count: number, commit: string): string {
  const sum = (of: (row: Row) => number): number => rows.reduce((all, row) => all + of(row), 0);
  return [
    '',
    `${takenWords(COMMAND, commit)}: ${count} seeded bytes for each kind of work (seed ${SEED}), ${sum(({ struck }) => struck)} of them met. Lost ${sum(({ lost }) => lost)}, doubled ${sum(({ doubled }) => doubled)}, hung ${sum(({ hung }) => hung)}.`,
    '',
    '| work | faults met | mended without a word | errors told to the caller | worst seconds | lost | doubled | hung | broken promises |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${cellsOf(row).join(' | ')} |`),
    '',
  ].join('\n');
}
