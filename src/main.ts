#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { readConfig } from './config.ts';
import { isAppError } from './core/errors.ts';
import { splitFlags } from './flags.ts';

declare const GPU_LEASE_VERSION: string | undefined;
/** Set by the build. */
const version = typeof GPU_LEASE_VERSION === 'string' ? GPU_LEASE_VERSION : '0.0.0-source';
const pathOf = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const files = {
  podProgram: [process.execPath, pathOf('./pod.js')],
  mainProgram: pathOf('./main.js'),
  skillsFolder: pathOf('../skills'),
  transferWorker: pathOf('./transfer-worker.js'),
  version,
};

/** Young objects are few there; the space for them is kept small. */
const WATCH_COMMAND = [
  process.execPath,
  '--max-semi-space-size=1',
  files.mainProgram,
  'watch',
  '--background',
];

process.exitCode = await run(process.argv.slice(2)).catch((thrown: unknown) => {
  const said = isAppError(thrown)
    ? `gpu-lease: ${thrown.message}\n${thrown.hint}\n`
    : `gpu-lease: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`;
  process.stderr.write(said);
  return 1;
});
// Nothing is left to do: ended here, and not by Node's own clearing up, which can wait for a handle for ever.
process.once('beforeExit', () => {
  process.exit();
});
// Whatever still holds the event loop (a half-open socket, a timer of a library) must not keep a host waiting.
setTimeout(() => process.exit(), 1000).unref();

async function run(argv: readonly string[]): Promise<number> {
  const { flags, words } = splitFlags(argv);
  const [command, ...rest] = words;
  const isHttp = command === 'http' && rest.length === 0;
  if (command === undefined || isHttp) {
    const { serve } = await import('./serve.ts');
    const config = readConfig(process.env, flags);
    const served = { ...files, watchCommand: WATCH_COMMAND };
    return serve({ transport: isHttp ? 'http' : 'stdio', config, version, files: served });
  }
  if (command === 'watch' && rest[0] === '--background') {
    const { watchInBackground } = await import('./watch-program.ts');
    const over = rest[1] === '--over' ? Number(rest[2]) : undefined;
    return watchInBackground(readConfig(process.env, flags), files, over);
  }
  const { runCommand } = await import('./commands.ts');
  return runCommand(words, { version, files, environment: process.env, flags });
}
