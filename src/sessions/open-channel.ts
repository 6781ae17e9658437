import { constants } from 'node:os';
import type { ClientChannel } from 'ssh2';

export type RunEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'lost' };

export interface OpenChannel {
  readonly channel: ClientChannel;
  /** Never rejects. `lost`: the channel closed without an exit status, so nobody knows. */
  readonly ended: Promise<RunEnd>;
}

/**
 * Must be called in the very callback that hands out the channel: a short command's exit status may be in the same packet
 * as its start, and is told to nobody who listens later.
 */
export function openChannel(channel: ClientChannel): OpenChannel {
  return { channel, ended: endOf(channel) };
}

async function endOf(channel: ClientChannel): Promise<RunEnd> {
  return new Promise((resolve) => {
    let end: RunEnd = { kind: 'lost' };
    channel.on('exit', (code: number | null, signal?: string) => {
      end = { kind: 'exited', exitCode: code ?? 128 + signalNumber(signal) };
    });
    channel.once('close', () => {
      resolve(end);
    });
  });
}

function signalNumber(name = ''): number {
  const wanted = name.startsWith('SIG') ? name : `SIG${name}`;
  return Object.entries(constants.signals).find(([signal]) => signal === wanted)?.[1] ?? 0;
}
