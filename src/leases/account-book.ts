import type { Clock } from '../core/call.ts';
import { ConfigError, ProviderError } from '../core/errors.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import type { AccountCheck, Providers } from '../core/provider.ts';
import { limitOf, untilAborted } from './deps.ts';
import { createFlights } from './flights.ts';
import { handleOf } from './ledger.ts';

const CHECK_LIMIT_SECONDS = 20;
/** A process keeps its key and address; only the cloud behind that address can become another. */
const SAME_FOR_SECONDS = 60;

/** What the clouds say of their accounts, asked for once by all who want to know in this process. */
export interface AccountBook {
  /** Throws `config_missing` for a cloud that is not there, and what its provider throws. */
  check(name: ProviderName, maxAgeSeconds: number): Promise<AccountCheck>;
  /** The account that this server looks at and pays with; `undefined`: the cloud tells none. */
  of(name: ProviderName): Promise<string | undefined>;
  /**
   * Why nothing that is seen or ordered here can be about this lease: it was made with another account. `undefined`: it was not, or
   * nobody knows with which. Throws when the cloud does not tell the present one.
   */
  strangeness(lease: Lease): Promise<string | undefined>;
  /** Throws `config_missing` for a lease of another account. A cloud that does not tell forbids nothing here. */
  refuseStrange(lease: Lease): Promise<void>;
  /** The balance is another one by now: something was rented or ended. */
  forget(name: ProviderName): void;
}

export function createAccountBook({
  providers,
  clock,
}: {
  readonly providers: Providers;
  readonly clock: Clock;
}): AccountBook {
  const flights = createFlights<AccountCheck>(clock);
  const seen = new Map<string, { readonly check: AccountCheck; readonly at: number }>();

  async function ask(name: ProviderName): Promise<AccountCheck> {
    const provider = providers.get(name);
    if (provider === undefined)
      throw new ConfigError('config_missing', `${name} is not configured.`);
    const at = clock.now().getTime();
    const signal = limitOf(CHECK_LIMIT_SECONDS);
    const check = await untilAborted(provider.checkAccount({ signal }), signal);
    seen.set(name, { check, at });
    return check;
  }

  const book: AccountBook = {
    check: async (name, maxAgeSeconds) =>
      (await flights.ask(name, maxAgeSeconds, async () => ask(name))).value,
    async of(name) {
      return (await lately(name)).account;
    },
    async strangeness({ account, provider }) {
      if (account === undefined) return undefined;
      const { account: present, keySource = 'its key' } = await lately(provider);
      if (present === undefined)
        throw new ProviderError(
          'provider_contract',
          `${provider} does not tell any more which account this is.`,
        );
      return isSameAccount(account, present)
        ? undefined
        : `It was made with the account ${account}, and this server is pointed at ${present}: set ${keySource}, and the address of the cloud if that was changed, back to that account and restart`;
    },
    async refuseStrange(lease) {
      const why = await book.strangeness(lease).catch(() => undefined);
      if (why !== undefined)
        throw new ConfigError('config_missing', `Pod ${handleOf(lease)}: ${why}.`);
    },
    forget(name) {
      flights.forget(name);
    },
  };
  return book;

  async function lately(name: ProviderName): Promise<AccountCheck> {
    // Machines of this computer have no account.
    if (name === 'local' || name === 'ssh') return { reachable: true };
    const last = seen.get(name);
    const age = last === undefined ? Infinity : Math.abs(clock.now().getTime() - last.at);
    return last !== undefined && age < SAME_FOR_SECONDS * 1000
      ? last.check
      : book.check(name, SAME_FOR_SECONDS);
  }
}

/** One may have been told without its number: "console.vast.ai" and "console.vast.ai/123". */
export function isSameAccount(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}
