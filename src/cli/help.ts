import type { CommandHelp, Option } from './command.ts';

/** Understood by every command. */
export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  json: { type: 'boolean', help: 'Machine-readable: one JSON document a line.' },
  help: { type: 'boolean', short: 'h', help: 'Show this help.' },
};

/** The first screen: every command in one line. */
export function overview(commands: readonly CommandHelp[], version: string): string {
  const width = Math.max(...commands.map((command) => heading(command).length));
  return [
    `gpu-lease ${version}: GPU machines for AI coding agents, over MCP.`,
    '',
    'Usage: gpu-lease [COMMAND] [options]',
    '',
    'Without a command it serves MCP on stdin and stdout.',
    '',
    'Commands:',
    ...commands.map((command) => `  ${heading(command).padEnd(width)}  ${command.summary}`),
    '',
    'Options:',
    '  --json         Machine-readable output, with every command.',
    '  -h, --help     This text; after a command, the help of that command.',
    '  -v, --version  The version.',
    '',
    'Exit codes: 0 success, 1 the command could not do it, 2 the command line is wrong.',
  ].join('\n');
}

/** The help of one command. */
export function commandHelp(command: CommandHelp): string {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(
    ([name, option]) => ({ left: optionName(name, option), help: option.help }),
  );
  const width = Math.max(...options.map(({ left }) => left.length));
  return [
    `gpu-lease ${command.name}: ${command.summary}`,
    '',
    `Usage: gpu-lease ${heading(command)} [options]`,
    ...(command.details === undefined ? [] : ['', command.details]),
    '',
    'Options:',
    ...options.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}`),
  ].join('\n');
}

function heading(command: CommandHelp): string {
  return command.usage === '' ? command.name : `${command.name} ${command.usage}`;
}

function optionName(name: string, option: Option): string {
  const short = option.short === undefined ? '' : `-${option.short}, `;
  return `${short}--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`;
}
