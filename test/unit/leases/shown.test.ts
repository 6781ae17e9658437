import { describe, expect, it } from 'vitest';
import { type OfferId, offerIdSchema } from '../../../src/core/ids.ts';
import type { Offer } from '../../../src/core/offer.ts';
import { createShownOffers } from '../../../src/leases/shown.ts';

const ID = offerIdSchema.parse('vast:1');
const shownAs = (pricing: Offer['pricing'], offerId: OfferId = ID): Offer => ({
  offerId,
  provider: 'vast',
  gpuCount: 1,
  usdPerHour: 1,
  pricing,
});

describe('offers that were shown as interruptible', () => {
  it('are never ordered without a bid (vast.md 16.8)', () => {
    const shown = createShownOffers();
    shown.check({ offerIds: [ID] });
    shown.remember([shownAs('interruptible')]);
    expect(() => {
      shown.check({ offerIds: [offerIdSchema.parse('vast:2'), ID] });
    }).toThrow(expect.objectContaining({ code: 'invalid_input' }));
    shown.check({ offerIds: [ID], bidUsdPerHour: 0.2 });
  });

  it('are ordered on demand once they were shown so', () => {
    const shown = createShownOffers();
    shown.remember([shownAs('interruptible')]);
    shown.remember([shownAs('on_demand')]);
    expect(() => {
      shown.check({ offerIds: [ID] });
    }).not.toThrow();
  });

  it('are forgotten oldest first', () => {
    const shown = createShownOffers();
    shown.remember([shownAs('interruptible')]);
    shown.remember(
      Array.from({ length: 2000 }, (_each, nth) =>
        shownAs('interruptible', offerIdSchema.parse(`vast:${nth + 10}`)),
      ),
    );
    expect(() => {
      shown.check({ offerIds: [ID] });
    }).not.toThrow();
  });
});
