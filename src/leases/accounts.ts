import type { CallOptions } from '../core/call.ts';
import { count } from '../core/count.ts';
import { type AppError, ConfigError, isAppError, ProviderError } from '../core/errors.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import type { AccountCheck, Providers } from '../core/provider.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import { untilAborted } from './deps.ts';
import { bindingMinutes, rateOf, usd } from './money.ts';
import { priceOf } from './quotes.ts';

const LEAST_MINUTES = 15;

export interface AccountsDeps {
  readonly providers: Providers;
  readonly store: Store;
  readonly accounts: AccountBook;
}
export interface AccountState {
  readonly notes: readonly string[];
  /** The credit ends before the run does. */
  readonly isShort: boolean;
}

/** The account of every cloud that sells one of these offers: what is to be said about it, or why nothing can be rented there. */
export async function accountsOf(
  offers: readonly Offer[],
  terms: Terms,
  deps: AccountsDeps,
  options: CallOptions,
): Promise<ReadonlyMap<ProviderName, AccountState | AppError>> {
  const names = [...new Set(offers.map(({ provider }) => provider))];
  const states = await Promise.all(
    names.map(async (name) => {
      const own = offers.filter(({ provider }) => provider === name);
      const usdPerHour = Math.max(...own.map((offer) => priceOf(offer, terms)));
      return [name, await accountOf(name, usdPerHour, terms, deps, options)] as const;
    }),
  );
  return new Map(states);
}

async function accountOf(
  name: ProviderName,
  usdPerHour: number,
  terms: Terms,
  { providers, store, accounts }: AccountsDeps,
  { signal }: CallOptions,
): Promise<AccountState | AppError> {
  const provider = providers.get(name);
  if (provider === undefined) return { notes: [], isShort: false };
  let account: AccountCheck;
  try {
    account = await untilAborted(accounts.check(name, 0), signal);
  } catch (failure) {
    signal.throwIfAborted();
    return isAppError(failure)
      ? failure
      : new ProviderError('provider_unavailable', `The account of ${name} cannot be read.`, {
          cause: failure,
        });
  }
  if (!account.reachable)
    return new ProviderError(
      'provider_unavailable',
      account.problem ?? `The account of ${name} cannot be read.`,
    );
  const keyNote =
    account.sshKeyRegistered === false && provider.keys !== undefined
      ? [`Our public SSH key is not on the ${name} account yet: it is added before the order.`]
      : [];
  const { balanceUsd } = account;
  if (balanceUsd === undefined || usdPerHour === 0) return { notes: keyNote, isShort: false };
  const running = (await store.leases.list())
    .filter((lease) => lease.provider === name)
    .reduce((sum, lease) => sum + rateOf(lease), 0);
  const minutes = (Math.max(0, balanceUsd) / (usdPerHour + running)) * 60;
  if (minutes < LEAST_MINUTES)
    return new ConfigError(
      'insufficient_credit',
      `The balance on ${name} is ${usd(balanceUsd)}: at ${usd(usdPerHour + running)} an hour${running > 0 ? ' with the pods that run' : ''} it ends after ${count(Math.floor(minutes), 'minute')}.`,
    );
  const needed = Math.max(
    bindingMinutes(terms, usdPerHour),
    terms.expectedHours === undefined ? 0 : terms.expectedHours * 60,
  );
  if (minutes >= needed) return { notes: keyNote, isShort: false };
  const lasts = `The balance on ${name}, ${usd(balanceUsd)}, lasts ${hoursOf(minutes)} at this price, not the whole time: when it is used up the cloud stops the pod and may delete its disk.`;
  return { notes: [...keyNote, lasts], isShort: true };
}

function hoursOf(minutes: number): string {
  return minutes < 90 ? count(Math.floor(minutes), 'minute') : `${(minutes / 60).toFixed(1)} hours`;
}
