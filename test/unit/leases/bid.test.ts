import { describe, expect, it } from 'vitest';
import { InputError, ProviderError } from '../../../src/core/errors.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { createLeaseBench, type LeaseBench } from '../../support/lease-bench.ts';

const spot = anOffer({ pricing: 'interruptible', usdPerHour: 0.31, diskUsdPerHour: 0.01 });
async function rented(options: Parameters<typeof createLeaseBench>[0] = {}, changes = {}) {
  const cloud = { canBid: true, offers: [spot], ...options.cloud };
  const bench = createLeaseBench({ ...options, cloud });
  const outcome = await bench.create({ bidUsdPerHour: 0.3, ...changes });
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  const bid = async (bidUsdPerHour: number) =>
    bench.pods.update(podId, { bidUsdPerHour }, bench.options);
  return { bench, podId, bid };
}
const lease = async (bench: LeaseBench) => (await bench.store.leases.list())[0];

describe('a bid', () => {
  it('is for the GPUs: the disk is charged beside it [OF-06]', async () => {
    const { bench } = await rented();
    expect(bench.asked[0]).toContain('$0.31 an hour');
    expect((await lease(bench))?.usdPerHour).toBeCloseTo(0.31, 9);
  });

  it('that rises is agreed to first, and counts from then on', async () => {
    const { bench, bid } = await rented();
    bench.clock.advance(3600);
    const { pod } = await bid(0.5);
    expect(bench.asked.at(-1)).toContain('bid $0.50 an hour');
    expect(pod.usdPerHour).toBeCloseTo(0.51, 9);
    expect(bench.cloud.machines[0]?.usdPerHour).toBe(0.5);
    expect((await lease(bench))?.accruedUsd).toBeCloseTo(0.31, 2);
    bench.clock.advance(3600);
    const { pods } = await bench.pods.list({ includeEnded: false }, bench.options);
    expect(pods[0]?.spentUsd).toBeCloseTo(0.31 + 0.51, 2);
  });

  it('that falls asks nobody', async () => {
    const { bench, bid } = await rented();
    await bid(0.2);
    expect(bench.asked).toHaveLength(1);
    expect((await lease(bench))?.terms.bidUsdPerHour).toBe(0.2);
  });

  it('that a person declines, or a limit forbids, changes nothing [CO-12]', async () => {
    const { bench, bid } = await rented();
    bench.world.answer = 'declined';
    await expect(bid(0.5)).rejects.toMatchObject({ code: 'budget_exceeded' });
    bench.world.answer = 'unavailable';
    const { quote } = await bid(0.5);
    expect(quote?.notes?.[0]).toContain('bid $0.50 an hour');
    const limited = await rented({ limits: { maxUsdPerHour: 0.4 } });
    await expect(limited.bid(0.5)).rejects.toMatchObject({ code: 'budget_exceeded' });
    for (const one of [bench, limited.bench]) {
      expect(one.cloud.calls).not.toContain('changeBid');
      expect((await lease(one))?.usdPerHour).toBeCloseTo(0.31, 9);
    }
  });

  it('that was shown as a quote is made once it is agreed to, and no higher one', async () => {
    const { bench, bid } = await rented();
    bench.world.answer = 'unavailable';
    const { quote, pod } = await bid(0.5);
    expect(quote).toMatchObject({ usdPerHour: 0.51, change: { bidUsdPerHour: 0.5 } });
    const quoteId = quote?.quoteId;
    const higher = bench.pods.update(pod.podId, { quoteId, bidUsdPerHour: 9 }, bench.options);
    await expect(higher).rejects.toMatchObject({ code: 'quote_invalid' });
    expect(bench.cloud.calls).not.toContain('changeBid');
    await bench.pods.update(pod.podId, { quoteId }, bench.options);
    expect((await lease(bench))?.terms.bidUsdPerHour).toBe(0.5);
    expect(bench.cloud.calls).toContain('changeBid');
  });

  it('keeps the budget: the deadline comes nearer', async () => {
    const { bench, bid } = await rented({}, { budgetUsd: 3.1, ttlMinutes: 600 });
    const before = Date.parse((await lease(bench))?.deadlineAt ?? '');
    await bid(0.61);
    const after = Date.parse((await lease(bench))?.deadlineAt ?? '');
    const start = bench.clock.now().getTime();
    expect((after - start) / (before - start)).toBeCloseTo(0.5, 2);
  });

  it.each([
    [new InputError('invalid_input', 'too low'), 0.31],
    [new ProviderError('provider_unavailable', 'no answer'), 0.51],
  ])(
    'that the cloud answers with %s counts at the worse of what may be true',
    async (failure, usdPerHour) => {
      let isBroken = false;
      const { bench, bid } = await rented({
        cloud: {
          before: (call) => {
            if (isBroken && call === 'changeBid') throw failure;
          },
        },
      });
      isBroken = true;
      await expect(bid(0.5)).rejects.toBe(failure);
      expect((await lease(bench))?.usdPerHour).toBeCloseTo(usdPerHour, 9);
    },
  );

  it('goes with interruptible pods, on clouds that take bids', async () => {
    const bench = createLeaseBench({ cloud: { canBid: true } });
    const fixed = await bench.create();
    if (fixed.status !== 'ready') throw new Error(fixed.status);
    const bidding = bench.pods.update(fixed.pod.podId, { bidUsdPerHour: 0.5 }, bench.options);
    await expect(bidding).rejects.toMatchObject({ code: 'invalid_input' });
    const plain = await rented({ cloud: { canBid: false } });
    await expect(plain.bid(0.5)).rejects.toMatchObject({ code: 'unsupported' });
    await expect((await rented()).bid(0)).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

it('a start that is refused for want of room says so, and the lease stays stopped (vast.md 6.4)', async () => {
  let isFull = false;
  const bench = createLeaseBench({
    cloud: {
      canStop: true,
      before: (call) => {
        if (isFull && call === 'startPod')
          throw new ProviderError('no_capacity', 'The GPU is taken. Nothing is queued.');
      },
    },
  });
  const outcome = await bench.create();
  if (outcome.status !== 'ready') throw new Error(outcome.status);
  const { podId } = outcome.pod;
  await bench.pods.update(podId, { action: 'stop' }, bench.options);
  isFull = true;
  const start = bench.pods.update(podId, { action: 'start' }, bench.options);
  await expect(start).rejects.toMatchObject({ code: 'no_capacity' });
  expect(await lease(bench)).toMatchObject({
    state: 'open',
    stoppedAt: expect.any(String) as string,
  });
});
