import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import type { Lease } from '../../src/core/lease.ts';
import type { Limits } from '../../src/leases/limits.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { bundled } from '../support/bundle.ts';
import { createFakeProvider } from '../support/fake-provider.ts';
import { createLeaseBench } from '../support/lease-bench.ts';

const ROUNDS = 25;

interface Order {
  readonly file: string;
  readonly what: 'create' | 'prolong';
  readonly minutes: number;
  readonly podId?: string | undefined;
  readonly limits: Limits;
}
interface Server {
  readonly child: ChildProcess;
  /** Sends the order, and answers with what came of it. */
  send(order: Order): Promise<string>;
}

let folder = '';
let servers: readonly Server[] = [];

async function startServer(): Promise<Server> {
  const program = await bundled('test/support/budget-process.mjs');
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('The server ended.');
    return line.value;
  };
  expect(await next()).toBe('ready');
  return {
    child,
    async send(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      return next();
    },
  };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gl-budget-'));
  servers = await Promise.all([startServer(), startServer(), startServer()]);
}, 60_000);
afterAll(async () => {
  for (const { child } of servers) {
    child.stdin?.end();
    if (child.exitCode === null) await once(child, 'close');
  }
  await rm(folder, { recursive: true, force: true });
});

const leasesIn = async (file: string): Promise<readonly Lease[]> => {
  await using store = createSqliteStore({ file });
  return await store.leases.list();
};
const newState = async (): Promise<string> =>
  path.join(await mkdtemp(path.join(folder, 'round-')), 'state.db');

it.each<[string, Limits]>([
  ['in all', { budgetUsd: 4 }],
  ['an hour', { maxUsdPerHour: 0.9 }],
  ['number of pods', { maxPods: 1 }],
])(
  'processes that race for the last of a limit (%s): exactly one wins, every time [CO-12]',
  async (_what, limits) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const file = await newState();
      const order: Order = {
        file,
        what: 'create',
        minutes: 360,
        limits: { ...limits, autoApproveUsd: 100 },
      };
      const ends = await Promise.all(servers.map(async (server) => server.send(order)));
      expect([...ends].sort()).toEqual(['budget_exceeded', 'budget_exceeded', 'won']);
      const leases = await leasesIn(file);
      expect(leases.filter(({ state }) => state !== 'closed')).toHaveLength(1);
    }
  },
  120_000,
);

it('a longer lease and new ones race for the last dollar: exactly one wins [CO-12]', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = await newState();
    const limits = { budgetUsd: 4, autoApproveUsd: 100 };
    const store = createSqliteStore({ file });
    const first = createLeaseBench({
      store,
      clock: systemClock as never,
      provider: createFakeProvider({ clock: systemClock, bootSeconds: 0 }),
      limits,
    });
    await first.create({ ttlMinutes: 120 }, 0);
    await store[Symbol.asyncDispose]();
    const [lease] = await leasesIn(file);
    // One dollar is reserved, three are left: each of them wants more than half of that.
    const ends = await Promise.all(
      servers.map(async (server, index) =>
        server.send(
          index === round % 3
            ? { file, what: 'prolong', minutes: 400, podId: lease?.podId, limits }
            : { file, what: 'create', minutes: 240, limits },
        ),
      ),
    );
    expect(ends.filter((end) => end === 'won')).toHaveLength(1);
    const now = new Date();
    const whole = (await leasesIn(file))
      .filter(({ state }) => state !== 'closed')
      .reduce(
        (sum, each) => sum + (0.5 * (Date.parse(each.deadlineAt) - now.getTime())) / 3.6e6,
        0,
      );
    expect(whole).toBeLessThanOrEqual(4);
  }
}, 120_000);
