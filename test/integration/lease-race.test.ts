import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { ManualClock } from '../support/clock.ts';
import { createFakeProvider } from '../support/fake-provider.ts';
import { createLeaseBench, someTerms } from '../support/lease-bench.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** Two servers with a connection each to the same file, and one cloud. */
async function twoServers(limits: Parameters<typeof createLeaseBench>[0] & object) {
  const folder = await mkdtemp(path.join(tmpdir(), 'gl-race-'));
  folders.push(folder);
  const file = path.join(folder, 'state.db');
  const clock = new ManualClock();
  const provider = createFakeProvider({ clock });
  const server = (processId: string) =>
    createLeaseBench({
      ...limits,
      provider,
      clock,
      processId,
      isAlive: () => true,
      store: createSqliteStore({ file }),
    });
  return { provider, servers: [server('one'), server('two'), server('three')] as const };
}

it('three servers race for the last dollar: one wins [CO-12]', async () => {
  const { provider, servers } = await twoServers({ limits: { budgetUsd: 4, autoApproveUsd: 100 } });
  const ends = await Promise.allSettled(servers.map(async (server) => server.create()));
  const won = ends.filter(({ status }) => status === 'fulfilled');
  const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  expect(won).toHaveLength(1);
  expect(lost).toMatchObject([{ code: 'budget_exceeded' }, { code: 'budget_exceeded' }]);
  expect(provider.machines).toHaveLength(1);
  for (const { store } of servers) await store[Symbol.asyncDispose]();
});

it('three servers race with one quote: one wins', async () => {
  const { provider, servers } = await twoServers({});
  const [first] = servers;
  first.world.answer = 'unavailable';
  const asked = await first.create();
  if (asked.status !== 'needs_confirmation') throw new Error(asked.status);
  const { quoteId } = asked.quote;
  const ends = await Promise.allSettled(
    servers.map(async ({ pods, options }) =>
      pods.create({ terms: someTerms(), quoteId, waitSeconds: 25 }, options),
    ),
  );
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  expect(lost).toMatchObject([{ code: 'quote_invalid' }, { code: 'quote_invalid' }]);
  expect(provider.machines).toHaveLength(1);
  for (const { store } of servers) await store[Symbol.asyncDispose]();
});

it('two servers destroy one pod: one receipt', async () => {
  const { provider, servers } = await twoServers({ limits: { autoApproveUsd: 100 } });
  const [first, second] = servers;
  const created = await first.create();
  if (created.status !== 'ready') throw new Error(created.status);
  const request = { discardUnfetched: false, waitSeconds: 25 };
  const ends = await Promise.all(
    [first, second].map(async ({ pods, options }) =>
      pods.destroy(created.pod.podId, request, options),
    ),
  );
  expect(ends.map(({ outcome }) => outcome)).toEqual(['gone', 'gone']);
  expect(ends[0]).toEqual(ends[1]);
  expect(provider.alive()).toEqual([]);
  for (const { store } of servers) await store[Symbol.asyncDispose]();
});
