import type { CallOptions, Clock } from '../core/call.ts';
import { toAppError } from '../core/errors.ts';
import { PROVIDER_NAMES, type ProviderName } from '../core/ids.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import type { ProviderReading } from '../core/pods.ts';
import type { Provider, Providers } from '../core/provider.ts';
import { untilAborted, withinSeconds } from './deps.ts';

const LIMIT_SECONDS = 10;
/** A failure that took so long to come is as bad as none. */
const SLOW_SECONDS = 5;
const REMEMBERED_SECONDS = 60;
/** How long a cloud that was silent a moment ago may keep the others waiting. */
const PATIENCE_SECONDS = 1;

export interface SourcesDeps {
  readonly providers: Providers;
  readonly clock: Clock;
}
export interface SourceAnswer {
  readonly reading: ProviderReading;
  readonly offers: readonly Offer[];
}
export interface Sources {
  /** Throws only `invalid_input`, and when the caller aborts. A silent cloud costs 10 seconds once, then one second for a minute. */
  ask(name: ProviderName, query: OfferQuery, options: CallOptions): Promise<SourceAnswer>;
}

/** Asks clouds for offers, each within a limit of its own. Remembers which were silent. */
export function createSources({ providers, clock }: SourcesDeps): Sources {
  const silentUntil = new Map<ProviderName, number>();
  const askedInBackground = new Set<ProviderName>();
  const seconds = (): number => clock.now().getTime() / 1000;

  const list = async (
    provider: Provider,
    query: OfferQuery,
    signal: AbortSignal | undefined,
  ): Promise<readonly Offer[]> => {
    const { name } = provider;
    const start = seconds();
    try {
      const offers = await withinSeconds(LIMIT_SECONDS, clock, async (limit) =>
        provider.listOffers(query, {
          signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
        }),
      );
      silentUntil.delete(name);
      return offers;
    } catch (failure) {
      const isSlow = seconds() - start >= SLOW_SECONDS;
      if (signal?.aborted !== true && isSlow) silentUntil.set(name, seconds() + REMEMBERED_SECONDS);
      throw failure;
    }
  };

  /** What a cloud answers that was silent a moment ago: `undefined` unless it does so at once. */
  const listSoon = async (
    provider: Provider,
    query: OfferQuery,
    signal: AbortSignal,
  ): Promise<readonly Offer[] | undefined> => {
    const { name } = provider;
    if (askedInBackground.has(name)) return undefined;
    askedInBackground.add(name);
    const work = list(provider, query, undefined).finally(() => askedInBackground.delete(name));
    work.catch(() => undefined);
    const isOver = Symbol('over');
    const done = new AbortController();
    try {
      const patience = clock
        .sleep(PATIENCE_SECONDS, { signal: AbortSignal.any([signal, done.signal]) })
        .then(() => isOver);
      patience.catch(() => undefined);
      const first = await untilAborted(Promise.race([work, patience]), signal);
      return typeof first === 'symbol' ? undefined : first;
    } finally {
      done.abort();
    }
  };

  return {
    async ask(name, query, { signal }) {
      const provider = providers.get(name);
      if (provider === undefined) return failed(name, notConfigured(name));
      const start = seconds();
      try {
        const offers =
          (silentUntil.get(name) ?? 0) > start
            ? await listSoon(provider, query, signal)
            : await untilAborted(list(provider, query, signal), signal);
        return offers === undefined
          ? failed(
              name,
              'provider_unavailable: it did not answer a moment ago, and is asked again in the background.',
            )
          : { reading: { provider: name, ok: true }, offers };
      } catch (thrown) {
        signal.throwIfAborted();
        const failure = toAppError(thrown, signal);
        const { code, message } = failure;
        // A query that no cloud can read is the caller's to correct.
        if (code === 'invalid_input') throw failure;
        return failed(
          name,
          seconds() - start >= LIMIT_SECONDS
            ? `provider_unavailable: no answer within ${LIMIT_SECONDS} seconds.`
            : `${code}: ${message}`,
        );
      }
    },
  };
}

function failed(provider: ProviderName, error: string): SourceAnswer {
  return { reading: { provider, ok: false, error }, offers: [] };
}

/** A cloud that is off, or that this version has no way to rent on. */
export function cannotRentOn(name: ProviderName): string {
  const why =
    name === 'vast'
      ? 'vast is off: the server has no VAST_API_KEY. The user can set it and restart the server.'
      : `This version cannot rent on ${name}.`;
  return `${why} What works${name === 'vast' ? ' meanwhile' : ''}: pods of this machine (local), and machines that the user already has (ssh_profile).`;
}

function notConfigured(name: ProviderName): string {
  return PROVIDER_NAMES.includes(name) && name !== 'local' && name !== 'ssh'
    ? `${name === 'vast' ? 'config_missing' : 'unsupported'}: ${cannotRentOn(name)}`
    : `config_missing: ${name} is not available here.`;
}
