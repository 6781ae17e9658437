import { toAppError } from '../core/errors.ts';
import { type Command, type CommandContext, EXIT_FAILED, EXIT_OK, flag } from './command.ts';
import { shown, usd } from './output.ts';

const EVERY_SECONDS = 15;

export const watchCommand: Command = {
  name: 'watch',
  summary: 'Enforce deadlines and budgets in the foreground until Ctrl-C.',
  usage: '',
  details: `Every ${EVERY_SECONDS} seconds it takes up what a crash left half done and ends what is due.`,
  positionals: { min: 0, max: 0 },
  options: { once: { type: 'boolean', help: 'One round, then exit.' } },
  run: async (context: CommandContext) => {
    const { out, values, signal, clock } = context;
    out.line(`Watching every ${EVERY_SECONDS} s. Ctrl-C ends the watcher; pods go on.`);
    for (;;) {
      const fine = await round(context);
      if (flag(values, 'once')) return fine ? EXIT_OK : EXIT_FAILED;
      try {
        await clock.sleep(EVERY_SECONDS, { signal });
      } catch {
        out.line('The watcher ended. Pods keep their own deadlines.');
        return EXIT_OK;
      }
    }
  },
};

/** One failed round is told and tried again: a watcher that dies of one bad answer watches nothing. */
async function round({ services, out, values, signal, clock }: CommandContext): Promise<boolean> {
  const at = clock.now().toISOString();
  try {
    const { pods } = await services();
    // A repair that fails must not keep deadlines from being enforced.
    const repair = await Promise.allSettled([pods.reconcile({ signal })]);
    // Replacing a pod may take minutes; deadlines do not wait for it, but the last round does.
    const care = pods.tend?.({ signal }) ?? Promise.resolve();
    care.catch(() => undefined);
    const actions = await pods.enforce({ signal });
    if (flag(values, 'once')) await care;
    const { usdPerHour, pods: all } = await pods.list({ includeEnded: false }, { signal });
    out.value({ at, actions, pods: all.length, usdPerHour });
    for (const action of actions) out.line(`${at}  ${out.paint('yellow', shown(action))}`);
    out.line(out.paint('dim', `${at}  ${all.length} pods, ${usd(usdPerHour)} per hour`));
    for (const outcome of repair)
      if (outcome.status === 'rejected') throw toAppError(outcome.reason, signal);
    return true;
  } catch (thrown) {
    if (signal.aborted) return true;
    const error = toAppError(thrown, signal);
    out.value({ at, error: { code: error.code, message: error.message, hint: error.hint } });
    if (!out.json) out.note(`${at}  ${error.code}: ${error.message} ${error.hint}`);
    return false;
  }
}
