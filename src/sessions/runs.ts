import { after } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import { type PodId, randomToken } from '../core/ids.ts';
import type { OpenOptions } from './host.ts';
import { killProcesses } from './kill.ts';
import type { RunEnd } from './open-channel.ts';
import { EXEC_VARIABLE, execCommand, MAX_SCRIPT_BYTES, readyLine } from './pod-script/exec.ts';
import type { Pool } from './pool.ts';
import { createReady } from './ready.ts';
import { type Run, runOn } from './run.ts';
import { raiseWindow } from './window.ts';

/** After this whoever asked watches over the command, begun or not. */
const HAND_OVER_SECONDS = 2;

export interface RunOptions extends Omit<OpenOptions, 'onLate'> {
  readonly windowBytes?: number | undefined;
  /** The output will be lent, where no channel stands ready (see `Run.lend`). */
  readonly lent?: boolean | undefined;
  /** The script reads nothing: its input ends at once. */
  readonly noInput?: boolean | undefined;
  /** All that the script reads: it goes with it, and its input ends. */
  readonly input?: string | Uint8Array | undefined;
  /** A waiting shell is not asked first whether it took the script: then `Run.maybeUntold`. */
  readonly eager?: boolean | undefined;
}

/** Starts scripts on pods, over a channel that waits for one where there is such. */
export interface Runs {
  /** Throws `invalid_input` (NUL), `too_large`, and what `Pool.open` throws. */
  start(podId: PodId, script: string, options: RunOptions): Promise<Run>;
}

/** Undefined: the shell had died while it waited, and told so in good order. Nothing ran. */
async function handOver(run: Run, line: string, options: RunOptions): Promise<Run | undefined> {
  run.holdAs(options.holder ?? 'commands');
  const begins = run.begins();
  if (options.noInput === true) run.channel.end(line);
  else run.channel.write(line);
  if (options.input !== undefined) run.channel.end(options.input);
  if (options.eager === true) return { ...run, maybeUntold: true };
  const end = await new Promise<RunEnd | undefined>((resolve) => {
    const leave = (): void => {
      resolve(undefined);
    };
    const cancel = after(HAND_OVER_SECONDS, leave);
    options.signal.addEventListener('abort', leave, { once: true });
    void Promise.race([begins, run.ended]).then((first) => {
      cancel();
      options.signal.removeEventListener('abort', leave);
      resolve(first ?? undefined);
    });
  });
  return end?.kind === 'exited' && run.noise() !== undefined ? undefined : run;
}

export function createRuns({
  pool,
  keepaliveSeconds,
  idleSeconds,
  warmChannels,
  givesWay,
}: {
  readonly pool: Pool;
  readonly givesWay?: boolean | undefined;
  readonly warmChannels?: number | undefined;
  readonly keepaliveSeconds?: number | undefined;
  readonly idleSeconds?: number | undefined;
}): Runs {
  const ready = createReady({ pool, keepaliveSeconds, idleSeconds, warmChannels, givesWay });

  async function startPlain(podId: PodId, script: string, options: RunOptions): Promise<Run> {
    const token = randomToken(20);
    const { command, stdinPrefix } = execCommand(script, token, givesWay);
    const held = await pool.open(podId, command, {
      ...options,
      onLate: () => {
        void killProcesses(runs, podId, { variable: EXEC_VARIABLE, token, leader: 0 });
      },
    });
    if (stdinPrefix !== undefined) held.channel.write(stdinPrefix);
    if (options.input !== undefined) held.channel.end(options.input);
    const run = runOn(held, token, options.lent);
    // Not before a command has shown that this login runs commands.
    void run.pid.then((pid) => {
      if (pid > 0) ready.refill(podId);
    });
    return run;
  }

  const runs: Runs = {
    async start(podId, script, options) {
      if (script.includes('\0'))
        throw new InputError('invalid_input', 'A command cannot hold a NUL character.');
      if (Buffer.byteLength(script) > MAX_SCRIPT_BYTES)
        throw new InputError(
          'too_large',
          'The command is longer than a machine accepts in one piece.',
        );
      const { lane = 0, windowBytes, signal } = options;
      const line = lane === 0 && !signal.aborted ? readyLine(script) : undefined;
      const waiting = line === undefined ? undefined : ready.take(podId);
      const taken =
        waiting === undefined || line === undefined
          ? undefined
          : await handOver(waiting, line, options);
      const run = taken ?? (await startPlain(podId, script, options));
      if (windowBytes !== undefined) raiseWindow(run.channel, windowBytes);
      return run;
    },
  };
  return runs;
}
