import {
  CLOUDS,
  type KilledCloud,
  type KillPlan,
  type KillResult,
  killPlans,
  runKills,
} from '../../test/support/cloud-kill.ts';
import { quantile, say } from './figures.ts';

const RUNS = 24;
const AT_ONCE = 4;
const SEED = 20;

/** Kills the server in the middle of create_pod, again and again, and counts what the next one does not find. */
export async function benchOrphans(): Promise<void> {
  for (const cloud of CLOUDS) await benchCloud(cloud);
}

async function benchCloud(cloud: KilledCloud): Promise<void> {
  const frozen: KillPlan = { cloud, seed: SEED, moment: { kind: 'frozen', seconds: 5 } };
  const plans = [...killPlans(cloud, RUNS, SEED), frozen];
  const results = await runKills(plans, AT_ONCE, tell);
  const known = results.flatMap(({ secondsToKnown }) => secondsToKnown ?? []);
  const sum = (count: (result: KillResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  say(`kill -9 in the middle of create_pod, ${cloud}: runs`, `${results.length}`, '>= 20');
  say('  kills', `${RUNS}`, '>= 20');
  say('  machines charged when it died, or after', `${known.length}`, '');
  say('  orphans', `${sum(({ orphans, left }) => orphans.length + left.length)}`, '0');
  say('  double rentals', `${sum(({ doubles }) => doubles)}`, '0');
  say(
    '  seconds from restart to known, p50 / worst',
    `${quantile(known, 0.5).toFixed(1)} / ${Math.max(...known).toFixed(1)} s`,
    '<= 30 s',
  );
}

function tell({ cloud, moment, isFirstBad }: KillPlan, result: KillResult): void {
  const { during, orphans, doubles, secondsToKnown, left, calls } = result;
  const words = [
    `${cloud} ${JSON.stringify(moment)}${isFirstBad === true ? ' after a bad host' : ''}`,
    `at ${during}`,
    secondsToKnown === undefined ? 'nothing charged' : `known in ${secondsToKnown.toFixed(1)} s`,
    `${calls} calls`,
    ...(orphans.length + left.length + doubles === 0 ? [] : [JSON.stringify(result)]),
  ];
  process.stdout.write(`  ${words.join(', ')}\n`);
}
