import path from 'node:path';
import { count } from '../../core/count.ts';
import { Disposer } from '../../core/disposer.ts';
import type { Sandbox, SandboxOptions } from '../../core/sandbox.ts';
import {
  type CliHost,
  type Command,
  type CommandContext,
  EXIT_OK,
  flag,
  numberOf,
  text,
  texts,
} from '../command.ts';
import { shown, usd } from '../output.ts';
import { FAULT_SYNTAX, faultFrom } from './fault-words.ts';
import { show } from './run.ts';
import { exportLines, variablesOf, writeVarsFile } from './vars-file.ts';
import { requestLine, welcome } from './view.ts';

export const sandboxCommand: Command = {
  name: 'sandbox',
  summary: 'Made-up clouds on this machine, to rehearse for free.',
  usage: '',
  details:
    'Starts clouds that answer like the real ones; their machines are pods of this machine with a GPU that is only said to\nbe there. Prints the variables that point a client at them, then shows what happens until Ctrl-C, which ends it all.\nThe machines have a home of their own and no walls: what a script does outside that home, it does on this machine.',
  positionals: { min: 0, max: 0 },
  options: {
    speed: { type: 'string', value: 'N', help: 'Its clock runs N times faster (default 1).' },
    seed: { type: 'string', value: 'N', help: 'The same seed makes the same offers (default 1).' },
    offers: { type: 'string', value: 'N', help: 'How many offers there are (default 200).' },
    port: { type: 'string', value: 'PORT', help: 'Port of the first cloud (default: a free one).' },
    credit: { type: 'string', value: 'USD', help: 'Made-up dollars on the account (default 100).' },
    fault: {
      type: 'string',
      multiple: true,
      value: 'FAULT',
      help: 'What goes wrong; may be repeated. See below.',
    },
    chaos: {
      type: 'string',
      value: 'RATE',
      help: 'Faults by chance, 0 to 1; the same seed, the same luck.',
    },
    // Not "env-file": node takes a flag of that name for its own, wherever it stands.
    'vars-file': { type: 'string', value: 'PATH', help: 'Write the variables here, for source.' },
    'machine-minutes': {
      type: 'string',
      value: 'N',
      help: 'How long machines outlive a sandbox that was killed (default 10).',
    },
    once: { type: 'boolean', help: 'Start, say so, end: to see that it works here.' },
  },
  more: faultList,
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { out, values, signal, clock, workingFolder, interactive } = context;
  const live = interactive && !out.json;
  const options = optionsFrom(context);
  const program = await context.sandbox();
  const disposer = new Disposer();
  try {
    const sandbox = disposer.use(
      await program.open({
        ...options,
        onRequest: (seen) => {
          out.value({ event: 'request', ...seen });
          if (!live) out.line(requestLine(seen));
        },
        onFailure: (failure) => {
          const message = failure instanceof Error ? failure.message : String(failure);
          out.value({ event: 'failure', message });
          out.note(`The sandbox itself failed: ${shown(message)}`);
        },
      }),
    );
    const exports = exportLines(sandbox.origins);
    const given = text(values, 'vars-file');
    const varsFile = given === undefined ? undefined : path.resolve(workingFolder, given);
    if (varsFile !== undefined) disposer.use(await writeVarsFile(varsFile, exports));
    const { origins, folder, swept } = sandbox;
    out.value({
      event: 'started',
      origins,
      variables: variablesOf(origins),
      folder,
      swept,
      pid: process.pid,
    });
    for (const line of welcome(sandbox, exports, varsFile)) out.line(line);
    if (!flag(values, 'once')) await show({ sandbox, out, clock, signal, live });
    await finish(sandbox, context);
    return EXIT_OK;
  } finally {
    await disposer[Symbol.asyncDispose]();
  }
}

async function finish(sandbox: Sandbox, { out }: CommandContext): Promise<void> {
  const { clouds } = sandbox.books();
  const spentUsd = clouds.reduce((sum, cloud) => sum + cloud.spentUsd, 0);
  out.line('Ending the machines.');
  const destroyed = await sandbox.end();
  out.value({ event: 'ended', destroyed, spentUsd });
  out.line(
    `The sandbox has ended: ${count(destroyed, 'machine')} destroyed, ${usd(spentUsd)} of made-up money billed.`,
  );
}

function optionsFrom({ values, clock }: CommandContext): SandboxOptions {
  const minutes = numberOf(values, 'machine-minutes', { min: 0.05, max: 10_000 });
  return {
    speed: numberOf(values, 'speed', { min: 0, max: 100_000 }),
    seed: numberOf(values, 'seed', { min: 0, max: 2 ** 32 - 1, whole: true }),
    // State of an earlier rehearsal knows pods of that one: none of this has an id of theirs.
    draw: clock.now().getTime() % 2 ** 32,
    offers: numberOf(values, 'offers', { min: 0, max: 10_000, whole: true }),
    port: numberOf(values, 'port', { min: 0, max: 65_535, whole: true }),
    creditUsd: numberOf(values, 'credit', { min: -1_000_000, max: 1_000_000 }),
    chaos: numberOf(values, 'chaos', { min: 0, max: 1 }),
    machineSeconds: minutes === undefined ? undefined : minutes * 60,
    faults: texts(values, 'fault').map(faultFrom),
  };
}

/** For the help: every fault that some cloud can have. */
async function faultList(host: CliHost): Promise<string> {
  const { faultKinds } = await host.sandbox();
  const width = Math.max(...faultKinds.map(({ kind }) => kind.length));
  return [
    `Faults: ${FAULT_SYNTAX}, WHERE being an offer's id, machine:ID, cloud:NAME or route:"METHOD /path", like`,
    '--fault stuck-loading@26041470 --fault "rate-limitx3@route:PUT /api/v0/asks" --fault outbid+120',
    ...[...new Set(faultKinds.map(({ cloud }) => cloud))].flatMap((cloud) => [
      `Of ${cloud}:`,
      ...faultKinds
        .filter((fault) => fault.cloud === cloud)
        .map(({ kind, summary }) => `  ${kind.padEnd(width)}  ${summary}`),
    ]),
  ].join('\n');
}
