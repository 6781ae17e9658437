/* Life cycles on three fake clouds whose servers, watchers, machines and links die at seeded moments: what leaks, what is lost. */
import {
  type ChaosBreak,
  type ChaosResult,
  chaosGroups,
  GRACE_SECONDS,
  runChaos,
} from '../../test/support/chaos.ts';
import { type ChaosPlan, chaosPlans } from '../../test/support/chaos-plan.ts';
import { CLOUDS } from '../../test/support/cloud-kill.ts';
import { quantile } from './figures.ts';
import { commitOf, keepFigures, keepText, takenWords } from './kept.ts';

const SEED = 20_261_123;
const FULL_COUNT = 200;
/** Life cycles that share a state folder. */
const GROUP = 8;
const AT_ONCE = 24;
const COMMAND = 'npm run bench -- chaos';

interface Figures {
  readonly cycles: number;
  readonly whole: number;
  readonly machines: number;
  readonly late: number;
  readonly orphans: number;
  readonly artifacts: number;
  readonly home: number;
  readonly lost: number;
  readonly doubles: number;
  readonly hung: number;
  readonly struck: number;
  readonly watchersKilled: number;
  readonly machinesKilled: number;
  readonly machinesSilent: number;
}

/**
 * `npm run bench -- chaos [COUNT] [--seed=N] [--cycle=K[-L]] [--at-once=N] [--story] [--dry]`: 200 life cycles unless said. A
 * full run goes into docs/benchmarks.md, docs/benchmarks.json and README.md. `--cycle` repeats one, or several on one state folder.
 */
export async function benchChaos(args: readonly string[]): Promise<void> {
  const option = (name: string): string | undefined =>
    args.find((each) => each.startsWith(`--${name}=`))?.slice(name.length + 3);
  const count = Number(args.find((each) => /^\d+$/.test(each)) ?? FULL_COUNT);
  const seed = Number(option('seed') ?? SEED);
  const [from, to] = (option('cycle') ?? '').split('-').map(Number);
  const isRepeat = option('cycle') !== undefined && from !== undefined;
  const plans = isRepeat
    ? chaosPlans(seed, (to ?? from) - from + 1, from)
    : chaosPlans(seed, count);
  const commit = commitOf();
  const tellsAll = isRepeat || args.includes('--story');
  const results = await runChaos(
    chaosGroups(plans, GROUP),
    Number(option('at-once') ?? AT_ONCE),
    (result) => {
      tell(result, tellsAll, seed);
    },
  );
  const broken = results.flatMap((result) => result.broken);
  const body = chaosReport(results, { seed, count: plans.length, commit });
  process.stdout.write(`${body}\n`);
  for (const one of broken) process.stdout.write(`${wordsOf(one, seed)}\n`);
  const all = figuresOf(results, plans);
  const kills = all.struck + all.watchersKilled + all.machinesKilled + all.machinesSilent;
  // A run in which nothing was rented or killed proves nothing.
  const isEmpty = all.machines === 0 || (!isRepeat && kills === 0);
  if (isEmpty) process.stdout.write(`NOTHING DONE: ${plans.length} life cycles, ${kills} kills\n`);
  if (isEmpty || broken.length > 0) process.exitCode = 1;
  if (isEmpty || isRepeat || args.includes('--dry') || count < FULL_COUNT) return;
  const stop = meterStop(results);
  keepText('chaos', body);
  keepText('chaos', shortReport(all, stop, commit), 'README.md');
  const about = { command: COMMAND, commit, seed, graceSeconds: GRACE_SECONDS };
  keepFigures('chaos', { ...about, all, meterStop: stop });
}

function tell(result: ChaosResult, tellsAll: boolean, seed: number): void {
  const { plans, traces, broken, failures } = result;
  const cycles = plans.map(({ cycle }) => cycle);
  process.stdout.write(
    `cycles ${Math.min(...cycles)}-${Math.max(...cycles)} (${cycles.length}): ${result.machines} machines, ${result.home} of ${result.artifacts} files home, ${broken.length} broken promises\n`,
  );
  const bad = new Set(broken.map(({ cycle }) => cycle));
  for (const { plan, story } of traces)
    if (tellsAll || bad.has(plan.cycle) || bad.has(undefined))
      process.stdout.write(`  ${JSON.stringify(plan)}\n    ${story.join('\n    ')}\n`);
  for (const one of broken) process.stdout.write(`  ${wordsOf(one, seed)}\n`);
  for (const failure of failures) process.stdout.write(`  the sandbox itself: ${failure}\n`);
}

const wordsOf = ({ kind, cycle, words }: ChaosBreak, seed: number): string =>
  `BROKEN ${kind}: ${words} (npm run bench -- chaos --seed=${seed} --cycle=${cycle ?? '?'})`;

function figuresOf(results: readonly ChaosResult[], plans: readonly ChaosPlan[]): Figures {
  const wanted = new Set(plans.map(({ cycle }) => cycle));
  const sum = (of: (result: ChaosResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const count = (kind: ChaosBreak['kind']): number =>
    sum(({ broken }) => broken.filter((one) => one.kind === kind).length);
  return {
    cycles: wanted.size,
    whole: sum(({ traces }) => traces.filter(({ isWhole }) => isWhole).length),
    machines: sum(({ machines }) => machines),
    late: count('late'),
    orphans: count('orphan'),
    artifacts: sum(({ artifacts }) => artifacts),
    home: sum(({ home }) => home),
    lost: count('lost'),
    doubles: count('double'),
    hung: count('hung'),
    struck: sum(({ struck }) => struck),
    watchersKilled:
      sum(({ watchersKilled }) => watchersKilled) +
      plans.filter(({ isAbandoned }) => isAbandoned).length,
    machinesKilled: sum(({ machinesKilled }) => machinesKilled),
    machinesSilent: sum(({ machinesSilent }) => machinesSilent),
  };
}

function meterStop(results: readonly ChaosResult[]): Readonly<Record<string, number>> {
  const deaths = results.flatMap(({ sinceDeath }) => sinceDeath);
  const deadlines = results.flatMap(({ sinceDeadline }) => sinceDeadline);
  return {
    deaths: deaths.length,
    medianSeconds: round(quantile(deaths, 0.5)),
    worstSeconds: round(Math.max(...deaths)),
    medianAfterDeadlineSeconds: round(quantile(deadlines, 0.5)),
    worstAfterDeadlineSeconds: round(Math.max(...deadlines)),
  };
}
const round = (value: number): number => (Number.isFinite(value) ? Number(value.toFixed(1)) : 0);

/** The part of README.md between its markers. */
function shortReport(all: Figures, stop: Readonly<Record<string, number>>, commit: string): string {
  const rows: readonly (readonly [string, string])[] = [
    ['life cycles, machines charged', `${all.cycles}, ${all.machines}`],
    [`machines charged past their deadline plus ${GRACE_SECONDS} s`, `${all.late}`],
    ['machines that no lease speaks of', `${all.orphans}`],
    ['declared files lost', `${all.lost} of ${all.artifacts}`],
    ['double rentals', `${all.doubles}`],
    [
      'from the death of the client to the end of the charges, median and worst',
      `${stop['medianSeconds']} s, ${stop['worstSeconds']} s`,
    ],
    [
      'from the deadline to the end of the charges, worst',
      `${stop['worstAfterDeadlineSeconds']} s`,
    ],
  ];
  return [
    '',
    `${takenWords(COMMAND, commit)}; pods were rented for 1 to 1.75 minutes.`,
    '',
    '| what | figure |',
    '| --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ].join('\n');
}

/** The part of docs/benchmarks.md between its markers. */
function chaosReport(
  results: readonly ChaosResult[],
  { seed, count, commit }: { seed: number; count: number; commit: string },
): string {
  const plans = results.flatMap((result) => result.plans);
  const all = figuresOf(results, plans);
  const stop = meterStop(results);
  const sum = (of: (result: ChaosResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const kinds = (of: (plan: ChaosPlan) => boolean): number => plans.filter(of).length;
  const rows: readonly (readonly [string, string, string])[] = [
    [
      'life cycles',
      `${count} (${CLOUDS.map((cloud) => `${kinds((plan) => plan.cloud === cloud)} ${cloud}`).join(', ')})`,
      '',
    ],
    ['went to their end: found, quoted, rented, used, fetched, destroyed', `${all.whole}`, ''],
    ['server killed with SIGKILL, client gone, or left alone', `${all.struck}`, ''],
    ['watcher killed while it ran', `${all.watchersKilled}`, ''],
    ['machine killed', `${all.machinesKilled}`, ''],
    ['machine that takes every call and answers none', `${all.machinesSilent}`, ''],
    ['network cut or frozen', `${kinds(({ network }) => network !== undefined)} planned`, ''],
    ['faults of the clouds', `${kinds(({ fault }) => fault !== undefined)} planned`, ''],
    ['machines that were charged', `${all.machines}`, ''],
    [`machines charged past their deadline plus ${GRACE_SECONDS} s`, `${all.late}`, '0'],
    ['machines that no lease speaks of', `${all.orphans}`, '0'],
    ['double rentals', `${all.doubles}`, '0'],
    ['declared files that existed', `${all.artifacts}`, ''],
    ['  home, each with its hash', `${all.home}`, ''],
    ['  their machine broke by itself', `${sum(({ diedWithMachine }) => diedWithMachine)}`, ''],
    ['  younger than 10 s when their machine ended', `${sum(({ tooYoung }) => tooYoung)}`, ''],
    [
      '  nobody was left to fetch them: server and watcher killed for good',
      `${sum(({ nobodyLeft }) => nobodyLeft)}`,
      '',
    ],
    ['  lost', `${all.lost}`, '0'],
    ['calls that hung or broke the protocol', `${all.hung}`, '0'],
    [
      'client death to meter stop, median / worst',
      `${stop['medianSeconds']} / ${stop['worstSeconds']} s`,
      '',
    ],
    [
      'meter stop after the deadline (negative: before it), where the client was gone, median / worst',
      `${stop['medianAfterDeadlineSeconds']} / ${stop['worstAfterDeadlineSeconds']} s`,
      `<= ${GRACE_SECONDS} s`,
    ],
  ];
  return [
    '',
    `${takenWords(COMMAND, commit)} (seed ${seed}).`,
    '',
    '| what | count | target |',
    '| --- | --- | --- |',
    ...rows.map((row) => `| ${row.map((cell) => cell.trim()).join(' | ')} |`),
    '',
  ].join('\n');
}
