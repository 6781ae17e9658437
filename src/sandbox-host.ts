import path from 'node:path';
import type { ProgramFiles } from './app.ts';
import type { Config } from './config.ts';
import { systemClock } from './core/call.ts';
import { podProgramEnvironment } from './core/embedded-pod.ts';
import type { SandboxProgram } from './core/sandbox.ts';
import { createLocalProvider } from './providers/local/provider.ts';
import { CLOUDS } from './sandbox/clouds.ts';
import { createSandboxProgram } from './sandbox/sandbox.ts';

/** The made-up clouds of this person: their files lie below the state folder, their machines are pods of this machine. */
export function sandboxOf(config: Config, files: ProgramFiles): SandboxProgram {
  const { podProgram } = files;
  const environment = podProgramEnvironment(config.ownEnvironment());
  return createSandboxProgram({
    clouds: CLOUDS,
    folder: path.join(config.home, 'sandbox'),
    podsIn: (home) => createLocalProvider({ home, podProgram, environment, clock: systemClock }),
    clock: systemClock,
    searchPath: config.environmentValue('PATH') ?? '/usr/local/bin:/usr/bin:/bin',
  });
}
