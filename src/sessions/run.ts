import type { Writable } from 'node:stream';
import type { ClientChannel } from 'ssh2';
import type { HeldChannel } from './host.ts';
import { lendOutput } from './lend.ts';
import type { RunEnd } from './open-channel.ts';
import { createOutput, type Output } from './output.ts';
import { createPreamble } from './preamble.ts';

/** A script that was started on a pod. Both outputs are free of login noise and must be taken. */
export interface Run extends Pick<HeldChannel, 'isUp' | 'quietSeconds' | 'holdAs'> {
  readonly token: string;
  readonly channel: ClientChannel;
  readonly out: Output;
  readonly err: Output;
  /** Settles once the script says its pid, or the channel ends before (0). */
  readonly pid: Promise<number>;
  /** Never rejects. `lost`: the channel closed without an exit status, so nobody knows. */
  readonly ended: Promise<RunEnd>;
  /** What the login printed where our script never began; `undefined` once it did. */
  noise(): string | undefined;
  /** Resolves when the token comes once more: a script that was handed to a waiting shell begins. Never rejects. */
  begins(): Promise<void>;
  /** As long as `noise()` tells something, nothing of the script ran: a shell that waited may have died unseen. */
  readonly maybeUntold?: true;
  /** Instead of `out`, where the run was started so: chunks are only lent (see `lendOutput`). */
  readonly lend?: (to: Writable) => Promise<void>;
}

/** The channel on which a command of `execCommand` with this token was started. */
export function runOn(held: HeldChannel, token: string, lent = false): Run {
  const { channel } = held;
  let preamble = createPreamble(token);
  const complaints = createPreamble(token);
  let started: (() => void) | undefined;
  const strip = (chunk: Buffer): Buffer | undefined => {
    const before = preamble.word;
    const bytes = preamble.push(chunk);
    if (before === undefined && preamble.word !== undefined) started?.();
    return bytes;
  };
  for (const stream of [channel, channel.stderr])
    stream.on('error', () => {
      // An end without an exit status is what counts.
    });
  const pid = new Promise<number>((resolve) => {
    const settle = (): void => {
      const number = Number(preamble.word ?? 0);
      resolve(Number.isSafeInteger(number) && number > 1 ? number : 0);
    };
    started = settle;
    channel.once('close', settle);
  });
  const out = createOutput(channel, strip, lent);
  const err = createOutput(channel.stderr, (chunk) => complaints.push(chunk));
  const noise = (): string | undefined =>
    preamble.word === undefined ? `${preamble.noise}\n${complaints.noise}`.trim() : undefined;
  const begins = async (): Promise<void> => {
    preamble = createPreamble(token);
    return new Promise((resolve) => {
      started = resolve;
    });
  };
  const run = { ...held, token, out, err, pid, noise, begins };
  if (!lent) return run;
  const lend = async (to: Writable): Promise<void> => {
    held.lendMemory();
    return lendOutput(channel, strip, to);
  };
  return { ...run, lend };
}
