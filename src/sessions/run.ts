import type { Readable } from 'node:stream';
import { Transform, type Writable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import type { HeldChannel } from './host.ts';
import { lendOutput } from './lend.ts';
import type { RunEnd } from './open-channel.ts';
import { createPreamble } from './preamble.ts';

/** A script that was started on a pod. Both outputs are free of login noise and must be consumed. */
export interface Run extends Pick<HeldChannel, 'isUp' | 'quietSeconds' | 'holdAs'> {
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
  /** Resolves when the token comes once more: a script that was handed to a waiting shell begins. Never rejects. */
  begins(): Promise<void>;
  /** Instead of `stdout`, where the run was started so: chunks are only lent (see `lendOutput`). */
  readonly lend?: (to: Writable) => Promise<void>;
}

/** The channel on which a command of `execCommand` with this token was started. */
export function runOn(held: HeldChannel, token: string, lent = false): Run {
  const { channel } = held;
  let out = createPreamble(token);
  const err = createPreamble(token);
  const stdout = strip(() => out);
  const stderr = strip(() => err);
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
  if (!lent) channel.pipe(stdout);
  channel.stderr.pipe(stderr);
  const noise = (): string | undefined =>
    out.word === undefined ? `${out.noise}\n${err.noise}`.trim() : undefined;
  const begins = async (): Promise<void> => {
    out = createPreamble(token);
    return new Promise((resolve) => {
      stdout.once('started', resolve);
    });
  };
  if (!lent) return { ...held, token, stdout, stderr, pid, noise, begins };
  const lend = async (to: Writable): Promise<void> => {
    held.lendMemory();
    return lendOutput(channel, (chunk) => read(out, chunk, stdout), to);
  };
  return { ...held, token, stdout, stderr, pid, noise, begins, lend };
}

function strip(current: () => ReturnType<typeof createPreamble>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      const bytes = read(current(), chunk, this);
      if (bytes !== undefined && bytes.length > 0) this.push(bytes);
      done();
    },
  });
}

/** What of `chunk` is the script's own. */
function read(
  preamble: ReturnType<typeof createPreamble>,
  chunk: Buffer,
  stream: Readable,
): Buffer | undefined {
  const before = preamble.word;
  const bytes = preamble.push(chunk);
  if (before === undefined && preamble.word !== undefined) stream.emit('started');
  return bytes;
}
