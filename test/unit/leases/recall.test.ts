import { expect, it } from 'vitest';
import type { Lease } from '../../../src/core/lease.ts';
import type { PodOrders, Provider } from '../../../src/core/provider.ts';
import { recall } from '../../../src/leases/recall.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

async function toldOf(changes: Partial<Lease>): Promise<readonly PodOrders[]> {
  const bench = createLeaseBench({ limits: { autoApproveUsd: 100 } });
  await bench.create();
  const [lease] = await bench.store.leases.list();
  if (lease === undefined) throw new Error('no lease');
  const told: PodOrders[] = [];
  const provider: Provider = { ...bench.cloud, recall: (orders) => told.push(orders) };
  const { observedStatus, ...rest } = lease;
  expect(observedStatus).toBeDefined();
  recall({ ...rest, ...changes }, new Map([['vast', provider]]));
  return told;
}
const AT = '2026-08-01T10:00:00.000Z';

it('a pod that only was ordered is told with the time at which the cloud took it', async () => {
  const stages = [{ stage: 'created', seconds: 40 }];
  expect(await toldOf({ createdAt: AT, stages, observedStatus: 'provisioning' })).toEqual([
    expect.objectContaining({ podId: 'vast:1000', createdAt: '2026-08-01T10:00:40.000Z' }),
  ]);
});

it('one that the cloud was seen to know is not young any more', async () => {
  const [told] = await toldOf({ observedStatus: 'running' });
  expect(told).not.toHaveProperty('createdAt');
});

it('the last start and the last stop are told', async () => {
  expect(await toldOf({ bootAt: AT })).toMatchObject([{ startedAt: AT }]);
  const [stopped] = await toldOf({ bootAt: AT, stoppedAt: '2026-08-01T11:00:00.000Z' });
  expect(stopped).toMatchObject({ stoppedAt: '2026-08-01T11:00:00.000Z' });
  expect(stopped).not.toHaveProperty('startedAt');
});

it('nothing is told of a lease that is closed', async () => {
  expect(await toldOf({ state: 'closed' })).toEqual([]);
});

it('a look reminds the provider before it is asked', async () => {
  const calls: string[] = [];
  const bench = createLeaseBench({
    limits: { autoApproveUsd: 100 },
    cloud: { before: (call) => void calls.push(call) },
  });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const provider: Provider = { ...bench.cloud, recall: () => calls.push('recall') };
  const next = createLeaseBench({
    provider: provider as typeof bench.cloud,
    store: bench.store,
    clock: bench.clock,
  });
  calls.length = 0;
  await next.pods.get(outcome.pod.podId, { waitSeconds: 0 }, next.options);
  expect(calls.slice(0, 2)).toEqual(['recall', 'getPod']);
  calls.length = 0;
  await next.pods.list({ includeEnded: false }, next.options);
  expect(calls.indexOf('recall')).toBe(0);
});
