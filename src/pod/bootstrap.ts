import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { Environment } from './environment.ts';

/** Runs the boot script in the home, output to `.gpu-lease/bootstrap.log` there, and answers its exit code. */
export async function runSetup(script: string, home: string, env: Environment): Promise<number> {
  const folder = path.join(home, '.gpu-lease');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await using log = await open(path.join(folder, 'bootstrap.log'), 'a', 0o600);
  const child = spawn('/bin/sh', ['-c', script], {
    cwd: home,
    env,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  await once(child, 'exit');
  return child.exitCode ?? 128;
}
