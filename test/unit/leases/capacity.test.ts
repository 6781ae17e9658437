import { describe, expect, it } from 'vitest';
import { offerIdSchema } from '../../../src/core/ids.ts';
import type { Provider } from '../../../src/core/provider.ts';
import { ManualClock } from '../../support/clock.ts';
import { anOffer, createFakeProvider } from '../../support/fake-provider.ts';
import { createLeaseBench, someTerms } from '../../support/lease-bench.ts';

/** A cloud whose one offer is free from that second on, and that is asked for it how often. */
function rareCloud(freeAtSeconds: number, offersReturn = true) {
  const clock = new ManualClock();
  const offer = anOffer({ id: 'a' });
  const cloud = createFakeProvider({ clock, offers: [offer] });
  const start = clock.now().getTime();
  const asked: number[] = [];
  const seconds = () => (clock.now().getTime() - start) / 1000;
  const provider: Provider = {
    ...cloud,
    facts: { ...cloud.facts, offersReturn },
    getOffer: async () => {
      asked.push(seconds());
      return Promise.resolve(seconds() >= freeAtSeconds ? offer : undefined);
    },
  };
  const bench = createLeaseBench({ provider: provider as typeof cloud, clock });
  bench.world.answer = 'unavailable';
  const terms = someTerms({ offerIds: [offerIdSchema.parse('vast:a')] });
  return { bench, cloud, asked, terms, seconds };
}

describe('where nothing is free [OF-24]', () => {
  it('it is looked for at a polite pace, and its price is asked for before anything is rented', async () => {
    const { bench, cloud, asked, terms } = rareCloud(20);
    const first = await bench.pods.create({ terms, waitSeconds: 45 }, bench.options);
    expect(asked.slice(0, 3)).toEqual([0, 10, 20]);
    if (first.status !== 'needs_confirmation') throw new Error(first.status);
    expect(cloud.machines).toEqual([]);
    const { quoteId } = first.quote;
    const rented = await bench.pods.create({ terms, quoteId, waitSeconds: 10 }, bench.options);
    expect(rented.status).toBe('ready');
    expect(cloud.machines).toHaveLength(1);
  });

  it('the wait has an end that says how to go on', async () => {
    const { bench, cloud, terms, seconds } = rareCloud(60);
    await expect(
      bench.pods.create({ terms, waitSeconds: 25 }, bench.options),
    ).rejects.toMatchObject({
      code: 'no_capacity',
      hint: expect.stringContaining('call create_pod again with the same arguments') as string,
    });
    expect(seconds()).toBe(25);
    expect(cloud.machines).toEqual([]);
  });

  it('an offer that never returns is told at once', async () => {
    const { bench, asked, terms } = rareCloud(20, false);
    await expect(
      bench.pods.create({ terms, waitSeconds: 45 }, bench.options),
    ).rejects.toMatchObject({ code: 'offer_gone' });
    expect(asked).toEqual([0]);
  });

  it('a caller who gives up ends the wait at once', async () => {
    const { bench, cloud, asked, terms } = rareCloud(20);
    const giveUp = new AbortController();
    const progress = () => {
      giveUp.abort(new Error('enough'));
    };
    const options = { ...bench.options, signal: giveUp.signal, progress };
    await expect(bench.pods.create({ terms, waitSeconds: 45 }, options)).rejects.toThrow('enough');
    expect(asked).toEqual([0]);
    expect(cloud.machines).toEqual([]);
  });
});
