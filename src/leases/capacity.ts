import type { CallOptions, Clock } from '../core/call.ts';
import { isAppError, ProviderError } from '../core/errors.ts';
import { providerOf } from '../core/ids.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import { poll } from '../core/poll.ts';
import type { Providers } from '../core/provider.ts';
import { freshOffers } from './quotes.ts';

/** Whoever waits for a machine to become free asks no oftener. */
const LOOK_EVERY_SECONDS = 10;

/**
 * Those of the candidates that are sold now. Where an offer names a kind of machine in a place, what is not free may be free again:
 * it is looked for until `waitSeconds` are over, and nothing is ordered meanwhile (OF-24). Throws what `freshOffers` throws, or
 * `no_capacity` after such a wait.
 */
export async function offersOnceFree(
  providers: Providers,
  terms: Terms,
  waitSeconds: number,
  { clock, ...options }: CallOptions & { readonly clock: Clock },
): Promise<readonly Offer[]> {
  const mayReturn = terms.offerIds.some(
    (offerId) => providers.get(providerOf(offerId))?.facts.offersReturn === true,
  );
  if (!mayReturn || waitSeconds <= 0) return freshOffers(providers, terms, options);
  const found = await poll(
    async () => {
      try {
        return await freshOffers(providers, terms, options);
      } catch (failure) {
        if (!isAppError(failure) || failure.code !== 'offer_gone') throw failure;
        options.progress?.('None of these offers is free now: looking again');
        return undefined;
      }
    },
    { ...options, clock, timeoutSeconds: waitSeconds, everySeconds: LOOK_EVERY_SECONDS },
  );
  if (found !== undefined) return found;
  throw new ProviderError(
    'no_capacity',
    `None of these offers became free within ${waitSeconds} s. Nothing is rented.`,
    {
      hint: 'To go on waiting, call create_pod again with the same arguments: it looks for as long as waitSeconds says, and rents nothing that was not agreed to. Or call find_offer and choose another offer.',
      retryAfterSeconds: LOOK_EVERY_SECONDS,
    },
  );
}
