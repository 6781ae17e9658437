#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readConfig, SETTINGS } from './config.ts';
import { isAppError } from './core/errors.ts';

declare const GPU_LEASE_VERSION: string | undefined;
/** Set by the build. */
const version = typeof GPU_LEASE_VERSION === 'string' ? GPU_LEASE_VERSION : '0.0.0-source';
const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const files = {
  podProgram: [process.execPath, pathOf('./pod.js')],
  mainProgram: pathOf('./main.js'),
  skillsFolder: pathOf('../skills'),
};

process.exitCode = await run(process.argv.slice(2)).catch((thrown: unknown) => {
  const said = isAppError(thrown)
    ? `gpu-lease: ${thrown.message}\n${thrown.hint}\n`
    : `gpu-lease: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`;
  process.stderr.write(said);
  return 1;
});
// Whatever still holds the event loop (a half-open socket, a timer of a library) must not keep a host waiting.
setTimeout(() => process.exit(), 1000).unref();

async function run(argv: readonly string[]): Promise<number> {
  const [command] = argv;
  const stdio = command === undefined || (command.startsWith('--') && isConfigFlag(command));
  const http = command === 'http' && !argv.includes('--help');
  if (stdio || http) {
    const { serve } = await import('./serve.ts');
    const config = readConfig(process.env, configFlags(stdio ? argv : argv.slice(1)));
    return serve({ transport: stdio ? 'stdio' : 'http', config, version, files });
  }
  const { runCommand } = await import('./commands.ts');
  return runCommand(argv, { version, files, environment: process.env });
}

function isConfigFlag(word: string): boolean {
  return SETTINGS.some(
    (setting) =>
      'flag' in setting && (word === setting.flag || word.startsWith(`${setting.flag}=`)),
  );
}

function configFlags(args: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(
    SETTINGS.flatMap((setting) =>
      'flag' in setting ? [[setting.flag.slice(2), { type: 'string' as const }]] : [],
    ),
  );
  return parseArgs({ args: [...args], options, strict: true }).values;
}
