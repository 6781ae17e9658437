import { InputError } from '../core/errors.ts';
import type { OfferId } from '../core/ids.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';

const MOST = 2000;

/** How the offers that a caller was shown last were priced. */
export interface ShownOffers {
  remember(offers: readonly Offer[]): void;
  /**
   * Throws `invalid_input` when an offer that was shown as interruptible is ordered without a bid: clouds that sell one machine
   * both ways would rent it on demand, dearer than what the caller saw.
   */
  check(terms: Pick<Terms, 'offerIds' | 'bidUsdPerHour'>): void;
}

export function createShownOffers(): ShownOffers {
  const shown = new Map<OfferId, Offer['pricing']>();
  return {
    remember(offers) {
      for (const { offerId, pricing } of offers) {
        shown.delete(offerId);
        shown.set(offerId, pricing);
      }
      for (const oldest of [...shown.keys()].slice(0, Math.max(0, shown.size - MOST)))
        shown.delete(oldest);
    },
    check({ offerIds, bidUsdPerHour }) {
      const meant = offerIds.find((offerId) => shown.get(offerId) === 'interruptible');
      if (bidUsdPerHour !== undefined || meant === undefined) return;
      throw new InputError(
        'invalid_input',
        `${meant} was shown as interruptible, which needs bidUsdPerHour: without a bid it would be rented on demand, at the full price.`,
        {
          hint: 'Add bidUsdPerHour, at least minBidUsdPerHour of the offer; or call find_offer without interruptible for the price on demand.',
        },
      );
    },
  };
}
