import { count } from '../core/count.ts';
import { toAppError } from '../core/errors.ts';
import { endedWords } from '../core/left-behind.ts';
import type { WatchRecord, WatchRound } from '../core/watcher.ts';
import { type Command, type CommandContext, EXIT_FAILED, EXIT_OK, flag } from './command.ts';
import { shown, usd } from './output.ts';
import { installWatch, uninstallWatch, WATCH_INSTALL_OPTIONS } from './watch-install.ts';

const EVERY_SECONDS = 10;
/** With the names of what was lost. */
const ACTION_CHARS = 2000;
const WATCHING = `Watching every ${EVERY_SECONDS} s. Ctrl-C ends the watcher; pods go on.`;

export const watchCommand: Command = {
  name: 'watch',
  summary: 'Enforce deadlines and budgets in the foreground until Ctrl-C.',
  usage: '',
  details: `Every ${EVERY_SECONDS} seconds it takes up what a crash left half done and ends what is due, bringing declared files home first.
One process watches a state folder: servers start one in the background with the first pod that costs money. Where one
watches, this command says which and does nothing (exit code 1; with --once 0).`,
  positionals: { min: 0, max: 0 },
  options: {
    once: { type: 'boolean', help: 'One round, then exit: for cron.' },
    wait: { type: 'boolean', help: 'Wait until no other process watches, then do it.' },
    ...WATCH_INSTALL_OPTIONS,
  },
  run: async (context: CommandContext) => {
    const { values } = context;
    if (flag(values, 'install')) return installWatch(context);
    if (flag(values, 'uninstall')) return uninstallWatch(context);
    return watch(context);
  },
};

async function watch(context: CommandContext): Promise<number> {
  const { out, values, signal, services } = context;
  const { watcher } = await services();
  const isOnce = flag(values, 'once');
  const waits = !isOnce && flag(values, 'wait');
  if (waits) out.line('Begins as soon as no other process watches.');
  const end = await watcher.watch(
    {
      way: isOnce ? 'once' : 'foreground',
      waits,
      onHold: () => {
        if (!isOnce) out.line(WATCHING);
      },
      onRound: async (round) => tell(context, round),
    },
    { signal },
  );
  if (end.kind !== 'ended') {
    const words = `${end.kind === 'held' ? 'Not started' : 'Ended'}: ${wordsOf(end.by)} watches these leases${end.kind === 'held' ? ' already' : ''}.`;
    out.value({ outcome: end.kind, by: end.by });
    out.line(words);
    if (!isOnce && end.kind === 'held') out.line('Add --wait to take over when it ends.');
    return isOnce ? EXIT_OK : EXIT_FAILED;
  }
  if (isOnce) return end.isFine ? EXIT_OK : EXIT_FAILED;
  out.line('The watcher ended. Pods keep their own deadlines.');
  return EXIT_OK;
}

function wordsOf(by: WatchRecord | undefined): string {
  return by === undefined
    ? 'another process'
    : `process ${by.pid} (${by.way}, since ${by.takenAt}, last heard ${by.beatAt})`;
}

/** A round that failed is told and tried again: a watcher that dies of one bad answer watches nothing. */
async function tell(context: CommandContext, round: WatchRound): Promise<void> {
  const { out, services, signal } = context;
  const { at, actions, failure } = round;
  if (failure !== undefined) complain(context, at, failure);
  try {
    const { pods } = await services();
    const {
      usdPerHour,
      pods: all,
      ended = [],
    } = await pods.list({ includeEnded: false }, { signal });
    // Seen gone by this round, and not by what it did.
    const found = ended
      .filter(
        ({ podId, seenAt }) => seenAt >= at && !actions.some((a) => a.startsWith(`${podId}: `)),
      )
      .map(endedWords);
    if (failure === undefined)
      out.value({ at, actions: [...actions, ...found], pods: all.length, usdPerHour });
    for (const action of [...actions, ...found])
      out.line(`${at}  ${out.paint('yellow', shown(action, ACTION_CHARS))}`);
    out.line(out.paint('dim', `${at}  ${count(all.length, 'pod')}, ${usd(usdPerHour)} per hour`));
  } catch (thrown) {
    if (!signal.aborted && failure === undefined) complain(context, at, thrown);
  }
}

function complain({ out, signal }: CommandContext, at: string, thrown: unknown): void {
  const error = toAppError(thrown, signal);
  out.value({ at, error: { code: error.code, message: error.message, hint: error.hint } });
  if (!out.json) out.note(`${at}  ${error.code}: ${error.message} ${error.hint}`);
}
