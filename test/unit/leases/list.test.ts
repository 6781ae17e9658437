import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import { profileSchema } from '../../../src/core/profile.ts';
import { createManagedMachines } from '../../../src/leases/machines.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

async function rented() {
  const bench = createLeaseBench({
    limits: { autoApproveUsd: 100 },
    cloud: { canStop: true, balanceUsd: 7 },
  });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  return { bench, podId: outcome.pod.podId };
}
const LIST = { includeEnded: false };

describe('list [MO-14]', () => {
  it('shows what is rented, what it burns and has spent, and the balance', async () => {
    const { bench, podId } = await rented();
    bench.clock.advance(3600 - 12);
    const seen = await bench.pods.list(LIST, bench.options);
    expect(seen.pods).toMatchObject([{ podId, mode: 'managed', status: 'ready' }]);
    expect(seen.usdPerHour).toBe(0.5);
    expect(seen.spentUsd).toBeCloseTo(0.5);
    expect(seen.providers).toEqual([{ provider: 'vast', ok: true, balanceUsd: 7 }]);
  });

  it('marks orphans and foreign machines, and touches neither [OW-02] [OW-03]', async () => {
    const { bench } = await rented();
    bench.cloud.foreign('gl-from-another-machine', 2);
    bench.cloud.foreign('my own', 1);
    const { pods, usdPerHour } = await bench.pods.list(LIST, bench.options);
    const strangers = pods.filter(({ mode }) => mode === 'unmanaged');
    expect(strangers.map(({ problem }) => problem?.split(':')[0]?.split(';')[0])).toEqual([
      'An orphan',
      'Not rented by this server',
    ]);
    expect(usdPerHour).toBe(3.5);
    expect(bench.cloud.alive()).toHaveLength(3);
  });

  it('a cloud that is down makes its pods unknown, not gone', async () => {
    const { bench, podId } = await rented();
    Object.assign(bench.cloud.faults, { listFails: 9, getFails: 9 });
    const { pods, providers } = await bench.pods.list(LIST, bench.options);
    expect(pods).toMatchObject([{ podId, status: 'unknown' }]);
    expect(providers[0]).toMatchObject({ ok: false });
    expect((await bench.store.leases.list())[0]?.state).toBe('open');
  });

  it('closes what is gone, and shows it only when asked', async () => {
    const { bench, podId } = await rented();
    bench.clock.advance(600);
    bench.cloud.vanish(podId);
    expect((await bench.pods.list(LIST, bench.options)).pods).toEqual([]);
    const { pods, spentUsd } = await bench.pods.list({ includeEnded: true }, bench.options);
    expect(pods).toMatchObject([{ podId, status: 'gone' }]);
    expect(spentUsd).toBeGreaterThan(0);
  });

  it('takes up again a pod that turns up after it was given up or seen gone [L-01]', async () => {
    const { bench } = await rented();
    Object.assign(bench.cloud.faults, { loseAnswers: 1, listMisses: 99 });
    await expect(bench.create()).rejects.toMatchObject({ code: 'outcome_unknown' });
    await bench.pods.reconcile(bench.options);
    bench.clock.advance(61);
    await bench.pods.reconcile(bench.options);
    expect((await bench.store.leases.list()).at(-1)?.state).toBe('closed');
    bench.cloud.faults.listMisses = 0;
    const { pods } = await bench.pods.list(LIST, bench.options);
    expect(pods.filter(({ mode }) => mode === 'unmanaged')).toEqual([]);
    expect((await bench.store.leases.list()).at(-1)).toMatchObject({
      state: 'open',
      podId: 'vast:1001',
    });
  });

  it('ends a pod again that is back after it was seen gone', async () => {
    const { bench, podId } = await rented();
    bench.clock.advance(120);
    const request = { discardUnfetched: false, waitSeconds: 25 };
    await bench.pods.destroy(podId, request, bench.options);
    const [machine] = bench.cloud.machines;
    if (machine === undefined) throw new Error('no machine');
    machine.alive = true;
    const { pods } = await bench.pods.list(LIST, bench.options);
    expect(pods).toMatchObject([{ podId, status: 'destroying' }]);
    await bench.pods.reconcile(bench.options);
    expect(bench.cloud.alive()).toEqual([]);
    machine.alive = true;
    expect(await bench.pods.destroy(podId, request, bench.options)).toMatchObject({
      outcome: 'gone',
    });
    expect(bench.cloud.alive()).toEqual([]);
  });

  it('shows machines of the user only while something of ours runs there', async () => {
    const { bench } = await rented();
    const profile = profileSchema.parse({ profileId: 'mine', host: 'h', isDefault: false });
    await bench.store.profiles.put('mine', profile);
    expect((await bench.pods.list(LIST, bench.options)).pods).toHaveLength(1);
    await bench.store.sessions.put('ses_1', {
      podId: 'ssh:mine',
      state: 'idle',
    } as never);
    const { pods } = await bench.pods.list(LIST, bench.options);
    expect(pods.at(-1)).toMatchObject({
      podId: 'ssh:mine',
      mode: 'user_managed',
      status: 'unknown',
    });
  });

  it('knows a profile by its id, and asks it', async () => {
    const { bench } = await rented();
    const id = podIdSchema.parse('ssh:mine');
    const look = async () => bench.pods.get(id, { waitSeconds: 0 }, bench.options);
    await expect(look()).rejects.toMatchObject({ code: 'not_found' });
    const profile = profileSchema.parse({ profileId: 'mine', host: 'h', isDefault: false });
    await bench.store.profiles.put('mine', profile);
    expect((await look()).pod).toMatchObject({ mode: 'user_managed', status: 'ready' });
  });
});

describe('where managed pods are reached', () => {
  async function machines() {
    const { bench, podId } = await rented();
    const { cloud, store, clock } = bench;
    const identity = { keyPath: '/keys/id', publicKey: async () => Promise.resolve('') };
    const providers = new Map([[cloud.name, cloud]]);
    const found = createManagedMachines({ store, providers, identity, clock });
    const look = async (id = podId) => found.endpoint(id, { signal: bench.signal });
    return { bench, podId, look };
  }

  it('asks the provider, with our key, and remembers for a moment', async () => {
    const { bench, look } = await machines();
    const before = bench.cloud.calls.length;
    expect(await look()).toMatchObject({ host: '127.0.0.1', keyPath: '/keys/id' });
    await look();
    expect(bench.cloud.calls.length - before).toBe(1);
    bench.clock.advance(6);
    await look();
    expect(bench.cloud.calls.length - before).toBe(2);
  });

  it('a pod that is stopped is called so at once, with the way to start it', async () => {
    const { bench, podId, look } = await machines();
    await look();
    await bench.pods.update(podId, { action: 'stop' }, bench.options);
    await expect(look()).rejects.toMatchObject({
      code: 'pod_not_ready',
      hint: expect.stringContaining('update_pod action "start"') as string,
    });
  });

  it('goes on with the last known place while the provider is down', async () => {
    const { bench, look } = await machines();
    await look();
    bench.clock.advance(60);
    bench.cloud.faults.getFails = 1;
    expect(await look()).toMatchObject({ port: 1 });
  });

  it.each([
    ['vast:nobody', 'not_found'],
    ['runpod:x', 'not_found'],
  ])('does not know %s: %s', async (id, code) => {
    const { look } = await machines();
    await expect(look(podIdSchema.parse(id))).rejects.toMatchObject({ code });
  });

  it('says gone and not ready as they are', async () => {
    const { bench, podId, look } = await machines();
    await bench.pods.update(podId, { action: 'stop' }, bench.options);
    await expect(look()).rejects.toMatchObject({ code: 'pod_not_ready' });
    bench.clock.advance(60);
    const request = { discardUnfetched: false, waitSeconds: 25 };
    await bench.pods.destroy(podId, request, bench.options);
    await expect(look()).rejects.toMatchObject({ code: 'pod_gone' });
  });
});

describe('balance and volumes in the list', () => {
  const disk = { volumeId: podIdSchema.parse('vast:V.5'), name: 'd', sizeGb: 10, podIds: [] };
  const asked = (bench: ReturnType<typeof createLeaseBench>, what: string): number =>
    bench.cloud.calls.filter((call) => call === what).length;
  const list = async (bench: ReturnType<typeof createLeaseBench>) =>
    bench.pods.list({ includeEnded: false }, bench.options);

  it('are asked for once in 30 s, and again after we changed something', async () => {
    const bench = createLeaseBench({ cloud: { volumes: [disk] } });
    for (let times = 0; times < 3; times += 1) {
      const { volumes, providers } = await list(bench);
      expect(volumes).toHaveLength(1);
      expect(providers[0]?.balanceUsd).toBe(12);
    }
    expect([asked(bench, 'listVolumes'), asked(bench, 'checkAccount')]).toEqual([1, 1]);
    bench.clock.advance(31);
    await list(bench);
    expect([asked(bench, 'listVolumes'), asked(bench, 'checkAccount')]).toEqual([2, 2]);
    await bench.pods.destroy(
      disk.volumeId,
      { discardUnfetched: true, reason: 'not needed', waitSeconds: 25 },
      bench.options,
    );
    expect((await list(bench)).volumes).toEqual([]);
    const created = await bench.create({ volume: 'new:20:/data' });
    if (created.status !== 'ready') throw new Error(created.status);
    expect((await list(bench)).volumes).toHaveLength(1);
  });

  it('a volume that a pod of ours links is attached, whatever the cloud tells', async () => {
    const bench = createLeaseBench({
      limits: { autoApproveUsd: 100 },
      cloud: { volumes: [disk] },
    });
    const created = await bench.create({ volume: 'vast:V.5:/data' });
    if (created.status !== 'ready') throw new Error(created.status);
    const { podId } = created.pod;
    expect((await list(bench)).volumes).toMatchObject([{ volumeId: 'vast:V.5', podIds: [podId] }]);
    const end = { discardUnfetched: false, waitSeconds: 25 };
    bench.clock.advance(120);
    expect(await bench.pods.destroy(podId, end, bench.options)).toMatchObject({ outcome: 'gone' });
    expect((await list(bench)).volumes).toMatchObject([{ podIds: [] }]);
  });

  it('a pod that its cloud stopped burns what a stopped one costs, and shows that', async () => {
    const bench = createLeaseBench({
      limits: { autoApproveUsd: 100 },
      cloud: { canStop: true, offers: [anOffer({ usdPerHourStopped: 0.02 })] },
    });
    const created = await bench.create();
    if (created.status !== 'ready') throw new Error(created.status);
    expect((await list(bench)).usdPerHour).toBe(0.5);
    const [machine] = bench.cloud.machines;
    if (machine !== undefined) machine.status = 'stopped';
    const seen = await list(bench);
    expect(seen.usdPerHour).toBe(0.02);
    expect(seen.pods).toMatchObject([{ status: 'stopped', usdPerHour: 0.02 }]);
  });

  it('that are not told in time hold up nothing', async () => {
    const bench = createLeaseBench({
      cloud: {
        volumes: [disk],
        before: async (call) => {
          if (call === 'listVolumes' || call === 'checkAccount')
            await new Promise((resolve) => setTimeout(resolve, 9_000).unref());
        },
      },
    });
    const begun = Date.now();
    const { volumes, providers } = await list(bench);
    expect(Date.now() - begun).toBeLessThan(7_000);
    expect(volumes).toBeUndefined();
    expect(providers[0]).toEqual({ provider: 'vast', ok: true, balanceUsd: undefined });
  }, 10_000);
});
