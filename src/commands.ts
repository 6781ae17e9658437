import { homedir } from 'node:os';
import type { ProgramFiles } from './app.ts';
import type { CliHost } from './cli/command.ts';
import { runCli } from './cli/run.ts';
import { type Config, readConfig } from './config.ts';
import { systemClock } from './core/call.ts';

/** Runs a command for people and answers with its exit code. The app is built only when the command needs it. */
export async function runCommand(
  words: readonly string[],
  {
    version,
    files,
    environment,
    flags,
  }: {
    readonly version: string;
    readonly files: ProgramFiles;
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly flags: Readonly<Record<string, string>>;
  },
): Promise<number> {
  // The sandbox has a port of its own: the flag of that name is no setting there.
  const isSandbox = words[0] === 'sandbox';
  const { port, ...others } = flags;
  const own =
    isSandbox && port !== undefined
      ? [...words.slice(0, 1), '--port', port, ...words.slice(1)]
      : words;
  const config: Config = readConfig(environment, isSandbox ? others : flags);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      interrupt.abort();
    });
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
    sandbox: async () => (await import('./sandbox-host.ts')).sandboxOf(config, files),
    verifier: async () => (await import('./files/verify.ts')).createVerifier(),
    clock: systemClock,
    signal: interrupt.signal,
    version,
    nodePath: process.execPath,
    mainPath: files.mainProgram,
    userHome: homedir(),
    stateFolder: config.home,
    workingFolder: process.cwd(),
    platform: process.platform,
    settingsFolder: environment['XDG_CONFIG_HOME'] ?? environment['APPDATA'],
  };
  try {
    return await runCli(own, host);
  } finally {
    await (await opened)?.[Symbol.asyncDispose]();
  }
}
