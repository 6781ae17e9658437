import { homedir } from 'node:os';
import type { ProgramFiles } from './app.ts';
import type { CliHost } from './cli/command.ts';
import { runCli } from './cli/run.ts';
import { type Config, readConfig, SETTINGS } from './config.ts';
import { systemClock } from './core/call.ts';

/** Runs a command for people and answers with its exit code. The app is built only when the command needs it. */
export async function runCommand(
  argv: readonly string[],
  {
    version,
    files,
    environment,
  }: {
    readonly version: string;
    readonly files: ProgramFiles;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
): Promise<number> {
  const { flags, words } = splitFlags(argv);
  const config: Config = readConfig(environment, flags);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => interrupt.abort());
  let opened:
    | Promise<AsyncDisposable & { services: Awaited<ReturnType<CliHost['services']>> }>
    | undefined;
  const host: CliHost = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdin.isTTY && process.stdout.isTTY,
    colour: config.colour && process.stdout.isTTY,
    services: async () => {
      opened ??= import('./app.ts').then(({ createApp }) => createApp(config, files));
      return (await opened).services;
    },
    clock: systemClock,
    signal: interrupt.signal,
    version,
    nodePath: process.execPath,
    mainPath: files.mainProgram,
    userHome: homedir(),
    workingFolder: process.cwd(),
    platform: process.platform,
    settingsFolder: environment['XDG_CONFIG_HOME'] ?? environment['APPDATA'],
  };
  try {
    return await runCli(words, host);
  } finally {
    await (await opened)?.[Symbol.asyncDispose]();
  }
}

/** Flags of the configuration may stand anywhere after the command; the rest belongs to the command. */
function splitFlags(argv: readonly string[]): {
  readonly flags: Record<string, string>;
  readonly words: readonly string[];
} {
  const known = SETTINGS.flatMap((setting) => ('flag' in setting ? [setting.flag] : []));
  const flags: Record<string, string> = {};
  const words: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    const flag = known.find((name) => word === name || word.startsWith(`${name}=`));
    if (flag === undefined) words.push(word);
    else if (word === flag) flags[flag.slice(2)] = argv[(index += 1)] ?? '';
    else flags[flag.slice(2)] = word.slice(flag.length + 1);
  }
  return { flags, words };
}
