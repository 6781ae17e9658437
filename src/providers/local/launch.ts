import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { CallOptions } from '../../core/call.ts';

export interface LaunchDeps {
  /** The argv that starts the pod program. */
  readonly podProgram: readonly string[];
  /** Absent: that of this process. The pod itself hands on only what every machine has, like PATH. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/** Starts the pod program so that it outlives us. Rejects when it cannot be started at all. */
export async function launch(
  { podProgram, environment }: LaunchDeps,
  args: readonly string[],
  logFile: string | undefined,
): Promise<ChildProcess> {
  const [file = '', ...first] = podProgram;
  await using log = logFile === undefined ? undefined : await open(logFile, 'a', 0o600);
  const output = log?.fd ?? 'ignore';
  const child = spawn(file, [...first, ...args], {
    detached: true,
    stdio: ['ignore', output, output],
    ...(environment === undefined ? {} : { env: environment }),
  });
  child.unref();
  await once(child, 'spawn');
  return child;
}

/** The exit code of a child. An abort ends the waiting, not the child. */
export async function exitOf(child: ChildProcess, { signal }: CallOptions): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit', { signal });
  return child.exitCode ?? 255;
}
