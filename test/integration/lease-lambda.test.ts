import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/core/call.ts';
import type { Terms } from '../../src/core/lease.ts';
import type { Pod } from '../../src/core/pods.ts';
import { poll } from '../../src/core/poll.ts';
import { Redactor } from '../../src/core/redact.ts';
import type { PodsDeps } from '../../src/leases/deps.ts';
import { createLooks } from '../../src/leases/looks.ts';
import { createManagedMachines } from '../../src/leases/machines.ts';
import { createPods } from '../../src/leases/pods.ts';
import { createLambdaProvider } from '../../src/providers/lambda/provider.ts';
import { createSshIdentity } from '../../src/sessions/identity.ts';
import { createProbe } from '../../src/sessions/probe.ts';
import { createSsh } from '../../src/sessions/ssh.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startLambdaSandbox } from '../support/lambda-sandbox.ts';
import { someTerms } from '../support/lease-bench.ts';

const { signal } = new AbortController();
const ask = async () => Promise.resolve('accepted' as const);
const options = { signal, ask };
const SPEED = 60;

/** Leases, SSH and the client of Lambda are real; the cloud is made up, its pods are not, and its time runs 60 times faster. */
async function open() {
  const home = await mkdtemp(path.join(tmpdir(), 'lease-lambda-'));
  const cloud = await startLambdaSandbox({ speed: SPEED, lambda: { bootSeconds: 120 } });
  const clock: Clock = {
    now: () => new Date(cloud.clock.nowSeconds() * 1000),
    sleep: async (seconds, call) => systemClock.sleep(seconds / SPEED, call),
  };
  const identity = createSshIdentity({ home });
  const provider = createLambdaProvider({
    apiKey: cloud.apiKey,
    baseUrl: cloud.url,
    clock,
    ownPublicKey: async (call) => identity.publicKey(call),
  });
  const providers = new Map([[provider.name, provider]]);
  const store = createMemoryStore();
  const looks = createLooks({ providers, clock });
  const machines = createManagedMachines({ store, providers, identity, clock, looks });
  const ssh = createSsh({ machines, store, clock: systemClock, home, redactor: new Redactor() });
  const pods = createPods({
    store,
    providers,
    identity,
    looks,
    clock,
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
    limits: {},
    processId: 'this',
    isAlive: () => false,
  });
  const query = { gpu: [], gpuCount: 1, minVramGb: 8, diskGb: 16 };
  const rest = { minReliability: 0, regions: [], interruptible: false };
  const offers = (await provider.listOffers({ ...query, ...rest }, { signal })).slice(0, 3);
  const terms = (changes: Partial<Terms> = {}): Terms =>
    someTerms({ offerIds: offers.map(({ offerId }) => offerId), diskGb: 16, ...changes });
  return {
    cloud,
    pods,
    store,
    offers,
    terms,
    remote: ssh.remote,
    /** Rents, and lets the server's rounds go on until a pod is ready or everything has ended. */
    async settle(changes: Partial<Terms> = {}): Promise<Pod | undefined> {
      await pods.create({ terms: terms(changes), waitSeconds: 0 }, options);
      return poll(
        async () => {
          await Promise.all([pods.tend({ signal }), pods.reconcile({ signal })]);
          const leases = await store.leases.list();
          const ready = leases.find(
            ({ readyAt, state }) => readyAt !== undefined && state === 'open',
          );
          if (ready?.podId === undefined) return undefined;
          return (await pods.get(ready.podId, { waitSeconds: 0 }, options)).pod;
        },
        { signal, clock: systemClock, timeoutSeconds: 60, everySeconds: 0.1 },
      );
    },
    billing: (): readonly string[] =>
      cloud
        .books()
        .instances.filter(({ billing }) => billing)
        .map(({ id }) => id),
    async [Symbol.asyncDispose]() {
      await ssh[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  };
}
type Bench = Awaited<ReturnType<typeof open>>;

async function endAll({ pods, store, billing }: Bench): Promise<void> {
  for (const { podId, state } of await store.leases.list())
    if (podId !== undefined && state !== 'closed')
      await pods.destroy(podId, { discardUnfetched: false, waitSeconds: 120 }, options);
  expect(billing()).toEqual([]);
}

describe('a lease on Lambda, from the offer to nothing left', () => {
  it('comes up with setup and env, is restarted, cannot be stopped, and ends seen gone', async () => {
    await using bench = await open();
    const { pods, remote, cloud } = bench;
    const pod = await bench.settle({
      setup: 'echo made-by-$WHO > "$HOME/made"',
      env: { WHO: 'setup' },
    });
    if (pod === undefined) throw new Error('It did not come up.');
    expect(pod.status).toBe('ready');
    const { podId } = pod;
    const made = await remote.exec(podId, 'cat "$HOME/made"; echo "now $WHO"', {
      signal,
      timeoutSeconds: 20,
    });
    expect(made.stdout.toString()).toBe('made-by-setup\nnow setup\n');

    await expect(pods.update(podId, { action: 'stop' }, options)).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('goes on costing until destroy') as string,
    });
    await pods.update(podId, { action: 'restart' }, options);
    const again = await poll(
      async () => {
        const seen = await pods.get(podId, { waitSeconds: 0, waitFor: 'ready' }, options);
        return seen.pod.status === 'ready' ? seen.pod : undefined;
      },
      { signal, clock: systemClock, timeoutSeconds: 40, everySeconds: 0.2 },
    );
    expect(again?.podId).toBe(podId);
    expect(bench.billing()).toHaveLength(1);

    const end = await pods.destroy(podId, { discardUnfetched: false, waitSeconds: 120 }, options);
    expect(end.outcome).toBe('gone');
    expect(bench.billing()).toEqual([]);
    expect([...cloud.cloud.instances.values()].map(({ status }) => status)).toEqual(['terminated']);
  });

  it.each([
    ['no-capacity', 'capacity that is listed and not there (lambda.md 5)'],
    ['launch-fails-with-instance', 'a refusal that left a machine'],
    ['wrong-gpu', 'another GPU than was sold'],
    ['ssh-refuses-key', 'a machine that lets nobody in'],
  ])('%s: the next offer is taken and nothing is left: %s', async (kind) => {
    await using bench = await open();
    const offerId = bench.offers[0]?.offerId.replace('lambda:', '') ?? '';
    bench.cloud.faults.add({ kind, offerId });
    const pod = await bench.settle();
    expect(pod?.status).toBe('ready');
    expect(pod?.podId).toMatch(/^lambda:[0-9a-f]{32}$/);
    expect(bench.billing()).toHaveLength(1);
    await endAll(bench);
  });

  it('an answer that was lost costs one machine, not two (lambda.md 6.4)', async () => {
    await using bench = await open();
    const route = 'POST /api/v1/instance-operations/launch';
    bench.cloud.faults.add({ kind: 'late-500', route, times: 1 });
    const pod = await bench.settle();
    expect(pod?.status).toBe('ready');
    expect(bench.cloud.cloud.instances.size).toBe(1);
    await endAll(bench);
  });

  it('a launch that nobody answered and no list shows yet is found by its label, and ends with nothing left', async () => {
    await using bench = await open();
    const { pods, store, cloud } = bench;
    const route = 'POST /api/v1/instance-operations/launch';
    cloud.faults.add({ kind: 'drop-after', route, times: 1 });
    cloud.faults.add({ kind: 'list-lag', value: 60, times: 1 });
    const order = pods.create({ terms: bench.terms(), waitSeconds: 0 }, options);
    await order.then(
      ({ status }) => {
        expect(status).toBe('provisioning');
      },
      (thrown: unknown) => {
        expect(thrown).toMatchObject({ code: 'outcome_unknown' });
      },
    );
    const podId = await poll(
      async () => {
        await Promise.all([pods.tend({ signal }), pods.reconcile({ signal })]);
        const [lease, ...others] = await store.leases.list();
        expect(others).toEqual([]);
        return lease?.podId;
      },
      { signal, clock: systemClock, timeoutSeconds: 30, everySeconds: 0.1 },
    );
    const [instance] = cloud.cloud.instances.values();
    expect(podId).toBe(`lambda:${instance?.id ?? ''}`);
    expect(cloud.cloud.instances.size).toBe(1);
    await endAll(bench);
    expect(instance?.status).toBe('terminated');
  });

  it('an end that fails, is ignored or is denied is ordered again until it is seen', async () => {
    for (const kind of ['terminate-fails', 'terminate-ignored', 'terminate-404']) {
      await using bench = await open();
      const { pods, cloud } = bench;
      const pod = await bench.settle();
      if (pod === undefined) throw new Error('It did not come up.');
      cloud.faults.add({ kind, times: 1 });
      const end = await pods.destroy(
        pod.podId,
        { discardUnfetched: false, waitSeconds: 200 },
        options,
      );
      expect([kind, end.outcome]).toEqual([kind, 'gone']);
      expect(bench.billing()).toEqual([]);
    }
  });
});
