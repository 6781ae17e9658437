import { expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { randomToken } from '../../src/core/ids.ts';
import { poll } from '../../src/core/poll.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { startVastSandbox } from '../support/vast-sandbox.ts';

const LIMIT_SECONDS = 100;

it('a pod whose deadline passed ends itself, while nobody of ours looks', {
  timeout: 150_000,
}, async () => {
  await using sandbox = await startVastSandbox({ machines: 'pods', speed: 60, offers: 30 });
  const { signal } = new AbortController();
  const publicKey = `ssh-ed25519 ${'A'.repeat(68)} test`;
  const provider = createVastProvider({
    apiKey: sandbox.apiKey,
    baseUrl: sandbox.url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(publicKey),
  });
  const query = { gpu: [], gpuCount: 1, minVramGb: 1, diskGb: 16, minReliability: 0, regions: [] };
  const offers = await provider.listOffers({ ...query, interruptible: false }, { signal });
  const offer = offers.find(({ directSsh }) => directSsh === true);
  if (offer === undefined) throw new Error('There is no offer.');
  const { podId } = await provider.createPod(
    {
      offerId: offer.offerId,
      label: `gl-${randomToken()}`,
      diskGb: 16,
      sshPublicKey: publicKey,
      maxUsdPerHour: offer.usdPerHour * 1.2,
      deadlineAt: new Date(Date.now() + 15_000).toISOString(),
      onExpiry: 'destroy',
      image: 'pytorch/pytorch',
      setup: 'echo booted',
      env: {},
      ports: [],
    },
    { signal },
  );
  const billing = (): number => sandbox.books().billingCount;
  expect(billing()).toBe(1);
  // The books of the cloud, which no request of ours touches.
  const ended = await poll(async () => Promise.resolve(billing() === 0 ? true : undefined), {
    clock: systemClock,
    signal,
    timeoutSeconds: LIMIT_SECONDS,
    everySeconds: 0.5,
  });
  expect(ended).toBe(true);
  expect(await provider.getPod(podId, { signal })).toBeUndefined();
  const destroyed = sandbox.sandbox
    .requests()
    .filter(({ method, path }) => method === 'DELETE' && path.includes(podId.slice(5)));
  expect(destroyed.length).toBeGreaterThan(0);
});
