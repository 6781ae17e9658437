import { once } from 'node:events';
import { finished, pipeline } from 'node:stream/promises';
import { after, type CallOptions } from '../core/call.ts';
import { POD_TOKEN_VARIABLE } from '../core/embedded-pod.ts';
import { CancelledError, isAppError, RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import type { Machines } from '../core/machine.ts';
import type { Remote } from '../core/remote.ts';
import { feedInput } from './feed-input.ts';
import { killProcesses } from './kill.ts';
import type { RunEnd } from './open-channel.ts';
import { otherProgram } from './other-program.ts';
import { EXEC_VARIABLE } from './pod-script/exec.ts';
import type { Pool } from './pool.ts';
import { createBoundedBuffer } from './preamble.ts';
import type { Run } from './run.ts';
import type { Runs } from './runs.ts';

const DEFAULT_MAX_BYTES = 1024 * 1024;
const MAX_STDERR_BYTES = 256 * 1024;
/** How long an ended call waits for the script to have begun, so that the search for its processes finds them. */
const START_GRACE_SECONDS = 3;
const WORK_FOLDER_SECONDS = 30;

type Why = 'timeout' | 'abort';

/** `Remote` over the pooled connections. */
export function createRemote({
  pool,
  runs,
  machines,
}: {
  readonly pool: Pool;
  readonly runs: Runs;
  readonly machines: Machines;
}): Remote {
  const workFolders = new Map<PodId, string>();

  /** Waits for the end; a timeout or an abort ends the processes first and then throws. */
  async function guarded<T>(
    podId: PodId,
    run: Run,
    work: Promise<T>,
    { signal, timeoutSeconds }: CallOptions & { readonly timeoutSeconds: number },
  ): Promise<T> {
    let stop: ((why: Why) => void) | undefined;
    const why = new Promise<Why>((resolve) => {
      stop = resolve;
    });
    const onAbort = (): void => stop?.('abort');
    const cancel = after(timeoutSeconds, () => stop?.('timeout'));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const first = await Promise.race([work.then((value) => ({ value })), why]);
      if (typeof first !== 'string') return first.value;
      work.catch(() => undefined);
      throw await endRun(podId, run, first);
    } finally {
      signal.removeEventListener('abort', onAbort);
      cancel();
    }
  }

  async function endRun(podId: PodId, run: Run, why: Why): Promise<Error> {
    const grace = AbortSignal.timeout(START_GRACE_SECONDS * 1000);
    const leader = await Promise.race([run.pid, once(grace, 'abort').then(() => 0)]);
    const outcome = await killProcesses(runs, podId, {
      variable: EXEC_VARIABLE,
      token: run.token,
      leader,
    });
    run.channel.destroy();
    const what = why === 'timeout' ? 'The command took too long' : 'The call was cancelled';
    if (outcome === 'unknown')
      return new RemoteError(
        'link_lost',
        `${what}, and the link broke before its processes were seen gone.`,
      );
    if (outcome === 'left')
      return new RemoteError('remote_failed', `${what}, and some of its processes will not end.`, {
        hint: 'They may wait for a device or a disk. Look with ps; restart the pod if they must go.',
      });
    return why === 'timeout'
      ? new RemoteError('command_timeout', `${what} and was ended.`)
      : new CancelledError('cancelled', `${what}; its processes are gone.`);
  }

  const remote: Remote = {
    async exec(podId, script, options) {
      const run = await runs.start(podId, script, {
        signal: options.signal,
        withinSeconds: options.timeoutSeconds,
        noInput: options.stdin === undefined,
        input: options.stdin,
      });
      const max = options.maxBytes ?? DEFAULT_MAX_BYTES;
      const stdout = createBoundedBuffer(max);
      const stderr = createBoundedBuffer(max);
      const read = Promise.all([run.out.collect(stdout.add), run.err.collect(stderr.add)]);
      if (options.stdin === undefined) run.channel.end();
      const [ended] = await guarded(podId, run, Promise.all([run.ended, read]), options);
      const end = exitOf(ended);
      const noise = run.noise();
      // Not even the first word of our script: a login with a program of its own, or none that takes commands.
      if (noise !== undefined) throw otherProgram(noise);
      return {
        exitCode: end,
        stdout: stdout.bytes(),
        stderr: stderr.bytes(),
        droppedBytes: stdout.droppedBytes + stderr.droppedBytes,
      };
    },

    async stream(podId, script, options) {
      const { stdin, stdout, taken } = options;
      // Listening from the first moment: a source may fail while we still connect.
      const source = stdin === undefined ? undefined : finished(stdin, { writable: false });
      source?.catch(() => undefined);
      const { lane, windowBytes, lent, signal, timeoutSeconds } = options;
      const run = await runs.start(podId, script, {
        lane,
        windowBytes,
        lent: lent === true && stdout !== undefined,
        signal,
        withinSeconds: timeoutSeconds,
        holder: 'transfers',
        noInput: stdin === undefined,
        // Its first bytes go with the script, not a round trip later.
        eager: stdin !== undefined,
      });
      const stderr = createBoundedBuffer(MAX_STDERR_BYTES);
      const complaints = run.err.collect(stderr.add);
      // A command may end without reading all of its input: its exit code tells, not the broken pipe.
      if (stdin === undefined) run.channel.end();
      else if (taken === undefined) stdin.pipe(run.channel);
      else feedInput(stdin, run.channel, taken);
      const output =
        stdout === undefined
          ? run.out.collect(() => undefined)
          : (run.lend?.(stdout) ?? pipeline(run.out.stream(), stdout));
      const ended = Promise.all([run.ended, output, complaints]);
      const brokenSource = new Promise<never>((_resolve, reject) => {
        source?.catch(reject);
      });
      try {
        const [end] = await guarded(podId, run, Promise.race([ended, brokenSource]), options);
        const exitCode = exitOf(end);
        if (run.maybeUntold === true && run.noise() !== undefined)
          throw new RemoteError('link_lost', 'The machine ended the shell that waited for this.');
        return { exitCode, stderr: stderr.bytes() };
      } catch (failure) {
        // Our own end broke (a full disk, a source that failed): the command must not go on alone.
        if (!isAppError(failure)) await endRun(podId, run, 'abort');
        stdout?.destroy();
        throw failure;
      } finally {
        stdin?.unpipe(run.channel);
        stdin?.destroy();
      }
    },

    async workFolder(podId, options) {
      const known = workFolders.get(podId);
      if (known !== undefined) return known;
      const endpoint = await machines.endpoint(podId, options);
      const folder = endpoint.workFolder ?? (await findWorkFolder(podId, options));
      workFolders.set(podId, folder);
      return folder;
    },

    async disconnect(podId) {
      workFolders.delete(podId);
      await pool.disconnect(podId);
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
    },
  };

  async function findWorkFolder(podId: PodId, options: CallOptions): Promise<string> {
    const { stdout } = await remote.exec(
      podId,
      // A pod of a sandbox runs on the person's machine, whose /workspace may be their own.
      `if [ -d /workspace ] && [ -z "$${POD_TOKEN_VARIABLE}" ]; then printf /workspace; else printf %s "$HOME"; fi`,
      { ...options, timeoutSeconds: WORK_FOLDER_SECONDS },
    );
    const folder = stdout.toString('utf8');
    if (folder.startsWith('/')) return folder;
    throw new RemoteError('remote_failed', 'The machine does not say where its home is.');
  }
  return remote;
}

function exitOf(end: RunEnd): number {
  if (end.kind === 'exited') return end.exitCode;
  throw new RemoteError('link_lost', 'The link broke while the command ran.');
}
