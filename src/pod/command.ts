import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ServerChannel } from 'ssh2';
import { sendSignal } from '../core/local-process.ts';
import { createChannelOutput } from './channel-output.ts';
import type { Environment } from './environment.ts';

export interface Running {
  /** `name` as SSH says it, with or without "SIG". */
  signal(name: string): void;
  resize(columns: number, rows: number): void;
}

/**
 * Runs a program without a terminal, in a session of its own. As with sshd, the channel stays open until everybody has
 * closed the output, and a client that goes away closes the pipes but kills nothing.
 */
export function runCommand(
  channel: ServerChannel,
  argv: { readonly file: string; readonly args: readonly string[] },
  place: { readonly home: string; readonly env: Environment },
): Running {
  const child = spawn(argv.file, argv.args, {
    cwd: place.home,
    env: place.env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const output = createChannelOutput(channel);
  const drainInput = (): void => {
    channel.unpipe(child.stdin);
    channel.resume();
  };
  child.stdin.once('error', drainInput).once('close', drainInput);
  channel.pipe(child.stdin);
  channel.once('close', () => {
    child.stdin.destroy();
  });

  const finish = async (): Promise<void> => {
    const ended = once(child, 'exit').catch(() => undefined);
    await Promise.all([
      output.pump(child.stdout, 'stdout'),
      output.pump(child.stderr, 'stderr'),
      ended,
    ]);
    if (output.isClosed()) return;
    if (child.signalCode !== null) channel.exit(child.signalCode.slice(3), false, '');
    else channel.exit(child.exitCode ?? 127);
    channel.end();
  };
  void finish();

  return {
    signal: (name) => {
      if (child.pid !== undefined) signalGroup(child.pid, name);
    },
    resize: () => undefined,
  };
}

const SIGNALS = [
  'ABRT',
  'ALRM',
  'FPE',
  'HUP',
  'ILL',
  'INT',
  'KILL',
  'PIPE',
  'QUIT',
  'SEGV',
] as const;
const MORE_SIGNALS = ['TERM', 'USR1', 'USR2', 'STOP', 'CONT', 'WINCH'] as const;

/** Signals the whole process group of `leader`. Unknown names and finished groups are let be. */
export function signalGroup(leader: number, name: string): void {
  const short = name.replace(/^SIG/, '');
  const known = [...SIGNALS, ...MORE_SIGNALS].find((candidate) => candidate === short);
  if (known !== undefined) sendSignal(-leader, `SIG${known}`);
}
