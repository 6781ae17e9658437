import { describe, expect, it } from 'vitest';
import { type PodId, podIdSchema } from '../../../src/core/ids.ts';
import type { Volume } from '../../../src/core/provider.ts';
import { createLeaseBench } from '../../support/lease-bench.ts';

const volumeId = podIdSchema.parse('vast:V.881');
const volume = (podIds: readonly PodId[] = []): Volume => ({
  volumeId,
  name: 'data',
  sizeGb: 20,
  usdPerMonth: 3,
  podIds,
});
const discard = { discardUnfetched: true, reason: 'copied home', waitSeconds: 25 };

describe('a volume', () => {
  it('outlives its pod, and the receipt says what it goes on costing [VO-03] [TD-10]', async () => {
    const attached = volume([podIdSchema.parse('vast:1000')]);
    const bench = createLeaseBench({ cloud: { volumes: [attached] } });
    const created = await bench.create();
    if (created.status !== 'ready') throw new Error(created.status);
    const request = { discardUnfetched: false, waitSeconds: 25 };
    const outcome = await bench.pods.destroy(created.pod.podId, request, bench.options);
    expect(outcome).toMatchObject({
      outcome: 'gone',
      receipt: { volumes: [{ volumeId, sizeGb: 20, usdPerMonth: 3 }] },
    });
    expect(bench.cloud.calls).not.toContain('removeVolume');
    const { volumes } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(volumes).toEqual([volume()]);
  });

  it('is removed only by name, with a reason, and read back [TD-10]', async () => {
    const bench = createLeaseBench({ cloud: { volumes: [volume()] } });
    const keep = { discardUnfetched: false, waitSeconds: 25 };
    for (const request of [keep, { ...keep, discardUnfetched: true }])
      expect(await bench.pods.destroy(volumeId, request, bench.options)).toEqual({
        outcome: 'blocked',
        missing: [expect.objectContaining({ gate: 'not_checked' })],
      });
    bench.world.answer = 'declined';
    const declined = await bench.pods.destroy(volumeId, discard, bench.options);
    expect(declined).toMatchObject({ outcome: 'blocked', declined: true });
    expect(bench.cloud.calls).not.toContain('removeVolume');
    bench.world.answer = 'unavailable';
    expect(await bench.pods.destroy(volumeId, discard, bench.options)).toEqual({ outcome: 'gone' });
    expect((await bench.pods.list({ includeEnded: false }, bench.options)).volumes).toEqual([]);
    expect((await bench.store.log.list(volumeId)).map(({ text }) => text)).toEqual([
      'To be removed: copied home',
      'Seen gone.',
    ]);
  });

  it('that is still listed is not called gone', async () => {
    const bench = createLeaseBench({ cloud: { volumes: [volume()] } });
    bench.cloud.faults.volumesStay = true;
    const end = bench.pods.destroy(volumeId, discard, bench.options);
    await expect(end).rejects.toMatchObject({ code: 'teardown_unconfirmed' });
  });

  it('in use, unknown, or on a cloud without any is refused (vast.md 12)', async () => {
    const used = createLeaseBench({ cloud: { volumes: [volume([podIdSchema.parse('vast:7')])] } });
    await expect(used.pods.destroy(volumeId, discard, used.options)).rejects.toMatchObject({
      code: 'unsupported',
    });
    for (const cloud of [{ volumes: [] }, {}]) {
      const bench = createLeaseBench({ cloud });
      await expect(bench.pods.destroy(volumeId, discard, bench.options)).rejects.toMatchObject({
        code: 'not_found',
      });
    }
  });
});
