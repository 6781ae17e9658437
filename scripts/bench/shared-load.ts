import { hadWork, runSharedLoad, type SharedLoad } from '../../test/support/shared-load.ts';
import { commitOf, keepFigures, keepText, takenWords } from './kept.ts';

const FULL_SECONDS = 120;
const SHOWN = 20;
const COMMAND = 'npm run bench -- shared-load';

/** `npm run bench -- shared-load [SECONDS] [--dry]`: two servers and the watcher under load on one store, two minutes unless said. */
export async function benchSharedLoad(args: readonly string[]): Promise<void> {
  const seconds = Number(args.find((each) => /^\d+$/.test(each)) ?? FULL_SECONDS);
  const seen = await runSharedLoad(seconds);
  const body = sharedLoadReport(seen, seconds);
  process.stdout.write(`${body}\n${JSON.stringify(seen.calls, undefined, 1)}\n`);
  const broken = [...seen.lostUpdates, ...seen.staleLocks, ...seen.failures];
  for (const line of broken.slice(0, SHOWN)) process.stdout.write(`BROKEN ${line}\n`);
  const isOverrun = Math.max(seen.mostCharged, seen.mostLeases) > seen.mostPods;
  const isSlow = seen.oldestBeatSeconds > seen.beatLimitSeconds;
  const isEmpty = !hadWork(seen);
  if (isEmpty) process.stdout.write('NOTHING DONE: the limit was never met, or nobody watched\n');
  if (broken.length > 0 || isOverrun || isSlow || isEmpty) process.exitCode = 1;
  if (isEmpty || args.includes('--dry') || seconds < FULL_SECONDS) return;
  keepText('shared-load', body);
  keepFigures('sharedLoad', { command: COMMAND, seconds, ...seen });
}

function sharedLoadReport(seen: SharedLoad, seconds: number): string {
  const calls = Object.values(seen.calls).reduce((sum, count) => sum + count, 0);
  const rows: readonly (readonly [string, string, string])[] = [
    ['calls answered', `${calls}`, ''],
    ['pods rented', `${seen.rented}`, ''],
    ['orders that a limit refused', `${seen.refused}`, ''],
    ['lost updates', `${seen.lostUpdates.length}`, '0'],
    ['most pods charged at once, by the books', `${seen.mostCharged}`, `<= ${seen.mostPods}`],
    ['most open leases at once', `${seen.mostLeases}`, `<= ${seen.mostPods}`],
    [
      'longest silence of a living watcher',
      `${seen.oldestBeatSeconds.toFixed(1)} s`,
      `<= ${seen.beatLimitSeconds} s`,
    ],
    ['watchers killed, epochs seen', `${seen.watchersKilled}, ${seen.epochs.join(' ')}`, ''],
    ['longest wait for the write lock', `${seen.longestWriteSeconds.toFixed(2)} s`, ''],
    ['locks that outlived their holder', `${seen.staleLocks.length}`, '0'],
    ['calls that failed', `${seen.failures.length}`, '0'],
  ];
  return [
    '',
    `${takenWords(COMMAND, commitOf())}: ${seconds} s.`,
    '',
    '| what | figure | target |',
    '| --- | --- | --- |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
  ].join('\n');
}
