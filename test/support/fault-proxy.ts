import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** `up`: from the client to the pod. */
export type Direction = 'up' | 'down';

/** What a network or a machine does to a link. Each strikes one link. */
export type Fault =
  /** RST to both ends. */
  | { readonly kind: 'reset' }
  /** FIN to both ends, as a machine that shuts down in order. */
  | { readonly kind: 'end' }
  /** Half open: nothing passes any more in either direction, and neither end hears of it. */
  | { readonly kind: 'silence' }
  /** Nothing passes for so long, then everything does. */
  | { readonly kind: 'stall'; readonly seconds: number }
  /** One byte a second in both directions for so long, then everything passes. */
  | { readonly kind: 'drip'; readonly seconds: number };

export interface Strike {
  /** Counted from when the strike was set, over all links; the fault comes right behind this byte. */
  readonly byte: number;
  readonly direction: Direction;
  readonly fault: Fault;
}
export interface SetStrike {
  readonly struck: boolean;
  /** Settles once the fault came. */
  readonly when: Promise<void>;
  cancel(): void;
}
export interface Carried {
  readonly up: number;
  readonly down: number;
  /** Connections accepted so far. */
  readonly links: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes passed on so far. */
  carried(): Carried;
  /** Strikes one link, once. */
  strike(strike: Strike): SetStrike;
  /** A script for every link that is made from now on: its strikes count the bytes of that link alone. */
  everyNew(script: ((link: number) => readonly Strike[]) | undefined): void;
  /** Every link that is open now. */
  strikeAll(fault: Fault): void;
  /** One way. */
  delaySeconds: number;
  /** New links: passed on, reset, or accepted and never answered. */
  newLinks: 'pass' | 'reset' | 'silent';
  readonly openLinks: number;
}

interface Pending {
  left: number;
  readonly strike: Strike;
  readonly done: () => void;
}
interface Link {
  readonly ends: Readonly<Record<Direction, Socket>>;
  readonly own: Pending[];
  silent: boolean;
  stalledUntil: number;
  dripUntil: number;
  over: boolean;
}
interface Chunk {
  readonly due: number;
  /** Absent: the sender ended. */
  readonly bytes?: Buffer;
}

const MAX_QUEUED_BYTES = 4 << 20;

/** A proxy on loopback between clients and `target` that does what networks do, at a byte of one's choice. */
export async function startFaultProxy(target: () => number): Promise<FaultProxy> {
  const links = new Set<Link>();
  const loose = new Set<Socket>();
  const passed = { up: 0, down: 0 };
  let accepted = 0;
  let pending: Pending[] = [];
  let script: ((link: number) => readonly Strike[]) | undefined;

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const number = accepted;
    accepted += 1;
    if (proxy.newLinks !== 'pass') {
      loose.add(client);
      client.on('error', () => undefined).once('close', () => loose.delete(client));
      if (proxy.newLinks === 'reset') client.resetAndDestroy();
      return;
    }
    const pod = connect({ port: target(), host: '127.0.0.1', allowHalfOpen: true });
    const link: Link = {
      // The end that receives in this direction.
      ends: { up: pod, down: client },
      own: (script?.(number) ?? []).map(pendingOf),
      silent: false,
      stalledUntil: 0,
      dripUntil: 0,
      over: false,
    };
    links.add(link);
    for (const socket of [client, pod]) socket.setNoDelay(true);
    carry(link, client, pod, 'up');
    carry(link, pod, client, 'down');
  });

  function carry(link: Link, from: Socket, to: Socket, direction: Direction): void {
    const queue: Chunk[] = [];
    let queuedBytes = 0;
    let pumping = false;
    from.on('data', (bytes) => {
      if (link.silent) return;
      queue.push({ due: performance.now() + proxy.delaySeconds * 1000, bytes });
      queuedBytes += bytes.length;
      if (queuedBytes > MAX_QUEUED_BYTES) from.pause();
      void pump();
    });
    from.once('end', () => {
      queue.push({ due: performance.now() + proxy.delaySeconds * 1000 });
      void pump();
    });
    from.on('error', () => {
      if (!link.silent) act(link, { kind: 'reset' });
    });
    from.once('close', () => {
      if (link.silent) return;
      // What it sent before it closed still arrives.
      queue.push({ due: performance.now() + proxy.delaySeconds * 1000 });
      void pump();
    });

    async function pump(): Promise<void> {
      if (pumping) return;
      pumping = true;
      for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) {
        const wait = Math.max(chunk.due, link.stalledUntil) - performance.now();
        if (wait > 0) await delay(wait);
        if (link.over || link.silent) break;
        if (chunk.bytes === undefined) {
          to.end();
          if (from.destroyed) {
            to.destroySoon();
            links.delete(link);
          }
          continue;
        }
        await pass(chunk.bytes);
        queuedBytes -= chunk.bytes.length;
        if (queuedBytes < MAX_QUEUED_BYTES / 4 && !from.destroyed) from.resume();
      }
      pumping = false;
    }

    async function pass(bytes: Buffer): Promise<void> {
      for (let at = 0; at < bytes.length; ) {
        if (link.over || link.silent) return;
        const stall = link.stalledUntil - performance.now();
        if (stall > 0) {
          await delay(stall);
          continue;
        }
        const drips = link.dripUntil > performance.now();
        const next = nearest(link, direction);
        const length = Math.min(bytes.length - at, next?.left ?? Infinity, drips ? 1 : Infinity);
        if (drips) await delay(1000);
        await write(to, bytes.subarray(at, at + length));
        at += length;
        passed[direction] += length;
        for (const one of [...link.own, ...pending])
          if (one.strike.direction === direction) one.left -= length;
        if (next?.left !== 0) continue;
        pending = pending.filter((one) => one !== next);
        const own = link.own.indexOf(next);
        if (own >= 0) link.own.splice(own, 1);
        act(link, next.strike.fault);
        next.done();
      }
    }
  }

  function nearest(link: Link, direction: Direction): Pending | undefined {
    return [...link.own, ...pending]
      .filter((one) => one.strike.direction === direction)
      .toSorted((a, b) => a.left - b.left)[0];
  }

  function act(link: Link, fault: Fault): void {
    const sockets = Object.values(link.ends);
    switch (fault.kind) {
      case 'reset':
        link.over = true;
        links.delete(link);
        for (const socket of sockets) socket.resetAndDestroy();
        break;
      case 'end':
        link.over = true;
        links.delete(link);
        for (const socket of sockets) socket.destroySoon();
        break;
      case 'silence':
        link.silent = true;
        break;
      case 'stall':
        link.stalledUntil = performance.now() + fault.seconds * 1000;
        break;
      case 'drip':
        link.dripUntil = performance.now() + fault.seconds * 1000;
        break;
    }
  }

  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('no port'));
      else resolve(address.port);
    });
  });
  const proxy: FaultProxy = {
    port,
    delaySeconds: 0,
    newLinks: 'pass',
    get openLinks() {
      return [...links].filter((link) => !link.silent).length;
    },
    carried: () => ({ ...passed, links: accepted }),
    strike(strike) {
      let struck = false;
      let tell = (): void => undefined;
      const when = new Promise<void>((resolve) => {
        tell = resolve;
      });
      const one: Pending = {
        left: Math.max(1, strike.byte),
        strike,
        done: () => {
          struck = true;
          tell();
        },
      };
      pending.push(one);
      return {
        get struck() {
          return struck;
        },
        when,
        cancel() {
          pending = pending.filter((other) => other !== one);
        },
      };
    },
    everyNew(next) {
      script = next;
    },
    strikeAll(fault) {
      for (const link of [...links]) act(link, fault);
    },
    async [Symbol.asyncDispose]() {
      for (const link of links) {
        link.over = true;
        for (const socket of Object.values(link.ends)) socket.destroy();
      }
      for (const socket of loose) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return proxy;
}

function pendingOf(strike: Strike): Pending {
  return { left: Math.max(1, strike.byte), strike, done: () => undefined };
}

async function write(to: Socket, bytes: Buffer): Promise<void> {
  if (to.destroyed || to.writableEnded) return;
  await new Promise<void>((resolve) => {
    to.once('close', resolve);
    to.write(bytes, () => {
      to.removeListener('close', resolve);
      resolve();
    });
  });
}
