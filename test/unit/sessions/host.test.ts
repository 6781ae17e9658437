import { EventEmitter, once } from 'node:events';
import { setImmediate as soon } from 'node:timers/promises';
import type { ClientChannel } from 'ssh2';
import { describe, expect, it } from 'vitest';
import { RemoteError } from '../../../src/core/errors.ts';
import type { Connection, Opened } from '../../../src/sessions/connection.ts';
import { createHost, type Host } from '../../../src/sessions/host.ts';
import { fc } from '../../support/property.ts';

const signal = new AbortController().signal;

interface Machine {
  readonly dial: () => Promise<Connection>;
  /** Commands that were started, in order. */
  readonly started: string[];
  /** Ends a command that runs. */
  end(command: string): void;
  cut(): void;
  readonly running: number;
  /** Connections that are open. */
  readonly links: number;
  /** The most channels that a connection ever had, and the most connections at once. */
  readonly peak: { channels: number; connections: number; dialing: number };
  fail: Error | undefined;
  refuses: boolean;
}

/** An sshd in memory: it counts what a real one would refuse. */
function machineWith(limit: number): Machine {
  const running = new Map<string, () => void>();
  const open = new Set<() => void>();
  let dialing = 0;
  const machine: Machine = {
    started: [],
    peak: { channels: 0, connections: 0, dialing: 0 },
    fail: undefined,
    refuses: false,
    get running() {
      return running.size;
    },
    get links() {
      return open.size;
    },
    end(command) {
      running.get(command)?.();
    },
    cut() {
      for (const close of [...open]) close();
    },
    async dial() {
      dialing += 1;
      machine.peak.dialing = Math.max(machine.peak.dialing, dialing);
      await soon();
      dialing -= 1;
      if (machine.fail !== undefined) throw machine.fail;
      const mine = new Map<string, () => void>();
      const life = new EventEmitter();
      life.setMaxListeners(0);
      let up = true;
      const close = (): void => {
        up = false;
        open.delete(close);
        for (const end of [...mine.values()]) end();
        life.emit('close');
      };
      open.add(close);
      machine.peak.connections = Math.max(machine.peak.connections, open.size);
      return {
        get open() {
          return up;
        },
        quietSeconds: () => 0,
        onClose: (listener) => life.once('close', listener),
        end: close,
        async exec(command): Promise<Opened> {
          // As sshd counts: at the moment the request arrives.
          const isFull = mine.size >= limit;
          const channel = new EventEmitter();
          if (!isFull && up && !machine.refuses) {
            const end = (): void => {
              mine.delete(command);
              running.delete(command);
              channel.emit('close');
            };
            mine.set(command, end);
            running.set(command, end);
            machine.peak.channels = Math.max(machine.peak.channels, mine.size);
          }
          await soon();
          if (!up) return { kind: 'gone' };
          if (machine.refuses) return { kind: 'refused' };
          if (isFull) return { kind: 'full' };
          machine.started.push(command);
          return {
            kind: 'opened',
            channel: channel as unknown as ClientChannel,
            ended: new Promise(() => undefined),
            lendMemory: () => undefined,
          };
        },
      };
    },
  };
  return machine;
}

const hostOf = (machine: Machine, idleSeconds = 60): Host =>
  createHost({ dial: machine.dial, onCrowded: () => 0, idleSeconds });

describe('channels to one machine', () => {
  it('serves everybody, whatever the machine allows, and never starts a command twice [SE-23]', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        // As many as forty connections take, even where each takes only one.
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (limit, callers, endEvery) => {
          const machine = machineWith(limit);
          const host = hostOf(machine);
          let opened = 0;
          const all = Array.from({ length: callers }, async (_, index) => {
            await host.open(`c${index}`, { signal });
            opened += 1;
            // Some end at once, the others hold their channel until all were served.
            if (index % endEvery !== 0) machine.end(`c${index}`);
          });
          await Promise.all(all);
          expect(opened).toBe(callers);
          expect(new Set(machine.started).size).toBe(machine.started.length);
          expect(machine.peak.channels).toBeLessThanOrEqual(limit);
          expect(machine.peak.dialing).toBeLessThanOrEqual(4);
          expect(machine.peak.connections).toBeLessThanOrEqual(40);
          host.end();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('waits in the order of asking when the last connection is full, and says who has the channels', async () => {
    const machine = machineWith(1);
    const host = hostOf(machine);
    const holders = Array.from({ length: 40 }, async (_, index) =>
      host.open(`held${index}`, { signal, holder: index < 30 ? 'sessions' : 'commands' }),
    );
    await Promise.all(holders);
    expect(machine.peak.connections).toBe(40);
    const order: string[] = [];
    const queued = ['a', 'b', 'c'].map(async (command) => {
      await host.open(command, { signal });
      order.push(command);
    });
    const leaving = new AbortController();
    const left = host.open('left', { signal: leaving.signal });
    leaving.abort();
    await expect(left).rejects.toThrow();
    for (const index of [5, 3, 8]) {
      machine.end(`held${index}`);
      while (machine.running < 40) await soon();
    }
    await Promise.all(queued);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(machine.started).not.toContain('left');
    await expect(host.open('late', { signal, withinSeconds: 0 })).rejects.toMatchObject({
      code: 'ssh_unreachable',
      retryable: true,
      hint: expect.stringMatching(/sessions 27, commands 13/) as string,
    });
    host.end();
  }, 15_000);

  it('a learnt limit spares refusals, a machine that refuses every channel is told at once', async () => {
    const machine = machineWith(0);
    await expect(hostOf(machine).open('x', { signal })).rejects.toMatchObject({
      code: 'unsupported',
    });
    const closed = machineWith(5);
    closed.refuses = true;
    await expect(hostOf(closed).open('x', { signal })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it('everybody who waits for a machine that cannot be reached is told why', async () => {
    const machine = machineWith(5);
    machine.fail = new RemoteError('ssh_unreachable', 'Nobody is there.');
    const host = hostOf(machine);
    const all = await Promise.allSettled(
      Array.from({ length: 30 }, async (_, index) => host.open(`c${index}`, { signal })),
    );
    expect(all.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => 'rejected'));
    machine.fail = undefined;
    await host.open('again', { signal });
    expect(machine.started).toEqual(['again']);
    host.end();
  });

  it('a cut link is replaced for those who wait; what never started runs once', async () => {
    const machine = machineWith(3);
    const host = hostOf(machine);
    await host.open('one', { signal });
    const two = host.open('two', { signal });
    machine.cut();
    await two;
    expect(machine.started).toEqual(['one', 'two']);
    host.end();
  });

  it('a spare channel takes no last place and makes no connection', async () => {
    const machine = machineWith(10);
    const host = hostOf(machine);
    expect(await host.openSpare('early')).toBeUndefined();
    await Promise.all(
      Array.from({ length: 9 }, async (_, index) => host.open(`c${index}`, { signal })),
    );
    expect(await host.openSpare('last')).toBeUndefined();
    machine.end('c0');
    expect(await host.openSpare('spare')).toBeDefined();
    expect(machine.peak.connections).toBe(1);
    host.end();
  });

  it('hangs up when nothing has run for a while, and not while something runs', async () => {
    const machine = machineWith(10);
    const host = hostOf(machine, 0.05);
    await host.open('long', { signal });
    // Two short ones, so that more than a whole period has gone by.
    for (const command of ['first', 'second']) {
      await once(AbortSignal.timeout(80), 'abort');
      await host.open(command, { signal });
      machine.end(command);
      expect(machine.links).toBe(1);
    }
    machine.end('long');
    await expect.poll(() => machine.links, { timeout: 3000, interval: 20 }).toBe(0);
    await host.open('later', { signal });
    expect(machine.started).toEqual(['long', 'first', 'second', 'later']);
    host.end();
  });
});
