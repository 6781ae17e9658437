import { createInterface } from 'node:readline';
import type { Gate } from '../core/files.ts';
import { podIdSchema } from '../core/ids.ts';
import type { Ask, DestroyOutcome } from '../core/pods.ts';
import {
  type Command,
  type CommandContext,
  EXIT_FAILED,
  EXIT_OK,
  flag,
  text,
  UsageError,
} from './command.ts';
import { duration, shown, usd } from './output.ts';

export const destroyCommand: Command = {
  name: 'destroy',
  summary: 'Destroy a pod and prove that it is gone.',
  usage: 'POD_ID',
  details:
    'Refused while declared artifacts are not home or a job runs; --discard-unfetched with --reason lets it pass.',
  positionals: { min: 1, max: 1 },
  options: {
    yes: { type: 'boolean', short: 'y', help: 'Do not ask.' },
    'discard-unfetched': { type: 'boolean', help: 'Give up files that are not home. On record.' },
    reason: { type: 'string', value: 'TEXT', help: 'Why; needed to give up files.' },
  },
  run: async (context: CommandContext) => {
    const { services, out, values, positionals, signal } = context;
    const parsed = podIdSchema.safeParse(positionals[0]);
    if (!parsed.success) throw new UsageError(parsed.error.issues[0]?.message ?? 'Not a pod id.');
    const podId = parsed.data;
    const discardUnfetched = flag(values, 'discard-unfetched');
    const reason = text(values, 'reason');
    if (discardUnfetched && (reason ?? '').trim() === '')
      throw new UsageError('--discard-unfetched needs --reason: what is given up goes on record.');
    const { pods, files } = await services();
    const { pod } = await pods.get(podId, { waitSeconds: 0 }, { signal });
    if (!flag(values, 'yes')) {
      const gates = await files.gates(podId, { signal });
      const cost = pod.spentUsd === undefined ? '' : `, ${usd(pod.spentUsd)} spent`;
      out.line(`${podId} "${shown(pod.name)}" is ${pod.status}${cost}.`);
      for (const line of gateLines(gates)) out.line(line);
      if (!(await confirmed(context, `Destroy ${podId}?`))) {
        out.value({ podId, outcome: 'not_asked_for' });
        out.line('Nothing was destroyed.');
        return EXIT_FAILED;
      }
    }
    const outcome = await pods.destroy(
      podId,
      {
        discardUnfetched,
        ...(reason === undefined ? {} : { reason }),
        waitSeconds: 45,
        by: 'person',
      },
      {
        signal,
        ask: askFor(context),
        progress: (message) => {
          out.line(out.paint('dim', shown(message)));
        },
      },
    );
    out.value({ podId, ...outcome });
    for (const line of render(podId, outcome)) out.line(line);
    return outcome.outcome === 'gone' ? EXIT_OK : EXIT_FAILED;
  },
};

function render(podId: string, outcome: DestroyOutcome): readonly string[] {
  switch (outcome.outcome) {
    case 'gone': {
      const { receipt } = outcome;
      if (receipt === undefined) return [`${podId} is gone.`];
      return [
        `${podId} is gone: ${shown(receipt.proof.how)} (${receipt.proof.readAt}).`,
        `It ran ${duration(receipt.runtimeSeconds)} and cost about ${usd(receipt.estimatedUsd)}.`,
        `${receipt.artifacts.length} artifacts are home.`,
      ];
    }
    case 'present':
      return [`${podId} is still there and may cost money. Run destroy again.`];
    case 'unknown':
      return [`Nobody could say whether ${podId} is gone. It may cost money. Run destroy again.`];
    case 'blocked':
      return [
        `${podId} was not destroyed.`,
        ...gateLines(outcome.missing),
        ...(outcome.missing.length === 0 ? [] : [WAY_OUT]),
      ];
  }
}

const WAY_OUT =
  'To give them up for good: --discard-unfetched --reason "why". To save them: fetch_artifacts, through your agent.';

function gateLines(gates: readonly Gate[]): readonly string[] {
  if (gates.length === 0) return ['Every declared artifact is home and proven.'];
  return [
    'It holds what is nowhere else:',
    ...gates.map(
      ({ gate, path, why }) =>
        `  - ${gate}${path === undefined ? '' : ` ${shown(path)}`}: ${shown(why)}`,
    ),
  ];
}

/** Giving up a file is a question of its own, which `--yes` alone does not answer. */
function askFor(context: CommandContext): Ask {
  return async ({ message }) => {
    if (flag(context.values, 'discard-unfetched') && flag(context.values, 'yes')) return 'accepted';
    if (!context.interactive || context.out.json) return 'unavailable';
    return (await confirmed(context, message)) ? 'accepted' : 'declined';
  };
}

async function confirmed(context: CommandContext, question: string): Promise<boolean> {
  const { stdin, out, interactive, signal } = context;
  if (!interactive || out.json)
    throw new UsageError('Nobody can be asked here. Add --yes to destroy without a question.');
  out.prompt(`${shown(question, 500)} [y/N] `);
  // The end of the input closes the reader without a line: that is a no.
  for await (const answer of createInterface({ input: stdin, signal }))
    return /^y(?:es)?$/i.test(answer.trim());
  return false;
}
