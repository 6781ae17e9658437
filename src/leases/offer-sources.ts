import type { CallOptions, Clock } from '../core/call.ts';
import { toAppError } from '../core/errors.ts';
import { PROVIDER_NAMES, type ProviderName } from '../core/ids.ts';
import type { Offer, OfferQuery } from '../core/offer.ts';
import type { ProviderReading } from '../core/pods.ts';
import type { Provider, Providers } from '../core/provider.ts';
import { limitOf, untilAborted } from './deps.ts';

const LIMIT_SECONDS = 10;
/** How long an answer is awaited in the background, and how long one that came late may be used. */
const LATE_SECONDS = 60;
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
  /**
   * Throws only `invalid_input`, and when the caller aborts. A silent cloud costs 10 seconds once, then one second for a minute;
   * it is awaited in the background, and the same question again gets the answer that came late.
   */
  ask(name: ProviderName, query: OfferQuery, options: CallOptions): Promise<SourceAnswer>;
}

/** A question that is under way, or one that was answered too late for whoever asked. */
interface Question {
  readonly key: string;
  readonly work: Promise<readonly Offer[]>;
  /** When the answer came, in seconds. */
  answeredAt?: number;
}
interface Source {
  silentUntil: number;
  awaited: Question | undefined;
}
type Late = 'late';
const LATE: Late = 'late';

/** Asks clouds for offers, each within a limit of its own. Remembers which were silent. */
export function createSources({ providers, clock }: SourcesDeps): Sources {
  const sources = new Map<ProviderName, Source>();
  const seconds = (): number => clock.now().getTime() / 1000;
  const sourceOf = (name: ProviderName): Source => {
    const source = sources.get(name) ?? { silentUntil: 0, awaited: undefined };
    sources.set(name, source);
    return source;
  };

  const start = (
    provider: Provider,
    query: OfferQuery,
    key: string,
    stop: AbortSignal,
  ): Question => {
    const signal = AbortSignal.any([limitOf(LATE_SECONDS), stop]);
    const work = untilAborted(provider.listOffers(query, { signal }), signal);
    work.catch(() => undefined);
    return { key, work };
  };

  const wait = async (
    { work }: Question,
    patienceSeconds: number,
    signal: AbortSignal,
  ): Promise<readonly Offer[] | Late> => {
    signal.throwIfAborted();
    const done = new AbortController();
    const patience = clock
      .sleep(patienceSeconds, { signal: AbortSignal.any([signal, done.signal]) })
      .then((): Late => LATE);
    patience.catch(() => undefined);
    try {
      return await untilAborted(Promise.race([work, patience]), signal);
    } finally {
      done.abort();
    }
  };

  /** From here on nobody waits: the answer is kept for whoever asks the same again. */
  const awaitInBackground = (source: Source, question: Question): void => {
    source.silentUntil = seconds() + REMEMBERED_SECONDS;
    source.awaited = question;
    question.work.then(
      () => {
        source.silentUntil = 0;
        question.answeredAt = seconds();
      },
      () => {
        if (source.awaited === question) source.awaited = undefined;
      },
    );
  };

  /** What is awaited already: `undefined` when nothing is, so that the cloud must be asked. */
  const fromBackground = async (
    source: Source,
    key: string,
    signal: AbortSignal,
  ): Promise<readonly Offer[] | Late | undefined> => {
    const { awaited } = source;
    if (awaited === undefined) return undefined;
    if (awaited.answeredAt === undefined) {
      const answer = awaited.key === key ? await wait(awaited, PATIENCE_SECONDS, signal) : LATE;
      if (answer !== LATE && source.awaited === awaited) source.awaited = undefined;
      return answer;
    }
    source.awaited = undefined;
    const isFresh = seconds() - awaited.answeredAt <= LATE_SECONDS;
    return awaited.key === key && isFresh ? awaited.work : undefined;
  };

  const list = async (
    provider: Provider,
    query: OfferQuery,
    signal: AbortSignal,
  ): Promise<readonly Offer[] | Late> => {
    const source = sourceOf(provider.name);
    const key = JSON.stringify(query);
    const known = await fromBackground(source, key, signal);
    if (known !== undefined) return known;
    const wasSilent = source.silentUntil > seconds();
    const stop = new AbortController();
    const question = start(provider, query, key, stop.signal);
    try {
      const answer = await wait(question, wasSilent ? PATIENCE_SECONDS : LIMIT_SECONDS, signal);
      if (answer === LATE) awaitInBackground(source, question);
      else source.silentUntil = 0;
      return answer;
    } catch (failure) {
      stop.abort();
      throw failure;
    }
  };

  return {
    async ask(name, query, { signal }) {
      const provider = providers.get(name);
      if (provider === undefined) return failed(name, notConfigured(name));
      try {
        const offers = await list(provider, query, signal);
        return offers === LATE
          ? failed(
              name,
              'provider_unavailable: no answer in time. It is awaited in the background: search again in a moment.',
            )
          : { reading: { provider: name, ok: true }, offers };
      } catch (thrown) {
        signal.throwIfAborted();
        const failure = toAppError(thrown, signal);
        const { code, message } = failure;
        // A query that no cloud can read is the caller's to correct.
        if (code === 'invalid_input') throw failure;
        return failed(name, `${code}: ${message}`);
      }
    },
  };
}

function failed(provider: ProviderName, error: string): SourceAnswer {
  return { reading: { provider, ok: false, error }, offers: [] };
}

/** The variable whose key turns a cloud on. */
const KEY_VARIABLES: Readonly<Partial<Record<ProviderName, string>>> = {
  vast: 'VAST_API_KEY',
  runpod: 'RUNPOD_API_KEY',
  lambda: 'LAMBDA_API_KEY',
};

/** A cloud that is off, or that this version has no way to rent on. */
export function cannotRentOn(name: ProviderName): string {
  const variable = KEY_VARIABLES[name];
  const why =
    variable === undefined
      ? `This version cannot rent on ${name}.`
      : `${name} is off: the server has no ${variable}. The user can set it and restart the server.`;
  return `${why} What works${variable === undefined ? '' : ' meanwhile'}: pods of this machine (local), and machines that the user already has (ssh_profile).`;
}

function notConfigured(name: ProviderName): string {
  return PROVIDER_NAMES.includes(name) && name !== 'local' && name !== 'ssh'
    ? `${KEY_VARIABLES[name] === undefined ? 'unsupported' : 'config_missing'}: ${cannotRentOn(name)}`
    : `config_missing: ${name} is not available here.`;
}
