import { describe, expect, it } from 'vitest';
import type { Store } from '../../../src/core/store.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { fenceProviders, fenceStore } from '../../../src/watcher/fence.ts';
import { createWatchLock, type WatchLock } from '../../../src/watcher/lock.ts';
import { isOlderVersion } from '../../../src/watcher/version.ts';
import { ManualClock } from '../../support/clock.ts';
import { createFakeProvider } from '../../support/fake-provider.ts';
import { fc } from '../../support/property.ts';

interface Bench {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly dead: Set<string>;
  readonly process: (name: string, version?: string) => WatchLock;
}
function bench(): Bench {
  const store = createMemoryStore();
  const clock = new ManualClock();
  const dead = new Set<string>();
  return {
    store,
    clock,
    dead,
    process: (holder, version = '1.2.3') =>
      createWatchLock({
        store,
        clock,
        isAlive: (id) => !dead.has(id),
        me: { holder, pid: 1, version, reach: [] },
      }),
  };
}

describe('the right to watch', () => {
  it('goes to the first of two that ask at once; the other learns who has it', async () => {
    const { process } = bench();
    const [a, b] = await Promise.all([
      process('a').take('background'),
      process('b').take('background'),
    ]);
    expect(a).toBeUndefined();
    expect(b).toMatchObject({ holder: 'a', epoch: 1, way: 'background' });
  });

  it('passes on from one who is silent, with a higher epoch; the old one does nothing any more', async () => {
    const { process, clock, store } = bench();
    const frozen = process('a');
    await frozen.take('background');
    clock.advance(29);
    expect(await process('b').take('background')).toMatchObject({ holder: 'a' });
    clock.advance(2);
    const next = process('b');
    expect(await next.take('background')).toBeUndefined();
    expect(await frozen.beat()).toBe(false);
    expect(await frozen.release()).toBe(false);
    await expect(frozen.assert()).rejects.toMatchObject({ code: 'watch_lost' });
    await next.assert();
    expect(await next.last()).toMatchObject({ holder: 'b', epoch: 2 });

    const written = fenceStore(store, frozen).transaction(async (tx) => tx.leases.delete('x'));
    await expect(written).rejects.toMatchObject({ code: 'watch_lost' });
    await fenceStore(store, next).transaction(async (tx) => tx.leases.delete('x'));
  });

  it('of a crashed one passes on sooner, and of one that released it or was older at once', async () => {
    const { process, clock, dead } = bench();
    const first = process('a');
    await first.take('background');
    dead.add('a');
    clock.advance(11);
    // Its pid may only mean nothing here.
    expect(await process('b').take('background')).toMatchObject({ holder: 'a' });
    clock.advance(2);
    const second = process('b');
    expect(await second.take('background')).toBeUndefined();
    expect(await second.release()).toBe(true);
    const third = process('c');
    expect(await third.take('once')).toBeUndefined();
    const newer = process('d', '1.10.0');
    expect(await newer.take('background')).toBeUndefined();
    expect(await third.beat()).toBe(false);
    expect(await process('e', '1.9.9').take('background')).toMatchObject({ holder: 'd', epoch: 4 });
  });

  it('is taken from a living one only by who names its epoch', async () => {
    const { process } = bench();
    await process('a').take('background');
    expect(await process('b').take('background', 7)).toMatchObject({ holder: 'a' });
    expect(await process('b').take('background', 1)).toBeUndefined();
  });

  it('is not given back for want of work while somebody is about to rent', async () => {
    const { process, clock, store } = bench();
    const lock = process('a');
    await lock.take('background');
    const idleSince = clock.now();
    clock.advance(10);
    const record = await lock.last();
    if (record === undefined) throw new Error('no record');
    await store.watchers.put('watcher', { ...record, wantedAt: clock.now().toISOString() });
    expect(await lock.release(idleSince)).toBe(false);
    clock.advance(1);
    expect(await lock.release(clock.now())).toBe(true);
    expect(await lock.holder()).toBeUndefined();
  });

  it('a clock that was put back does not make a dead holder heard for ever', async () => {
    const { process, clock } = bench();
    await process('a').take('background');
    clock.advance(-3600);
    expect(await process('b').take('background')).toBeUndefined();
  });

  it('of several processes at most one ever believes it, whatever freezes and wakes', async () => {
    const step = fc.record({ who: fc.nat(3), what: fc.nat(3), seconds: fc.nat(40) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { process, clock } = bench();
        const locks = ['a', 'b', 'c', 'd'].map((name) => process(name));
        let epoch = 0;
        for (const { who, what, seconds } of steps) {
          const lock = locks[who];
          if (what === 0) await lock?.take('background');
          if (what === 1) await lock?.beat();
          if (what === 2) await lock?.release();
          if (what === 3) clock.advance(seconds);
          const now = (await lock?.last())?.epoch ?? 0;
          expect(now).toBeGreaterThanOrEqual(epoch);
          epoch = now;
          const acting = await Promise.all(
            locks.map(
              async (one) =>
                one.isMine() &&
                one.assert().then(
                  () => true,
                  () => false,
                ),
            ),
          );
          expect(acting.filter(Boolean).length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

it('a watcher whose time is over gives no cloud an order; questions pass', async () => {
  const { process, clock } = bench();
  const done = async (): Promise<void> => Promise.resolve();
  const cloud = {
    ...createFakeProvider({ clock }),
    power: { stopPod: done, startPod: done, restartPod: done },
    restartPod: done,
    volumes: { listVolumes: async () => Promise.resolve([]), removeVolume: done },
  };
  const old = process('a');
  await old.take('background');
  await process('b').take('background', 1);
  const fenced = fenceProviders(new Map([[cloud.name, cloud]]), old).get(cloud.name);
  const { signal } = new AbortController();
  expect(await fenced?.listPods({ signal })).toEqual([]);
  expect(await fenced?.volumes?.listVolumes({ signal })).toEqual([]);
  const orders = [
    async () => fenced?.terminatePod('vast:1' as never, { signal }),
    async () => fenced?.createPod({} as never, { signal }),
    async () => fenced?.power?.stopPod('vast:1' as never, { signal }),
    async () => fenced?.power?.startPod('vast:1' as never, { signal }),
    async () => fenced?.power?.restartPod('vast:1' as never, { signal }),
    async () => fenced?.restartPod?.('vast:1' as never, { signal }),
    async () => fenced?.volumes?.removeVolume('vast:V.1' as never, { signal }),
  ];
  for (const order of orders) await expect(order()).rejects.toMatchObject({ code: 'watch_lost' });
  // Who never watched is held up by nobody.
  const free = fenceProviders(new Map([[cloud.name, cloud]]), process('c')).get(cloud.name);
  await free?.terminatePod('vast:1' as never, { signal });
});

it.each([
  ['1.2.3', '1.2.3', false],
  ['1.2.3', '1.10.0', true],
  ['2.0.0', '1.9.9', false],
  ['0.0.0-source', '0.1.0', true],
  ['nonsense', '0.0.1', true],
  ['1.0.0-rc.1', '1.0.0', false],
])('version %s is older than %s: %s', (a, b, isOlder) => {
  expect(isOlderVersion(a, b)).toBe(isOlder);
});
