import { describe, expect, it } from 'vitest';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { Volume } from '../../../src/core/provider.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const OFFERS = ['a', 'b'].map((id) => anOffer({ id }));
const TERMS = { offerIds: OFFERS.map(({ offerId }) => offerId), volume: 'new:20:/data' };
const end = { discardUnfetched: false, waitSeconds: 25 };
/** Somebody else's, of a name that a person may give again. */
const PRECIOUS: Volume = {
  volumeId: podIdSchema.parse('vast:V.881'),
  name: 'data',
  sizeGb: 100,
  podIds: [],
};

const open = (cloud: Parameters<typeof createLeaseBench>[0] = {}): LeaseBench =>
  createLeaseBench({ ...cloud, cloud: { offers: OFFERS, volumes: [PRECIOUS], ...cloud.cloud } });
async function rounds({ pods, clock, options }: LeaseBench, minutes = 3): Promise<void> {
  for (let round = 0; round < minutes * 6; round += 1) {
    await pods.tend(options);
    clock.advance(10);
  }
}
async function left(bench: LeaseBench): Promise<readonly string[]> {
  const all = (await bench.cloud.volumes?.listVolumes({ signal: bench.signal })) ?? [];
  return all.map(({ volumeId }) => volumeId).filter((id) => id !== PRECIOUS.volumeId);
}

describe('a volume that was made with a pod that never became ready [VO-03]', () => {
  it.each(['new:20:/data', 'new:20:/data:data'])(
    '%s goes after its pod; that of the pod in its place stays, and so does a namesake',
    async (volume) => {
      const bench = open();
      bench.cloud.faults.bootFails = 1;
      bench.cloud.faults.volumesFreeAfterSeconds = 30;
      const created = await bench.create({ ...TERMS, volume }, 60);
      expect(created.status).toBe('ready');
      if (created.status !== 'ready') return;
      expect(created.attempts[0]?.reason).toContain('new volume vast:V.1 is removed as soon as');
      expect(await left(bench)).toEqual(['vast:V.1', 'vast:V.2']);
      const [first] = bench.cloud.machines;
      if (first === undefined) throw new Error('There was no machine.');
      expect((await bench.pods.receipt(first.podId))?.volumes).toMatchObject([
        { volumeId: 'vast:V.1', isBeingRemoved: true },
      ]);
      const before = await bench.pods.list({ includeEnded: false }, bench.options);
      expect(before.volumes?.map(({ problem }) => problem)).toEqual([
        undefined,
        expect.stringContaining('never became ready: it is removed as soon as'),
        undefined,
      ]);
      await rounds(bench);
      expect(await left(bench)).toEqual(['vast:V.2']);
      expect((await bench.pods.receipt(first.podId))?.volumes).toEqual([]);
      expect(await bench.pods.destroy(created.pod.podId, end, bench.options)).toMatchObject({
        receipt: { volumes: [{ volumeId: 'vast:V.2' }] },
      });
      await rounds(bench);
      expect(await left(bench)).toEqual(['vast:V.2']);
    },
  );

  it('goes when a person ends the pod on its way up, by any server that lives on', async () => {
    const bench = open();
    bench.cloud.faults.neverBoots = true;
    bench.cloud.faults.volumesFreeAfterSeconds = 30;
    const created = await bench.create(TERMS, 0);
    if (created.status !== 'provisioning') throw new Error(created.status);
    await bench.pods.destroy(created.pod.podId, end, bench.options);
    const next = createLeaseBench({
      store: bench.store,
      clock: bench.clock,
      provider: bench.cloud,
      processId: 'next',
    });
    await rounds(next);
    expect(await left(bench)).toEqual([]);
  });

  it('goes when the order failed and only the volume was made', async () => {
    const bench = open();
    bench.cloud.faults.failAndRemove = 2;
    expect((await bench.create(TERMS)).status).toBe('failed');
    expect(await left(bench)).toHaveLength(2);
    await rounds(bench);
    expect(await left(bench)).toEqual([]);
  });

  it('that cannot be removed is tried again and told', async () => {
    const bench = open();
    bench.cloud.faults.bootFails = 2;
    bench.cloud.faults.volumesStay = true;
    expect((await bench.create(TERMS, 60)).status).toBe('failed');
    await rounds(bench, 15);
    const tries = bench.cloud.calls.filter((call) => call === 'removeVolume').length;
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(60);
    const { volumes } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(volumes?.[1]?.problem).toContain('could not be removed yet; it is charged');
    bench.cloud.faults.volumesStay = false;
    await rounds(bench, 15);
    expect(await left(bench)).toEqual([]);
    const { volumes: after } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(after).toEqual([PRECIOUS]);
  });
});

describe('a volume is never touched', () => {
  const used = async (
    bench: LeaseBench,
    use: (podId: Parameters<LeaseBench['pods']['destroy']>[0]) => Promise<unknown>,
    waitSeconds = 25,
  ): Promise<void> => {
    const created = await bench.create(TERMS, waitSeconds);
    if (created.status === 'needs_confirmation' || created.pod === undefined)
      throw new Error(created.status);
    const { podId } = created.pod;
    await use(podId);
    await rounds(bench);
    expect(bench.cloud.calls).not.toContain('removeVolume');
    expect(await left(bench)).toEqual(['vast:V.1']);
  };

  it('once its pod was ready, even when that was started again and failed then', async () => {
    const bench = open({ cloud: { canStop: true } });
    await used(bench, async (podId) => {
      await bench.pods.update(podId, { action: 'restart' }, bench.options);
      for (const machine of bench.cloud.machines) machine.status = 'failed';
      await rounds(bench, 1);
      await bench.pods.destroy(podId, end, bench.options);
    });
  });

  it('when somebody else ended the pod: what it did meanwhile nobody knows', async () => {
    const bench = open();
    bench.cloud.faults.neverBoots = true;
    await used(
      bench,
      async (podId) => {
        bench.cloud.vanish(podId);
        bench.clock.advance(120);
        await bench.pods.list({ includeEnded: false }, bench.options);
        expect((await bench.store.leases.list())[0]?.state).toBe('closed');
      },
      0,
    );
  });

  it('when its pod lived on for hours: somebody may have used it in their own way', async () => {
    const bench = open();
    bench.cloud.faults.neverBoots = true;
    await used(
      bench,
      async (podId) => {
        bench.clock.advance(4_000);
        const outcome = await bench.pods.destroy(podId, end, bench.options);
        expect(outcome).toMatchObject({ receipt: { volumes: [{ volumeId: 'vast:V.1' }] } });
        expect(JSON.stringify(outcome)).not.toContain('isBeingRemoved');
      },
      0,
    );
  });

  it('when somebody worked on the pod before it was ready', async () => {
    const bench = open();
    bench.cloud.faults.neverBoots = true;
    await used(
      bench,
      async (podId) => {
        const session = { sessionId: 'ses_abcdef', podId, state: 'open' };
        await bench.store.sessions.put('ses_abcdef', session as never);
        await bench.pods.destroy(podId, end, bench.options);
      },
      0,
    );
  });

  it('that was linked, not made', async () => {
    const bench = open();
    bench.cloud.faults.bootFails = 2;
    await bench.create({ ...TERMS, volume: 'V.881:/data' }, 60);
    await rounds(bench);
    expect(bench.cloud.calls).not.toContain('removeVolume');
  });
});
