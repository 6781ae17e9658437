import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { Answer, Pod, Pods } from '../../../src/core/pods.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { createWatchLock } from '../../../src/watcher/lock.ts';
import { withWatcher } from '../../../src/watcher/renting.ts';
import { createEnsure } from '../../../src/watcher/start.ts';
import { createStatus } from '../../../src/watcher/status.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';
import { createLeaseBench, someTerms } from '../../support/lease-bench.ts';
import { until } from '../../support/watcher-process.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gpu-lease-start-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A program that writes down how it was started, a line each, and ends. */
const PROGRAM = `require('node:fs').appendFileSync(process.env.OUT, JSON.stringify({
  args: process.argv.slice(1), cwd: process.cwd(), token: process.env.TOKEN,
  isLeader: require('node:fs').readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[2] === String(process.pid),
}) + '\\n')`;

function bench(reach: string[] = ['vast#1'], version = '1.2.3') {
  const store = createMemoryStore();
  const clock = new ManualClock();
  const out = path.join(folder, 'started');
  const failures: unknown[] = [];
  const lockOf = (holder: string, of: { reach: string[]; version: string }) =>
    createWatchLock({ store, clock, isAlive: () => true, me: { holder, pid: 1, ...of } });
  const me = { reach, version };
  const lock = lockOf('server', me);
  const ensure = createEnsure({
    store,
    clock,
    lock,
    me,
    program: {
      command: [process.execPath, '-e', PROGRAM, '--', 'watch'],
      environment: () => ({ OUT: out, TOKEN: 'secret-value' }),
    },
    onFailure: (failure) => failures.push(failure),
  });
  return {
    store,
    clock,
    lock,
    lockOf,
    ensure,
    failures,
    lease: async (price = 0.5) => {
      const leases = createLeaseBench({
        provider: createFakeProvider({ clock, ...(price === 0 ? { name: 'local' } : {}) }),
      });
      await leases.create().catch(() => undefined);
      for (const lease of await leases.store.leases.list())
        await store.leases.put(lease.leaseId, { ...lease, usdPerHour: price });
      return (await store.leases.list()).length;
    },
    /** As often as it was started, once it was started so often. */
    started: async (count: number) => {
      const lines = async (): Promise<readonly string[]> =>
        (await readFile(out, 'utf8').catch(() => '')).split('\n').slice(0, -1);
      const seen = await until(10, lines, ({ length }) => length >= count);
      return seen.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

describe('a server', () => {
  it('starts a watcher for a lease that costs money: a session of its own at the root, keys in its environment alone', async () => {
    const { lease, ensure, started, failures } = bench();
    await ensure();
    expect(await lease()).toBe(1);
    await ensure();
    await ensure();
    expect(await started(1)).toEqual([
      { args: ['watch'], cwd: '/', token: 'secret-value', isLeader: true },
    ]);
    expect(failures).toEqual([]);
  });

  it('starts another one when the first was never heard, and none while one is', async () => {
    const { lease, ensure, started, clock, lockOf, store } = bench();
    await lease();
    await ensure();
    await started(1);
    clock.advance(16);
    await ensure();
    await started(2);
    clock.advance(16);
    await lockOf('watcher', { reach: ['vast#1'], version: '1.2.3' }).take('background');
    await ensure();
    // Renting tells the one that lives to stay.
    await ensure({ isRenting: true });
    expect(await store.watchers.get('watcher')).toHaveProperty('wantedAt');
    clock.advance(31);
    await ensure();
    expect(await started(3)).toHaveLength(3);
  });

  it('replaces an older one, and once one that cannot reach what it can', async () => {
    const { lease, ensure, started, clock, lockOf } = bench(['vast#2']);
    await lease();
    await lockOf('watcher', { reach: ['vast#1'], version: '1.2.3' }).take('background');
    await ensure();
    expect(await started(1)).toMatchObject([{ args: ['watch', '--over', '1'] }]);
    clock.advance(16);
    // The other server took it back: they do not fight for ever.
    await lockOf('watcher', { reach: ['vast#1'], version: '1.2.3' }).take('background', 1);
    await ensure();
    clock.advance(16);
    await lockOf('old', { reach: ['vast#2'], version: '1.1.0' }).take('background', 2);
    await ensure();
    expect((await started(2)).map(({ args }) => args)).toEqual([
      ['watch', '--over', '1'],
      ['watch', '--over', '3'],
    ]);
  });

  it('says which clouds a watcher has no key of', async () => {
    const { lease, lockOf, store, clock, lock } = bench();
    await lease();
    await lockOf('watcher', { reach: ['runpod#1'], version: '1.2.3' }).take('background');
    const { words } = await createStatus({ store, clock, lock, isOn: true })();
    expect(words).toContain('It has no key of vast');
  });

  it('whose program is missing goes on without', async () => {
    const { lease, store, clock, lock, failures } = bench();
    await lease();
    const me = { reach: [], version: '1.2.3' };
    const program = { command: [path.join(folder, 'absent')], environment: () => ({}) };
    const onFailure = (failure: unknown): void => {
      failures.push(failure);
    };
    await createEnsure({ store, clock, lock, me, program, onFailure })();
    await until(
      5,
      async () => Promise.resolve(failures.length),
      (count) => count === 1,
    );
  });
});

it('a watcher is wanted before the order goes out, agreed by quote, form or by itself, not for a quote and not for free pods [CO-05]', async () => {
  const done: string[] = [];
  const watcher = {
    ensure: async (request?: { readonly isRenting?: boolean }) => {
      done.push(request?.isRenting === true ? 'watcher' : 'seen');
      return Promise.resolve();
    },
  };
  const rent = async (usdPerHour: number, limit: number, answer: Answer) => {
    const clock = new ManualClock();
    const cloud = {
      offers: [anOffer({ usdPerHour })],
      before: (call: string) => {
        if (call === 'createPod') done.push('order');
      },
    };
    const bench = createLeaseBench({ clock, cloud, limits: { autoApproveUsd: limit } });
    bench.world.answer = answer;
    const pods = withWatcher(bench.pods, watcher);
    done.length = 0;
    const outcome = await pods.create({ terms: someTerms(), waitSeconds: 0 }, bench.options);
    return { pods, outcome, options: bench.options };
  };
  await rent(0.5, 100, 'unavailable');
  expect(done).toEqual(['watcher', 'order']);
  await rent(0.5, 0, 'accepted');
  expect(done).toEqual(['watcher', 'order']);
  await rent(0, 0, 'accepted');
  expect(done).toEqual(['order']);
  const { pods, outcome, options } = await rent(0.5, 0, 'unavailable');
  expect(done).toEqual([]);
  if (outcome.status !== 'needs_confirmation') throw new Error(outcome.status);
  const { quoteId } = outcome.quote;
  await pods.create({ terms: someTerms(), quoteId, waitSeconds: 0 }, options);
  expect(done).toEqual(['watcher', 'order']);
});

it('a watcher is wanted before a pod is started or taken over, not before it is stopped', async () => {
  const wanted: unknown[] = [];
  const made: Partial<Pods> = {
    update: async () => Promise.resolve({ pod: {} as Pod, stillCharged: '' }),
  };
  const pods = withWatcher(made as Pods, {
    ensure: async (request) => {
      wanted.push(request ?? 'seen');
      return Promise.resolve();
    },
  });
  const options = {
    signal: new AbortController().signal,
    ask: async () => Promise.resolve('accepted' as const),
  };
  const change = (action: 'start' | 'stop') => ({ action });
  await pods.update(podIdSchema.parse('vast:1'), change('start'), options);
  await pods.update(podIdSchema.parse('vast:1'), change('stop'), options);
  await pods.update(podIdSchema.parse('local:1'), change('start'), options);
  expect(wanted).toEqual([{ isRenting: true }]);
});
