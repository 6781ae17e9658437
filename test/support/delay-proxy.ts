import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = path.resolve(import.meta.dirname, 'delay-proxy-process.mjs');

export interface LinkShape {
  readonly rttMs: number;
  /** Of each direction, shared fairly by its connections. Absent: as fast as it goes. */
  readonly bytesPerSecond?: number;
  /** Every chunk is late by up to this much more. Order stays. */
  readonly jitterMs?: number;
  /** Moments at which nothing arrives for about `stallMs`: what a lost packet looks like from above TCP. */
  readonly stallsPerSecond?: number;
  readonly stallMs?: number;
  readonly seed?: number;
}
export interface DelayProxy extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

/**
 * A link of that shape between clients on loopback and `port`, carried by a process of its own. It is user space above TCP: it shows what
 * round trips, windows and bandwidth do, but no congestion control of a real long path.
 */
export async function startDelayProxy(port: number, shape: LinkShape): Promise<DelayProxy> {
  const { rttMs, ...rest } = shape;
  const settings = JSON.stringify({ port, oneWayMs: rttMs / 2, ...rest });
  const child = spawn(process.execPath, [PROGRAM, settings], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    port: Number(line),
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}
