import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { podIdSchema, randomToken } from '../../src/core/ids.ts';
import type { Offer, OfferQuery } from '../../src/core/offer.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { startVastSandbox } from '../support/vast-sandbox.ts';

const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const QUERY: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 1,
  diskGb: 16,
  minReliability: 0,
  regions: [],
  interruptible: false,
};

describe('a cloud that holds callers to its documented limits', () => {
  it('never has to refuse one of our calls (vast.md 1.5)', async () => {
    await using sandbox = await startVastSandbox({
      machines: 'none',
      speed: 0,
      offers: 60,
      vast: { rateLimits: true },
    });
    let waited = 0;
    /** The one clock of both sides: who waits turns it. */
    const clock: Clock = {
      now: () => new Date(sandbox.clock.nowSeconds() * 1000),
      async sleep(seconds, { signal }) {
        signal.throwIfAborted();
        waited += seconds;
        await sandbox.clock.advance(seconds);
      },
    };
    const { signal } = new AbortController();
    const provider = createVastProvider({
      apiKey: sandbox.apiKey,
      baseUrl: sandbox.url,
      clock,
      ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
      isPaced: true,
    });
    const search = async (): Promise<readonly Offer[]> => {
      for (;;)
        try {
          return await provider.listOffers(QUERY, { signal });
        } catch (thrown) {
          // Who would wait long for a search is told so at once, and nothing was sent.
          if (!isAppError(thrown) || thrown.code !== 'rate_limited') throw thrown;
          expect(thrown.retryAfterSeconds).toBeGreaterThan(0);
          await clock.sleep(thrown.retryAfterSeconds ?? 0, { signal });
        }
    };
    for (let searches = 0; searches < 25; searches += 1) await search();
    const [offer] = await search();
    if (offer === undefined) throw new Error('There is no offer.');
    await provider.checkAccount({ signal });
    await provider.keys?.registerKey(PUBLIC_KEY, { signal });
    const { podId } = await provider.createPod(
      {
        offerId: offer.offerId,
        label: `gl-${randomToken()}`,
        diskGb: 16,
        sshPublicKey: PUBLIC_KEY,
        maxUsdPerHour: offer.usdPerHour * 1.2,
        deadlineAt: new Date(clock.now().getTime() + 36_000_000).toISOString(),
        onExpiry: 'destroy',
        image: 'pytorch/pytorch',
        env: {},
        ports: [],
      },
      { signal },
    );
    await sandbox.clock.advance(3600);
    for (let round = 0; round < 4; round += 1) {
      await provider.getPod(podId, { signal });
      await provider.listPods({ signal });
      await provider.volumes?.listVolumes({ signal });
      await provider.keys?.attachKey?.(podId, `${PUBLIC_KEY}${round}`, { signal });
      await provider.power?.stopPod(podId, { signal });
      await provider.power?.startPod(podId, { signal });
      await provider.power?.restartPod(podId, { signal });
      await provider.logs?.bootLog(podId, 5, { signal });
    }
    await provider.terminatePod(podId, { signal });
    await provider.terminatePod(podId, { signal });
    await provider.terminatePod(podIdSchema.parse('vast:999999999'), { signal });

    const seen = sandbox.sandbox.requests(1000);
    expect(seen.length).toBeGreaterThan(50);
    expect(
      seen.filter(({ status }) => status === 429).map(({ method, path }) => `${method} ${path}`),
    ).toEqual([]);
    // More than ten searches a minute cost time, not refusals.
    expect(waited).toBeGreaterThan(120);
    expect(sandbox.books()).toMatchObject({ billingCount: 0 });
  });
});
