import { parseArgs } from 'node:util';
import { isAppError, toAppError } from '../core/errors.ts';
import {
  type CliHost,
  type Command,
  type CommandHelp,
  EXIT_FAILED,
  EXIT_OK,
  EXIT_USAGE,
  UsageError,
} from './command.ts';
import { COMMON_OPTIONS, commandHelp } from './help.ts';
import { COMMANDS, helpText, SERVERS } from './index.ts';
import { createOutput, forPeople, type Output, shown } from './output.ts';

/**
 * Runs one command line (without node and script) and answers with the exit code. Never throws for what a command
 * does; `commands` is the list to choose from.
 */
export async function runCli(
  argv: readonly string[],
  host: CliHost,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  const json = beforeDashes(argv).includes('--json');
  const out = createOutput({ ...host, json });
  const [name = '--help', ...rest] = argv;
  if (name === '--version' || name === '-v' || name === 'version') return version(host, out);
  if (name === '--help' || name === '-h') return show(helpText(host.version), out);
  if (name === 'help') return help(rest, host, out, commands);
  const served = SERVERS.find((server) => server.name === name);
  if (served !== undefined) return show(commandHelp(served), out);
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) return unknownCommand(name, out);
  return run(command, rest, host, out);
}

async function run(
  command: Command,
  argv: readonly string[],
  host: CliHost,
  out: Output,
): Promise<number> {
  if (beforeDashes(argv).some((word) => word === '--help' || word === '-h'))
    return show(await helpOf(command, host), out);
  try {
    const { values, positionals } = parse(command, argv);
    return await command.run({ ...host, out, values, positionals });
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) return failed(thrown, host.signal, out);
    if (out.json)
      out.value({ error: { code: 'usage', message: thrown.message, hint: usageOf(command) } });
    else out.note(`${shown(thrown.message)}\n${usageOf(command)}`);
    return EXIT_USAGE;
  }
}

function parse(
  command: Command,
  argv: readonly string[],
): {
  readonly values: Record<string, unknown>;
  readonly positionals: readonly string[];
} & ReturnType<typeof parseArgs> {
  const parsed = parseWords(command, argv);
  const count = parsed.positionals.length;
  if (count < command.positionals.min || count > command.positionals.max)
    throw new UsageError(
      count < command.positionals.min ? 'An argument is missing.' : 'Too many arguments.',
    );
  return parsed;
}

function parseWords(command: CommandHelp, argv: readonly string[]): ReturnType<typeof parseArgs> {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...command.options, ...COMMON_OPTIONS },
      allowPositionals: true,
    });
  } catch (thrown) {
    const words = thrown instanceof Error ? thrown.message : '';
    // What node says of an unknown option goes on with advice for another case.
    const unknown = /^Unknown option '([^']*)'/.exec(words)?.[1];
    if (unknown !== undefined) throw new UsageError(`There is no option ${unknown}.`);
    throw new UsageError(words === '' ? 'The options cannot be read.' : words);
  }
}

function failed(thrown: unknown, signal: AbortSignal, out: Output): number {
  const error = toAppError(thrown, signal);
  const foreign = error.foreignText === undefined ? undefined : shown(error.foreignText, 1000);
  out.value({
    error: {
      code: error.code,
      message: error.message,
      hint: error.hint,
      retryable: error.retryable,
      ...(foreign === undefined ? {} : { foreignText: foreign }),
    },
  });
  if (out.json) return EXIT_FAILED;
  out.note(`${error.code}: ${error.message}`);
  // An unforeseen failure has its reason only in the cause.
  if (!isAppError(thrown) && thrown instanceof Error) out.note(`  cause: ${shown(thrown.message)}`);
  out.note(`  ${forPeople(error.hint)}`);
  if (foreign !== undefined) out.note(`  it said: ${foreign}`);
  return EXIT_FAILED;
}

async function help(
  words: readonly string[],
  host: CliHost,
  out: Output,
  commands: readonly Command[],
): Promise<number> {
  const name = words.find((word) => !word.startsWith('-'));
  if (name === undefined) return show(helpText(host.version), out);
  const found = [...SERVERS, ...commands].find((command) => command.name === name);
  return found === undefined ? unknownCommand(name, out) : show(await helpOf(found, host), out);
}

async function helpOf(command: CommandHelp, host: CliHost): Promise<string> {
  const more = await command.more?.(host);
  return more === undefined ? commandHelp(command) : `${commandHelp(command)}\n\n${more}`;
}

function show(text: string, out: Output): number {
  out.line(text);
  out.value({ help: text });
  return EXIT_OK;
}

function version(host: CliHost, out: Output): number {
  out.line(host.version);
  out.value({ name: 'gpu-lease', version: host.version });
  return EXIT_OK;
}

function unknownCommand(name: string, out: Output): number {
  const message = `There is no command "${shown(name, 60)}".`;
  if (out.json) out.value({ error: { code: 'usage', message, hint: 'Run gpu-lease --help.' } });
  else out.note(`${message} Run gpu-lease --help.`);
  return EXIT_USAGE;
}

function usageOf(command: CommandHelp): string {
  return `Usage: gpu-lease ${command.name} ${command.usage} [options]; more with --help.`.replace(
    '  ',
    ' ',
  );
}

/** Words after `--` are never options. */
function beforeDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}
