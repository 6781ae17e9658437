import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { commitOf, outputOf, ROOT } from './kept.ts';
import { delta, fetch, send } from './transport/bulk.ts';
import { type Lab, openLab } from './transport/lab.ts';
import { commands, firstCommand, sessionWrite } from './transport/latency.ts';
import { moving, typing } from './transport/load.ts';
import {
  benchmarksPage,
  lineOf,
  merge,
  PAGE_FILE,
  RESULTS_FILE,
  type Results,
  resultsOf,
} from './transport/report.ts';
import { type Row, reached } from './transport/rows.ts';
import { FULL, QUICK, type Scale } from './transport/scale.ts';
import { again, cold, sameSecond } from './transport/trees.ts';

type About = Pick<Results['rows'][number], 'scale' | 'commit' | 'load'>;
type Work = (lab: Lab, scale: Scale) => Promise<Row[]>;

/** In the order of the table. The names are what `npm run bench -- transport NAME` takes; one name may be the start of several. */
const WORKS: Readonly<Record<string, Work>> = {
  'command-direct': async (lab, scale) => commands(lab, 'direct', scale),
  'command-rtt30': async (lab, scale) => commands(lab, 'rtt30', scale),
  'first-command': firstCommand,
  'session-write-direct': async (lab, scale) => sessionWrite(lab, 'direct', scale),
  'session-write-rtt30': async (lab, scale) => sessionWrite(lab, 'rtt30', scale),
  'typing-direct': async (lab, scale) => typing(lab, 'direct', scale),
  'typing-thin30': async (lab, scale) => typing(lab, 'thin30', scale),
  'cold-small-direct': async (lab, scale) => cold(lab, 'small', 'direct', scale),
  'cold-small-rtt30': async (lab, scale) => cold(lab, 'small', 'rtt30', scale),
  'cold-mixed-direct': async (lab, scale) => cold(lab, 'mixed', 'direct', scale),
  'cold-mixed-rtt30': async (lab, scale) => cold(lab, 'mixed', 'rtt30', scale),
  'again-direct': async (lab, scale) => again(lab, 'direct', scale),
  'again-rtt30': async (lab, scale) => again(lab, 'rtt30', scale),
  'delta-direct': async (lab, scale) => delta(lab, 'direct', scale),
  'fetch-direct': async (lab, scale) => fetch(lab, 'direct', scale),
  'fetch-rtt30': async (lab, scale) => fetch(lab, 'rtt30', scale),
  'fetch-rtt100': async (lab, scale) => fetch(lab, 'rtt100', scale),
  'fetch-thin': async (lab, scale) => fetch(lab, 'thin', scale),
  'fetch-lossy': async (lab, scale) => fetch(lab, 'lossy', scale),
  'send-direct': async (lab, scale) => send(lab, 'direct', scale),
  'send-rtt100': async (lab, scale) => send(lab, 'rtt100', scale),
  'same-second': sameSecond,
  moving,
};
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const PROFILE = '--profile=';
const FAR = '--far-mebibytes=';
const FAILURE_CHARS = 600;
const RESULTS = path.join(ROOT, RESULTS_FILE);
const PAGE = path.join(ROOT, PAGE_FILE);

/**
 * `npm run bench -- transport [ROW...] [--quick] [--dry] [--profile=FOLDER] [--far-mebibytes=N]`: our transport beside ssh, scp and rsync against one real sshd. The results of the
 * full profile go into docs/benchmarks.json and docs/benchmarks.md; rows that were not taken keep what they were.
 */
export async function benchTransport(args: readonly string[]): Promise<void> {
  const isQuick = args.includes('--quick');
  const far = args.find((each) => each.startsWith(FAR))?.slice(FAR.length);
  const whole = isQuick ? QUICK : FULL;
  const scale = far === undefined ? whole : { ...whole, farMebibytes: Number(far) };
  const wanted = args.filter((each) => !each.startsWith('--'));
  const works = Object.entries(WORKS).filter(
    ([name]) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)),
  );
  if (works.length === 0) throw new Error(`There are: ${Object.keys(WORKS).join(', ')}`);
  const profile = args.find((each) => each.startsWith(PROFILE))?.slice(PROFILE.length);
  const taken: Row[] = [];
  const commit = commitOf();
  for (const [name, work] of works) {
    // A lab for each: what one leaves behind (caches, memory, connections) helps or hinders no other.
    await using lab = await openLab(scale.neededMebibytes, profile);
    const forget = whenTold(lab);
    const load = os.loadavg()[0] ?? 0;
    const rows = await work(lab, scale).catch((failure: unknown) => {
      process.stdout.write(
        `${name} FAILED: ${String(failure).slice(0, FAILURE_CHARS)}\n${lab.complaints()}\n`,
      );
      process.exitCode = 1;
      return [];
    });
    forget();
    for (const row of rows) process.stdout.write(`${lineOf(row)}\n`);
    taken.push(...rows);
    if (!isQuick && !args.includes('--dry')) keep(name, rows, { scale: scale.name, commit, load });
  }
  const aimed = taken.filter(({ target }) => target !== undefined);
  const count = aimed.filter((row) => reached(row) === true).length;
  process.stdout.write(`${count} of ${aimed.length} targets reached\n`);
}

/** Ended from outside, nothing is left behind: no sshd, no proxy, no disk in memory. */
function whenTold(lab: Lab): () => void {
  const end = (): void => {
    void Promise.resolve(lab[Symbol.asyncDispose]()).finally(() => process.exit(130));
  };
  for (const signal of SIGNALS) process.once(signal, end);
  return () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
}

/** After every row, so that a run which is ended in the middle has not been for nothing. */
function keep(part: string, rows: readonly Row[], about: About): void {
  const takenAt = new Date().toISOString();
  const before = resultsOf(ROOT);
  const latest: Results = {
    machine: machine(),
    command: 'npm run bench -- transport',
    rows: rows.map((row) => ({ ...row, ...about, part, takenAt })),
  };
  const results = merge(before, latest, Object.keys(WORKS));
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(PAGE, benchmarksPage(ROOT));
}

function machine(): Results['machine'] {
  const [first] = os.cpus();
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release().split('-')[0] ?? ''}`,
    node: process.versions.node,
    openssh: outputOf('ssh', ['-V']).split(',')[0] ?? '',
    rsync:
      /rsync\s+version \S+/.exec(outputOf('rsync', ['--version']))?.[0].replace(/\s+/g, ' ') ?? '',
  };
}
