import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { WatchRound } from '../../../src/core/watcher.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { createKeep } from '../../../src/watcher/keep.ts';
import { createWatchLock } from '../../../src/watcher/lock.ts';
import { createLogFile } from '../../../src/watcher/log-file.ts';
import { createStatus } from '../../../src/watcher/status.ts';
import { ManualClock } from '../../support/clock.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

const { signal } = new AbortController();

/** A watcher over made-up pods; `enforce` is what they answer in each round. */
function bench(enforce: (nth: number) => Promise<readonly string[]>) {
  const store = createMemoryStore();
  const clock = new ManualClock();
  const lockOf = (holder: string) =>
    createWatchLock({
      store,
      clock,
      isAlive: () => true,
      me: { holder, pid: 7, version: '1.2.3', reach: ['vast#aa'] },
    });
  const lock = lockOf('me');
  let rounds = 0;
  const pods = {
    reconcile: async () => Promise.resolve(),
    enforce: async () => enforce(++rounds),
  };
  const told: WatchRound[] = [];
  return {
    store,
    clock,
    lock,
    lockOf,
    told,
    watch: createKeep({ store, clock, lock, pods }),
    onRound: (round: WatchRound) => {
      told.push(round);
    },
  };
}

describe('a watcher', () => {
  it('ends a minute after the last lease, and keeps what it did on record', async () => {
    const { watch, onRound, clock, lock, store, told } = bench(async (nth) =>
      Promise.resolve(nth < 3 ? ['vast:1: destroyed, its deadline has come.'] : []),
    );
    const begun = clock.now().getTime();
    expect(await watch({ way: 'background', onRound }, { signal })).toEqual({
      kind: 'ended',
      isFine: true,
    });
    expect(clock.now().getTime() - begun).toBeGreaterThanOrEqual(60_000);
    expect(told.length).toBeGreaterThan(2);
    const status = createStatus({ store, clock, lock, isOn: true });
    // The same deed is told once.
    expect(await status()).toEqual({
      state: 'none',
      deeds: [expect.stringContaining('vast:1: destroyed, its deadline has come.')],
    });
  });

  it('stays while a lease costs money, until it is told to end', async () => {
    const cloud = createLeaseBench();
    const stop = new AbortController();
    const { watch, onRound, store } = bench(async (nth) => {
      if (nth === 30) stop.abort();
      return Promise.resolve([]);
    });
    expect(await cloud.create()).toMatchObject({ status: 'ready' });
    for (const lease of await cloud.store.leases.list())
      await store.leases.put(lease.leaseId, lease);
    await watch({ way: 'background', onRound }, { signal: stop.signal });
    expect(stop.signal.aborted).toBe(true);
  });

  it('one round that fails is told, and tried again', async () => {
    const stop = new AbortController();
    const { watch, onRound, told } = bench(async (nth) => {
      if (nth === 1) throw new Error('boom');
      if (nth === 3) stop.abort();
      return Promise.resolve([]);
    });
    await watch({ way: 'foreground', onRound }, { signal: stop.signal });
    expect(told.map(({ failure }) => failure !== undefined)).toEqual([true, false]);
  });

  it('that another one followed acts no more, and says who', async () => {
    const { watch, onRound, lockOf } = bench(async (nth) => {
      if (nth === 2) await lockOf('other').take('background', 1);
      return Promise.resolve([]);
    });
    expect(await watch({ way: 'foreground', onRound }, { signal })).toMatchObject({
      kind: 'lost',
      by: { holder: 'other', epoch: 2 },
    });
  });

  it('that waits begins when the other one ends', async () => {
    const { watch, onRound, lockOf, told, clock } = bench(async () => Promise.resolve([]));
    const stop = new AbortController();
    await lockOf('other').take('background');
    const waiting = watch(
      {
        way: 'foreground',
        waits: true,
        onRound: (round) => {
          onRound(round);
          stop.abort();
        },
      },
      { signal: stop.signal },
    );
    expect(await waiting).toEqual({ kind: 'ended', isFine: true });
    // The other one fell silent: its half minute had to pass.
    expect(clock.now().toISOString() > '2026-01-01T00:00:30').toBe(true);
    expect(told).toHaveLength(1);
  });

  it('a round for cron is done by who gets the lock, and gives it back', async () => {
    const { watch, onRound, lock, lockOf } = bench(async () => Promise.resolve([]));
    expect(await watch({ way: 'once', onRound }, { signal })).toEqual({
      kind: 'ended',
      isFine: true,
    });
    expect(await lock.holder()).toBeUndefined();
    await lockOf('other').take('background');
    expect(await watch({ way: 'once', onRound }, { signal })).toMatchObject({
      kind: 'held',
      by: { holder: 'other' },
    });
  });
});

it('its log is private, one line an entry, without secrets, and never grows beyond two files', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-watch-'));
  const file = path.join(folder, 'watcher.log');
  const log = createLogFile({
    file,
    clock: new ManualClock(),
    redact: (text) => text.replaceAll('key', '***'),
  });
  await Promise.all([log('first'), log('a key\nin two lines')]);
  expect(await readFile(file, 'utf8')).toBe(
    '2026-01-01T00:00:00.000Z first\n2026-01-01T00:00:00.000Z a *** in two lines\n',
  );
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await writeFile(file, 'x'.repeat(1_000_000));
  await log('after');
  expect(await readFile(file, 'utf8')).toBe('2026-01-01T00:00:00.000Z after\n');
  expect((await stat(`${file}.1`)).size).toBe(1_000_000);
  await rm(folder, { recursive: true });
});
