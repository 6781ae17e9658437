import { constants } from 'node:os';
import type { ClientChannel } from 'ssh2';

export type RunEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'lost' };

export interface OpenChannel {
  readonly channel: ClientChannel;
  /** Never rejects. `lost`: the link broke before the channel was closed, so nobody knows what else there was. */
  readonly ended: Promise<RunEnd>;
  /** From now on nobody keeps what this channel brings: the memory it lies in may be used again. */
  readonly lendMemory: () => void;
}

/**
 * Must be called in the very callback that hands out the channel: a short command's exit status may be in the same packet
 * as its start, and is told to nobody who listens later.
 */
export function openChannel(channel: ClientChannel, lendMemory: () => void): OpenChannel {
  return { channel, ended: endOf(channel), lendMemory };
}

async function endOf(channel: ClientChannel): Promise<RunEnd> {
  return new Promise((resolve) => {
    let end: RunEnd = { kind: 'lost' };
    channel.on('exit', (code: number | null, signal?: string) => {
      end = { kind: 'exited', exitCode: code ?? 128 + signalNumber(signal) };
    });
    channel.once('close', () => {
      resolve(closedByLink(channel) ? { kind: 'lost' } : end);
    });
  });
}

/**
 * A server tells the exit status as soon as the command is gone, maybe before its last output. Where the link broke after
 * that, the status is known and the output is cut: ssh2 closes such a channel for the server and sends no close of its own.
 */
function closedByLink(channel: ClientChannel): boolean {
  const outgoing: unknown = 'outgoing' in channel ? channel.outgoing : undefined;
  if (typeof outgoing !== 'object' || outgoing === null || !('state' in outgoing)) return false;
  return outgoing.state === 'open' || outgoing.state === 'eof';
}

function signalNumber(name = ''): number {
  const wanted = name.startsWith('SIG') ? name : `SIG${name}`;
  return Object.entries(constants.signals).find(([signal]) => signal === wanted)?.[1] ?? 0;
}
