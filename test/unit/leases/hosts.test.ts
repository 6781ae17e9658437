import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/core/errors.ts';
import type { Blame, Host } from '../../../src/core/host.ts';
import { hostIdOf } from '../../../src/core/host.ts';
import type { Lease } from '../../../src/core/lease.ts';
import { leaseSchema } from '../../../src/core/lease.ts';
import type { Store } from '../../../src/core/store.ts';
import { blemishOf, createHosts, praiseOf, standingOf } from '../../../src/leases/hosts.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { someTerms } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

const HOUR = 3600;

function aLease(leaseId: string, machineId?: string): Lease {
  return leaseSchema.parse({
    leaseId,
    label: `gl-${leaseId}`,
    provider: 'vast',
    offer: anOffer(machineId === undefined ? {} : { machineId }),
    terms: someTerms(),
    approvedBy: 'form',
    state: 'open',
    name: 'pod',
    usdPerHour: 0.5,
    createdAt: '2026-01-01T00:00:00.000Z',
    deadlineAt: '2026-01-01T06:00:00.000Z',
    stages: [],
    stage: 'requested',
    attempts: [],
  });
}
function open() {
  const clock = new ManualClock();
  const store = createMemoryStore();
  const hosts = createHosts({ store, clock });
  const the = async (): Promise<Host | undefined> => (await hosts.all()).get('vast:7');
  const fail = async (leaseId: string, blame: Blame, stage = 'running') =>
    hosts.failed(aLease(leaseId, '7'), { stage, reason: 'It never came up.', blame });
  return { clock, store, hosts, the, fail };
}

describe('the ledger of machines', () => {
  it('remembers boots, their median, and what was measured', async () => {
    const { hosts, the } = open();
    for (const [id, bootSeconds] of [
      ['a', 30],
      ['b', 90],
      ['c', 48],
    ] as const)
      await hosts.succeeded(aLease(id, '7'), { bootSeconds, downloadMbps: 800 + bootSeconds });
    expect(await the()).toMatchObject({
      hostId: 'vast:7',
      bootCount: 3,
      downloadMbps: 848,
      measuredAt: '2026-01-01T00:00:00.000Z',
    });
    expect(praiseOf(await the())).toBe('booted in 48 s 3 times for us');
  });

  it('counts a lease once, whoever reports it', async () => {
    const { hosts, the, fail } = open();
    await hosts.succeeded(aLease('a', '7'), { bootSeconds: 30 });
    await hosts.succeeded(aLease('a', '7'), { bootSeconds: 99 });
    await fail('b', 'host');
    await fail('b', 'unknown');
    expect(await the()).toMatchObject({ bootCount: 1, failureCount: 1 });
    expect(praiseOf(await the())).toBe('booted in 30 s once for us');
  });

  it('takes the machine from the pod where the offer did not tell it, and leaves no trace without one', async () => {
    const { hosts, the } = open();
    await hosts.succeeded(aLease('a'), { bootSeconds: 30 });
    expect((await hosts.all()).size).toBe(0);
    await hosts.succeeded(aLease('a'), { bootSeconds: 30, machineId: '7' });
    expect(await the()).toMatchObject({ machineId: '7', bootCount: 1 });
    expect(hostIdOf({ provider: 'vast', machineId: '' })).toBeUndefined();
  });

  it('blocks a host for 24 hours after a fault of its own [OF-15]', async () => {
    const { clock, the, fail } = open();
    await fail('a', 'host', 'gpu');
    expect(await the()).toMatchObject({ mismatchAt: '2026-01-01T00:00:00.000Z' });
    expect(standingOf(await the(), clock.now())).toBe('blocked');
    clock.advance(3 * HOUR);
    expect(blemishOf(await the(), clock.now())).toBe(
      'this machine failed for us 3 h ago: It never came up.',
    );
    clock.advance(21 * HOUR - 1);
    expect(standingOf(await the(), clock.now())).toBe('blocked');
    clock.advance(1);
    expect(standingOf(await the(), clock.now())).toBe('doubtful');
    clock.advance(60 * HOUR);
    expect(standingOf(await the(), clock.now())).toBe('unknown');
    expect(blemishOf(await the(), clock.now())).toBeUndefined();
  });

  it.each(['image', 'ours', 'unknown'] as const)(
    'a failure that is the fault of %s blocks no host',
    async (blame) => {
      const { clock, the, fail } = open();
      await fail('a', blame);
      expect(await the()).toMatchObject({ failureCount: 1 });
      expect(standingOf(await the(), clock.now())).toBe('unknown');
      expect(blemishOf(await the(), clock.now())).toBeUndefined();
    },
  );

  it('a boot after the fault lifts the block, though a doubt remains', async () => {
    const { clock, hosts, the, fail } = open();
    await fail('a', 'host');
    clock.advance(HOUR);
    await hosts.succeeded(aLease('b', '7'), { bootSeconds: 30 });
    expect(standingOf(await the(), clock.now())).toBe('doubtful');
    clock.advance(80 * HOUR);
    expect(standingOf(await the(), clock.now())).toBe('proven');
  });

  it('leaves a record that it cannot read as it is, and stops nobody', async () => {
    const { store, hosts } = open();
    const broken: Store = {
      ...store,
      transaction: async () =>
        Promise.reject(new ConfigError('state_unreadable', 'The record vast:7 cannot be read.')),
    };
    const over = createHosts({ store: broken, clock: new ManualClock() });
    await expect(over.succeeded(aLease('a', '7'), { bootSeconds: 1 })).resolves.toBeUndefined();
    expect((await hosts.all()).size).toBe(0);
  });

  it('any history keeps its counts and stays bounded', async () => {
    const event = fc.record({
      lease: fc.integer({ min: 0, max: 30 }),
      what: fc.constantFrom(
        'boot' as const,
        'host' as const,
        'image' as const,
        'ours' as const,
        'unknown' as const,
      ),
      wait: fc.integer({ min: 0, max: 200_000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 80 }), async (events) => {
        const { clock, hosts, the, fail } = open();
        let lastFault = -Infinity;
        let lastBoot = -Infinity;
        for (const { lease, what, wait } of events) {
          clock.advance(wait);
          const before = await the();
          if (what === 'boot') await hosts.succeeded(aLease(`l${lease}`, '7'), { bootSeconds: 5 });
          else await fail(`l${lease}`, what);
          const after = await the();
          if ((after?.bootCount ?? 0) > (before?.bootCount ?? 0)) lastBoot = clock.now().getTime();
          if (what === 'host' && (after?.failureCount ?? 0) > (before?.failureCount ?? 0))
            lastFault = clock.now().getTime();
          expect(after?.boots.length).toBeLessThanOrEqual(10);
          expect(after?.failures.length).toBeLessThanOrEqual(20);
          expect(after?.bootCount).toBeGreaterThanOrEqual(after?.boots.length ?? 0);
        }
        const isFresh = clock.now().getTime() - lastFault < 24 * HOUR * 1000;
        if (isFresh && lastBoot <= lastFault)
          expect(standingOf(await the(), clock.now())).toBe('blocked');
        if (!isFresh) expect(standingOf(await the(), clock.now())).not.toBe('blocked');
      }),
      { numRuns: 100 },
    );
  });
});
