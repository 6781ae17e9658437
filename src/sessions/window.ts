import type { ClientChannel } from 'ssh2';
import { MAX_WINDOW_BYTES } from '../core/remote.ts';
import { TAKEN } from './lend.ts';

/** What ssh2 gives every channel. */
const USUAL_BYTES = 2 * 1024 * 1024;

/**
 * Lets the other side send up to `windowBytes` ahead of what is read here. The window is no part of the public face of
 * ssh2: where it is not found as expected, nothing happens, and the channel keeps its usual window.
 */
export function raiseWindow(channel: ClientChannel, windowBytes: number): void {
  const target = Math.min(Math.trunc(windowBytes), MAX_WINDOW_BYTES);
  if (!(target > USUAL_BYTES)) return;
  const incoming = property(channel, 'incoming');
  const outgoing = property(channel, 'outgoing');
  const protocol = property(property(channel, '_client'), '_protocol');
  const adjust = property(protocol, 'channelWindowAdjust');
  const id = property(outgoing, 'id');
  if (typeof adjust !== 'function' || typeof id !== 'number' || !isObject(incoming)) return;

  const top = (): void => {
    const window = property(incoming, 'window');
    if (typeof window !== 'number' || property(outgoing, 'state') === 'closed') return;
    // Seldom enough to cost nothing, soon enough that the sender never waits.
    const missing = target - window;
    if (missing < target / 4) return;
    Reflect.set(incoming, 'window', target);
    Reflect.apply(adjust, protocol, [id, missing]);
  };
  top();
  // Only what was taken makes room for more: a reader that stops gets no more than the window.
  channel.on('data', top).on(TAKEN, top);
}

function property(from: unknown, name: string): unknown {
  return isObject(from) ? Reflect.get(from, name) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
