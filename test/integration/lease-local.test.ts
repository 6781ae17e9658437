import path from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import type { PodId } from '../../src/core/ids.ts';
import { leaseSchema } from '../../src/core/lease.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { PodsDeps } from '../../src/leases/deps.ts';
import { createHosts } from '../../src/leases/hosts.ts';
import { createManagedMachines } from '../../src/leases/machines.ts';
import { createOffers } from '../../src/leases/offers.ts';
import { createPods } from '../../src/leases/pods.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { createProbe } from '../../src/sessions/probe.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { someTerms } from '../support/lease-bench.ts';
import { type LocalProviderFixture, openLocalProvider } from '../support/local-provider.ts';

const { signal } = new AbortController();
const options = { signal, ask: async () => Promise.resolve('unavailable' as const) };

/** A server process: leases, SSH and state are real; what files and jobs would say is that there are none. */
function openServer({ home, keyPath, provider }: LocalProviderFixture, processId: string) {
  const store = createSqliteStore({ file: path.join(home, 'state.db') });
  const providers = new Map([[provider.name, provider]]);
  const identity = createSshIdentity({ home, keyPath });
  const machines = createManagedMachines({ store, providers, identity });
  const redactor = new Redactor();
  const ssh = createSsh({ machines, store, clock: systemClock, home, redactor });
  const pods = createPods({
    store,
    providers,
    identity,
    probe: createProbe(),
    remote: ssh.remote,
    sessions: ssh.sessions,
    jobs: {
      collectLogs: async () => Promise.resolve(),
      refresh: async () => Promise.resolve([]),
      list: async () => Promise.resolve([]),
    } as Partial<PodsDeps['jobs']> as PodsDeps['jobs'],
    files: { gates: async () => Promise.resolve([]) } as Partial<
      PodsDeps['files']
    > as PodsDeps['files'],
    secrets: { value: () => undefined },
    clock: systemClock,
    limits: {},
    processId,
    isAlive: (id) => id === processId,
  });
  return {
    pods,
    store,
    providers,
    remote: ssh.remote,
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

it('a real pod from offer to receipt, over two server lives [RE-04] [RE-05] [TD-04]', async () => {
  await using local = await openLocalProvider();
  let podId: PodId;
  {
    await using server = openServer(local, 'first');
    const found = await createOffers({
      providers: server.providers,
      clock: systemClock,
      hosts: createHosts({ store: server.store, clock: systemClock }),
    }).find(
      {
        gpu: ['H100'],
        gpuCount: 1,
        minVramGb: 24,
        diskGb: 64,
        minReliability: 0.9,
        regions: [],
        interruptible: false,
        providers: [],
        limit: 5,
      },
      { signal },
    );
    const offer = found.offers.find(({ rehearsal }) => rehearsal === true);
    if (offer === undefined) throw new Error('no rehearsal offer');
    const created = await server.pods.create(
      { terms: someTerms({ offerIds: [offer.offerId] }), waitSeconds: 25 },
      options,
    );
    if (created.status !== 'ready') throw new Error(JSON.stringify(created));
    expect(created.pod).toMatchObject({ mode: 'managed', rehearsal: true, spentUsd: 0 });
    expect(created.pod.measured).toMatchObject({ vcpu: expect.any(Number) as number });
    podId = created.pod.podId;
  }
  await using server = openServer(local, 'second');
  await server.pods.reconcile(options);
  const { pods } = await server.pods.list({ includeEnded: false }, options);
  expect(pods).toMatchObject([{ podId, status: 'ready' }]);
  const stopped = await server.pods.update(podId, { action: 'stop' }, options);
  expect(stopped.stillCharged).toContain('free');
  const halt = await server.pods.get(podId, { waitFor: 'stopped', waitSeconds: 20 }, options);
  expect(halt.reached).toBe(true);
  await server.pods.update(podId, { action: 'start' }, options);
  const back = await server.pods.get(podId, { waitFor: 'ready', waitSeconds: 20 }, options);
  expect(back.pod).toMatchObject({ status: 'ready' });
  const { stdout } = await server.remote.exec(podId, 'echo hello', { signal, timeoutSeconds: 10 });
  expect(stdout.toString()).toBe('hello\n');
  const request = { discardUnfetched: false, waitSeconds: 25 };
  const end = await server.pods.destroy(podId, request, options);
  expect(end).toMatchObject({ outcome: 'gone', receipt: { podId, estimatedUsd: 0 } });
  expect(await local.provider.listPods({ signal })).toEqual([]);
  await expect(
    server.remote.exec(podId, 'echo hello', { signal, timeoutSeconds: 10 }),
  ).rejects.toMatchObject({ code: 'pod_gone' });
});

it('a pod whose server died before it knew its id is found by label [OW-07] [CR-03]', async () => {
  await using local = await openLocalProvider();
  {
    await using server = openServer(local, 'first');
    const dying = server.pods.create(
      { terms: someTerms({ offerIds: [local.request().offerId] }), waitSeconds: 0 },
      options,
    );
    await dying;
    // What a server leaves that died after the order and before the answer.
    const [lease] = await server.store.leases.list();
    if (lease === undefined) throw new Error('no lease');
    const forgotten = Object.entries(lease).filter(([name]) => name !== 'podId');
    await server.store.leases.put(
      lease.leaseId,
      leaseSchema.parse({ ...Object.fromEntries(forgotten), state: 'intended', creator: 'first' }),
    );
  }
  await using server = openServer(local, 'second');
  await server.pods.reconcile(options);
  const [lease] = await server.store.leases.list();
  const [pod] = await local.provider.listPods({ signal });
  expect(lease).toMatchObject({ state: 'open', podId: pod?.podId, label: pod?.label });
});

it('a pod that ended at its own deadline leaves a receipt [CO-05]', async () => {
  await using local = await openLocalProvider();
  await using server = openServer(local, 'first');
  const created = await server.pods.create(
    { terms: someTerms({ offerIds: [local.request().offerId] }), waitSeconds: 25 },
    options,
  );
  if (created.status !== 'ready') throw new Error(created.status);
  const { podId } = created.pod;
  const soon = new Date(Date.now() + 300).toISOString();
  await local.provider.deadlines?.setDeadline(podId, soon, { signal });
  const end = await server.pods.get(podId, { waitFor: 'gone', waitSeconds: 40 }, options);
  expect(end.reached).toBe(true);
  expect(await server.pods.receipt(podId)).toMatchObject({ podId });
});
