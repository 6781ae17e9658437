import { expect, it } from 'vitest';
import { type CallOptions, systemClock } from '../../src/core/call.ts';
import type { Provider } from '../../src/core/provider.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { ManualClock } from '../support/clock.ts';
import type { FakeProvider } from '../support/fake-provider.ts';
import { createLeaseBench } from '../support/lease-bench.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';

const { signal } = new AbortController();
const QUERY = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 8,
  diskGb: 16,
  minReliability: 0,
  regions: [],
  interruptible: false,
};
const clientOf = ({ apiKey, url }: VastSandbox): Provider =>
  createVastProvider({
    apiKey,
    baseUrl: url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve('ssh-ed25519 AAAA'),
  });

/** Runs as the real one does, `ahead` of it by so many seconds. */
class RunningClock extends ManualClock {
  ahead = 0;
  override now(): Date {
    return new Date(Date.now() + this.ahead * 1000);
  }
  override async sleep(seconds: number, options: CallOptions): Promise<void> {
    await systemClock.sleep(Math.min(seconds, 2), options);
  }
}

it('two clouds and one state folder: the pod of one is neither gone nor ended because the other does not have it', async () => {
  await using first = await startVastSandbox({ machines: 'none', offers: 40 });
  await using second = await startVastSandbox({ machines: 'none', offers: 40 });
  const clock = new RunningClock();
  const store = createMemoryStore();
  const benchOf = (cloud: VastSandbox) =>
    createLeaseBench({
      store,
      clock,
      provider: clientOf(cloud) as FakeProvider,
    });
  const [bench, moved] = [benchOf(first), benchOf(second)];
  const [offer] = await clientOf(first).listOffers(QUERY, { signal });
  if (offer === undefined) throw new Error('There is no offer.');
  const created = await bench.create({ offerIds: [offer.offerId], diskGb: 16 }, 0);
  if (created.status !== 'provisioning') throw new Error(created.status);
  const { podId } = created.pod;
  // The numbers of two made-up clouds run alike: a stranger has the same one over there.
  await clientOf(second).keys?.registerKey('ssh-ed25519 AAAA', { signal });
  const stranger = await clientOf(second).createPod(
    {
      offerId: offer.offerId,
      label: 'somebody',
      diskGb: 16,
      sshPublicKey: 'ssh-ed25519 AAAA',
      maxUsdPerHour: 100,
      deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
      onExpiry: 'destroy',
      image: 'pytorch/pytorch',
      env: {},
      ports: [],
    },
    { signal },
  );
  expect(stranger.podId).toBe(podId);
  const lease = (await store.leases.list())[0];
  expect(lease?.account).toBe(`${new URL(first.url).host}/123456`);

  clock.ahead = 600;
  const end = { discardUnfetched: false, waitSeconds: 0 };
  const { pod } = await moved.pods.get(podId, { waitSeconds: 0 }, moved.options);
  expect(pod.status).toBe('unknown');
  expect(pod.problem).toContain(`pointed at ${new URL(second.url).host}/123456: set VAST_API_KEY`);
  await moved.pods.reconcile({ signal });
  await moved.pods.tend({ signal });
  expect((await moved.pods.destroy(podId, end, moved.options)).outcome).toBe('unknown');
  clock.ahead = 400 * 60;
  await moved.pods.enforce({ signal });
  expect(second.books().billingCount).toBe(1);
  expect(first.books().billingCount).toBe(1);
  expect((await store.leases.list())[0]?.state).toBe('open');

  await bench.pods.enforce({ signal });
  const ended = async (): Promise<string | undefined> => {
    await bench.pods.reconcile({ signal });
    return (await store.leases.list())[0]?.state;
  };
  await expect.poll(ended, { timeout: 15_000 }).toBe('closed');
  expect(first.books().billingCount).toBe(0);
  expect(second.books().billingCount).toBe(1);
});
