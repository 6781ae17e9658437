import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import { InputError } from '../core/errors.ts';
import { type PodId, randomToken } from '../core/ids.ts';
import type { RunEnd } from './open-channel.ts';
import { execCommand, MAX_SCRIPT_BYTES } from './pod-script/exec.ts';
import type { OpenOptions, Pool } from './pool.ts';
import { createPreamble } from './preamble.ts';
import { raiseWindow } from './window.ts';

/** A script that was started on a pod. Both outputs are free of login noise and must be consumed. */
export interface Run {
  readonly token: string;
  readonly channel: ClientChannel;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once the script says its pid, or the channel ends before (0). */
  readonly pid: Promise<number>;
  /** Never rejects. `lost`: the channel closed without an exit status, so nobody knows. */
  readonly ended: Promise<RunEnd>;
  /** What the login printed where our script never began; `undefined` once it did. */
  noise(): string | undefined;
}

/** Throws `invalid_input` (NUL), `too_large`, and what `Pool.open` throws. */
export async function startRun(
  pool: Pool,
  podId: PodId,
  script: string,
  options: OpenOptions & { readonly windowBytes?: number | undefined },
): Promise<Run> {
  if (script.includes('\0'))
    throw new InputError('invalid_input', 'A command cannot hold a NUL character.');
  if (Buffer.byteLength(script) > MAX_SCRIPT_BYTES)
    throw new InputError('too_large', 'The command is longer than a machine accepts in one piece.');
  const token = randomToken(20);
  const { command, stdinPrefix } = execCommand(script, token);
  const { channel, ended } = await pool.open(podId, command, options);
  if (stdinPrefix !== undefined) channel.write(stdinPrefix);
  const out = createPreamble(token);
  const err = createPreamble(token);
  const stdout = strip(out);
  const stderr = strip(err);
  const pid = new Promise<number>((resolve) => {
    const settle = (): void => {
      const number = Number(out.word ?? 0);
      resolve(Number.isSafeInteger(number) && number > 1 ? number : 0);
    };
    stdout.once('started', settle);
    channel.once('close', settle);
  });
  for (const stream of [channel, channel.stderr, stdout, stderr])
    stream.on('error', () => {
      // An end without an exit status is what counts.
    });
  channel.pipe(stdout);
  if (options.windowBytes !== undefined) raiseWindow(channel, options.windowBytes);
  channel.stderr.pipe(stderr);
  const noise = (): string | undefined =>
    out.word === undefined ? `${out.noise}\n${err.noise}`.trim() : undefined;
  return { token, channel, stdout, stderr, pid, ended, noise };

  function strip(preamble: ReturnType<typeof createPreamble>): Transform {
    return new Transform({
      transform(chunk: Buffer, _encoding, done): void {
        const before = preamble.word;
        const bytes = preamble.push(chunk);
        if (bytes !== undefined && bytes.length > 0) this.push(bytes);
        if (before === undefined && preamble.word !== undefined) this.emit('started');
        done();
      },
    });
  }
}
