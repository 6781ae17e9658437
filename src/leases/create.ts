import type { CallOptions } from '../core/call.ts';
import { PolicyError, ProviderError } from '../core/errors.ts';
import type { Hosts } from '../core/host.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Attempt, Lease, Quote, Terms } from '../core/lease.ts';
import type { Offer } from '../core/offer.ts';
import { shortSecretWords } from '../core/plain-secrets.ts';
import type { Ask, CreateOutcome, Pods } from '../core/pods.ts';
import { offersOnceFree } from './capacity.ts';
import { crossedBy, crossingWords, type MeterDeps, meterWords } from './cautions.ts';
import { limitOf, untilAborted } from './deps.ts';
import { handleOf } from './ledger.ts';
import { checkLimits } from './limits.ts';
import type { Ordered } from './order.ts';
import { checkPreconditions } from './preconditions.ts';
import { questionOf } from './question.ts';
import { keepQuote, quoteFor, validQuote } from './quotes.ts';
import { type Approval, leaseFor, readableLeases } from './rent.ts';
import { type RentNextDeps, rentNext } from './rent-next.ts';
import type { Replacer } from './replace.ts';
import type { See } from './see.ts';
import { checkStated } from './stated.ts';
import { mayBeFollowed } from './succession.ts';
import { checkTerms, secretValues } from './terms.ts';

/** A failed pod is seen to its end for at least so long, even when the caller did not want to wait. */
const LEAST_REPLACING_SECONDS = 5;

export interface CreateDeps extends RentNextDeps, MeterDeps {
  readonly replacer: Replacer;
  readonly hosts: Hosts;
  readonly see: Pick<See, 'waitReady'>;
}

interface Approved {
  readonly quote: Quote;
  readonly approvedBy: Approval;
  /** As they are sold now, in the order of the quote. */
  readonly offers: readonly Offer[];
  /** How long it took until one of them was sold. */
  readonly waitedSeconds: number;
}

export function createCreation(deps: CreateDeps): Pods['create'] {
  const { clock, store, limits, providers, secrets } = deps;
  const checks = { providers, store, clock, hosts: deps.hosts, accounts: deps.accounts };

  async function approve(
    request: Parameters<Pods['create']>[0],
    { ask, ...options }: CallOptions & { readonly ask: Ask },
  ): Promise<Approved | Extract<CreateOutcome, { status: 'needs_confirmation' }>> {
    let waitedSeconds = 0;
    const sellable = async (terms: Terms): Promise<readonly Offer[]> => {
      const before = clock.now().getTime();
      const wait = { ...options, clock };
      const sold = await offersOnceFree(providers, terms, request.waitSeconds, wait);
      waitedSeconds = (clock.now().getTime() - before) / 1000;
      return sold;
    };
    if (request.quoteId !== undefined) {
      const quote = await validQuote(store.quotes, request.quoteId, clock);
      if (quote.change !== undefined)
        throw new PolicyError('quote_invalid', 'This quote is for a change of a pod.', {
          hint: 'Call update_pod with its podId and this quoteId.',
        });
      checkStated(request.stated ?? {}, quote.terms);
      checkTerms(quote.terms, secrets);
      const sold = await sellable(quote.terms);
      const { offers } = await checkPreconditions(sold, quote.terms, checks, options);
      return { quote, approvedBy: 'quote', offers, waitedSeconds };
    }
    checkTerms(request.terms, secrets);
    const sold = await sellable(request.terms);
    const plan = await checkPreconditions(sold, request.terms, checks, options);
    const { offers } = plan;
    const gone = request.terms.offerIds.filter((id) => !sold.some(({ offerId }) => offerId === id));
    const notes = gone.map((id) => `${id} is left out: it is not sold any more with this disk.`);
    const leftOut = request.terms.offerIds.filter(
      (id) => !offers.some(({ offerId }) => offerId === id),
    );
    const bound = leftOut.length === 0 ? plan.terms : { ...plan.terms, leftOut };
    for (const provider of new Set(offers.map((offer) => offer.provider)))
      notes.push(...(await meterWords(provider, priceAt(provider, offers), deps)));
    const short = shortSecretWords(secretValues(request.terms, secrets));
    if (short !== undefined) notes.push(short);
    const quote = await withinLimits(quoteFor(bound, offers, clock, [...notes, ...plan.notes]));
    if (quote.usdPerHour === 0) return { quote, approvedBy: 'free', offers, waitedSeconds };
    const isSmall = quote.maxUsd <= (limits.autoApproveUsd ?? -1);
    if (isSmall && !plan.mustAsk) return { quote, approvedBy: 'auto', offers, waitedSeconds };
    const answer = await ask({ message: questionOf(quote), field: 'approve' });
    if (answer === 'accepted') return { quote, approvedBy: 'form', offers, waitedSeconds };
    await keepQuote(store, quote, clock);
    return answer === 'declined'
      ? { status: 'needs_confirmation', quote, declined: true }
      : { status: 'needs_confirmation', quote };
  }

  /** Nobody is asked for what the limits forbid; they are checked again when the intent is written. */
  async function withinLimits(quote: Quote): Promise<Quote> {
    const [first] = quote.offers;
    if (first === undefined) return quote;
    const [lease, others] = [leaseFor(first, quote, 'auto', [], deps), await readableLeases(store)];
    checkLimits(lease, others, limits, clock.now());
    const crossing = crossingWords(lease, others, limits, clock.now());
    return crossing.length === 0
      ? quote
      : { ...quote, notes: [...crossing, ...(quote.notes ?? [])] };
  }

  async function cautionsOf(lease: Lease): Promise<{ cautions?: readonly string[] }> {
    const cautions = [
      ...(await meterWords(lease.provider, lease.usdPerHour, deps)),
      ...(await crossedBy(lease, deps)),
    ];
    return cautions.length === 0 ? {} : { cautions };
  }

  return async (request, options) => {
    const approved = await approve(request, options);
    if ('status' in approved) return approved;
    const { quote, approvedBy, offers, waitedSeconds } = approved;
    const end = clock.now().getTime() + (request.waitSeconds - waitedSeconds) * 1000;
    const secondsLeft = (): number => Math.max(0, (end - clock.now().getTime()) / 1000);
    options.signal.throwIfAborted();
    if (quote.usdPerHour > 0) await options.beforeRent?.();
    options.progress?.('Renting');
    const start = { quote, approvedBy, attempts: [], fresh: offers };
    // What was begun goes on when the caller gives up; only the waiting ends.
    let rented = await untilAborted(rentNext(start, deps), options.signal);
    for (;;) {
      if (rented.kind === 'unknown') throw outcomeUnknown(rented.ordered);
      if (rented.kind === 'over') return failed(rented.attempts);
      const { lease, pod } = await deps.see.waitReady(rented.lease, secondsLeft(), options);
      const { attempts } = lease;
      if (pod.status !== 'failed' && pod.status !== 'gone')
        return {
          status: pod.status === 'ready' ? 'ready' : 'provisioning',
          pod,
          attempts,
          ...(await cautionsOf(lease)),
        };
      options.progress?.(`Pod ${pod.podId} failed. It is ended before another is rented`);
      const next = await within(
        deps.replacer.replace(lease),
        Math.max(LEAST_REPLACING_SECONDS, secondsLeft()),
        options.signal,
      );
      if (next === undefined)
        return { status: mayBeFollowed(lease) ? 'provisioning' : 'failed', pod, attempts };
      if (next.kind === 'over' && next.attempts.at(-1)?.cleanup !== 'gone')
        return { status: 'failed', pod, attempts: next.attempts };
      rented = next;
    }
  };
}

const priceAt = (provider: ProviderName, offers: readonly Offer[]): number =>
  Math.max(0, ...offers.filter((offer) => offer.provider === provider).map((o) => o.usdPerHour));

function failed(attempts: readonly Attempt[]): CreateOutcome {
  if (attempts.length > 0 && attempts.every(({ reason }) => reason.startsWith('price_changed')))
    throw new PolicyError(
      'price_changed',
      'The price rose above what was agreed. Nothing is rented.',
    );
  return { status: 'failed', attempts };
}

/** `undefined`: it takes longer than the caller waits, and goes on without. */
async function within<T>(
  work: Promise<T>,
  seconds: number,
  signal: AbortSignal,
): Promise<T | undefined> {
  const limit = limitOf(seconds);
  try {
    return await untilAborted(work, AbortSignal.any([limit, signal]));
  } catch (failure) {
    signal.throwIfAborted();
    if (limit.aborted) return undefined;
    throw failure;
  }
}

function outcomeUnknown({
  lease,
  cleanup,
  reason,
}: Extract<Ordered, { kind: 'unknown' }>): ProviderError {
  const id = handleOf(lease);
  return new ProviderError(
    'outcome_unknown',
    cleanup === 'present'
      ? `Creation failed and pod ${id} is still there (${reason})`
      : `Nobody can tell whether a pod was made. It is tracked as ${id} (${reason})`,
    { hint: `No other pod was rented. Call get_pod with podId "${id}", or destroy it.` },
  );
}
