// A long link in a process of its own, so that neither side's event loop pays for it. One argument: JSON with `port` (where to), `oneWayMs`,
// and where wanted `bytesPerSecond` (each direction, shared fairly by its connections), `jitterMs`, `stallsPerSecond`, `stallMs` and `seed`.
// Prints its port. Ends when stdin does.
import net from 'node:net';
import { performance } from 'node:perf_hooks';

const {
  port,
  oneWayMs,
  bytesPerSecond = 0,
  jitterMs = 0,
  stallsPerSecond = 0,
  stallMs = 0,
  seed = 1,
} = JSON.parse(process.argv[2] ?? '{}');
/** What a connection may have waiting for a slow link, and on its way over a fast one. */
const WAITING_BYTES = 256 * 1024;
const FLYING_BYTES = 64 * 1024 * 1024;
/** A reader this far behind is not read for. */
const OVERDUE_BYTES = 4 * 1024 * 1024;

let state = seed >>> 0;
const random = () => {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

/** One direction of the link: who waits for it, until when it is busy, until when it is stalled. */
const direction = () => ({ flows: [], freeAt: 0, stalledUntil: 0, nextStall: 0, timer: undefined });
const directions = [direction(), direction()];

function stall(way, now) {
  if (stallsPerSecond === 0) return 0;
  if (way.nextStall === 0) way.nextStall = now + gap();
  while (way.nextStall <= now) {
    way.stalledUntil = Math.max(way.stalledUntil, way.nextStall + stallMs * (0.5 + random()));
    way.nextStall += gap();
  }
  return way.stalledUntil;
}
const gap = () => (-Math.log(1 - random()) / stallsPerSecond) * 1000;

/** Gives the link to the waiting flows in turn, one chunk each, as a fair queue does. */
function serve(way) {
  way.timer = undefined;
  const now = performance.now();
  while (way.flows.length > 0 && way.freeAt <= now + 1) {
    const flow = way.flows.shift();
    const chunk = flow.waiting.shift();
    if (chunk === undefined) continue;
    way.freeAt = Math.max(way.freeAt, now) + (chunk.length / bytesPerSecond) * 1000;
    flow.waitingBytes -= chunk.length;
    if (flow.waiting.length > 0) way.flows.push(flow);
    flow.fly(chunk, way.freeAt);
  }
  if (way.flows.length > 0) way.timer = setTimeout(serve, Math.max(0, way.freeAt - now - 1), way);
}

function carry(from, to, way) {
  const flying = [];
  let flyingBytes = 0;
  let lastDue = 0;
  let timer;
  let draining = false;
  let ended = false;
  const flow = {
    waiting: [],
    waitingBytes: 0,
    fly(chunk, at) {
      const due =
        Math.max(at, stall(way, at)) + oneWayMs + (jitterMs === 0 ? 0 : random() * jitterMs);
      // As TCP hands it over: in order.
      lastDue = Math.max(lastDue, due);
      flying.push({ due: lastDue, chunk });
      flyingBytes += chunk.length;
      if (timer === undefined && !draining) land();
      balance();
    },
  };
  const land = () => {
    timer = undefined;
    const now = performance.now();
    while (flying.length > 0 && !draining && flying[0].due <= now + 0.5) {
      const { chunk } = flying.shift();
      flyingBytes -= chunk.length;
      if (!to.write(chunk) && to.writableLength > OVERDUE_BYTES) {
        draining = true;
        to.once('drain', () => {
          draining = false;
          land();
        });
      }
    }
    if (flying.length > 0 && !draining) timer = setTimeout(land, Math.max(0, flying[0].due - now));
    else if (ended && flying.length === 0 && flow.waiting.length === 0) to.end();
    balance();
  };
  const balance = () => {
    const full = flow.waitingBytes > WAITING_BYTES || flyingBytes > FLYING_BYTES;
    if (full && !from.isPaused()) from.pause();
    else if (!full && from.isPaused()) from.resume();
  };
  from.on('data', (chunk) => {
    if (bytesPerSecond === 0) {
      flow.fly(chunk, performance.now());
      return;
    }
    flow.waiting.push(chunk);
    flow.waitingBytes += chunk.length;
    if (flow.waiting.length === 1) way.flows.push(flow);
    if (way.timer === undefined) serve(way);
    balance();
  });
  from.once('end', () => {
    ended = true;
    if (timer === undefined && !draining) land();
  });
  from.once('close', () => {
    if (!ended) setTimeout(() => to.destroy(), oneWayMs);
    clearTimeout(ended ? undefined : timer);
  });
}

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const pod = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  for (const socket of [client, pod]) socket.on('error', () => undefined);
  carry(client, pod, directions[0]);
  carry(pod, client, directions[1]);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume().once('end', () => process.exit(0));
