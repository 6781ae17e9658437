import { expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { createWatching } from '../../src/watching.ts';
import { ManualClock } from '../support/clock.ts';

/** What the watcher of a process with these settings says of itself. */
async function reachOf(settings: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const config = readConfig({ HOME: '/home/a', PATH: '/bin', ...settings });
  const { lock } = createWatching(createMemoryStore(), config, {}, new ManualClock());
  await lock.take('background');
  return (await lock.last())?.reach ?? [];
}
const KEY = { VAST_API_KEY: 'key-of-a-cloud' };

it('whoever starts with another key, limit or idle time is told apart from a watcher that keeps the old one', async () => {
  const own = await reachOf(KEY);
  expect(await reachOf(KEY)).toEqual(own);
  for (const other of [
    { VAST_API_KEY: 'another-key' },
    { GPU_LEASE_IDLE_MINUTES: '5' },
    { GPU_LEASE_BUDGET_USD: '5' },
    { GPU_LEASE_BUDGET_DAY_USD: '5' },
    { GPU_LEASE_MAX_PODS: '5' },
  ]) {
    const theirs = await reachOf({ ...KEY, ...other });
    expect(theirs.filter((part) => !own.includes(part))).toHaveLength(1);
  }
  expect(JSON.stringify(own)).not.toContain(KEY.VAST_API_KEY);
});

it('a process without a cloud replaces nobody', async () => {
  expect(await reachOf({ GPU_LEASE_IDLE_MINUTES: '5' })).toEqual([]);
});
